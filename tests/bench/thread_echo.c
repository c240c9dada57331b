/*
 * The baseline of issue 3 for threads: one for each connection, blocking reads
 * and writes. A write to a peer that has gone must be an error.
 */

#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include "echo.h"
#include "listener.h"

static void
check(int error, const char *what)
{
	if (error != 0) {
		errno = error;
		err(1, "%s", what);
	}
}

static void *
serve(void *arg)
{
	echo((int)(intptr_t)arg);
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;
	int fd, listener;

	signal(SIGPIPE, SIG_IGN);
	listener = open_listener(argc, argv, 0);
	check(pthread_attr_init(&attr), "pthread_attr_init");
	check(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), "detached");

	for (;;) {
		if ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			err(1, "accept");
		}
		set_nodelay(fd);
		check(pthread_create(&thread, &attr, serve, (void *)(intptr_t)fd), "pthread_create");
	}
}
