/*
 * A peer of ours: an echo server on State Threads, sequential code on a user-space thread for each
 * connection. It looks for no lines.
 */

#define _GNU_SOURCE 1
#include "listener.h"

#include <signal.h>
#include <st.h>

static void *
echo(void *arg)
{
	st_netfd_t client = arg;
	char buf[16384];
	ssize_t n;

	while ((n = st_read(client, buf, sizeof(buf), ST_UTIME_NO_TIMEOUT)) > 0)
		if (st_write(client, buf, (size_t)n, ST_UTIME_NO_TIMEOUT) != n)
			break;
	st_netfd_close(client);
	return NULL;
}

/*
 * By epoll, or by poll where the library is built without it, as Debian's is: select ends at 1,024.
 */
static void
wait_for_many(void)
{
	if (st_set_eventsys(ST_EVENTSYS_ALT) == -1 || st_get_eventsys() != ST_EVENTSYS_ALT)
		if (st_set_eventsys(ST_EVENTSYS_POLL) == -1)
			err(1, "State Threads");
}

int
main(int argc, char **argv)
{
	st_netfd_t client, listener;
	int fd = open_listener(argc, argv, 0);

	signal(SIGPIPE, SIG_IGN);
	wait_for_many();
	if (st_init() == -1)
		err(1, "State Threads");
	if ((listener = st_netfd_open_socket(fd)) == NULL)
		err(1, "listener");
	for (;;) {
		if ((client = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT)) == NULL)
			err(1, "accept");
		set_nodelay(st_netfd_fileno(client));
		if (st_thread_create(echo, client, 0, 65536) == NULL)
			err(1, "thread");
	}
}
