/* SPDX-License-Identifier: MIT */
/*
 * The protocol of sd_notify(3): one datagram of lines to the Unix socket that NOTIFY_SOCKET
 * names. It is written by hand here, as libsystemd would be one more library for a page of code.
 *
 * The socket is opened for each datagram. One that stays open would be one more descriptor to keep
 * from forked children, for a few datagrams in an hour.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"
#include "host/activation.h"
#include "server/server.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <socketserver/host.h>

/* Returns the length of the address, or 0: the text is not the address of a Unix socket. */
static socklen_t
address_of(const char *text, struct sockaddr_un *un)
{
	size_t n = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || n < 2 || n >= sizeof(un->sun_path))
		return 0;
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(un->sun_path, text, n);
	if (text[0] == '@')
		un->sun_path[0] = '\0';
	/* The length ends an abstract name, and a NUL ends a path. */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (text[0] == '/'));
}

static int
send_to(const struct sockaddr_un *un, socklen_t len, const char *lines)
{
	int fd = sks_sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
	ssize_t n;

	if (fd == -1)
		return -1;
	do
		n = sks_sys_sendto(fd, lines, strlen(lines), MSG_NOSIGNAL,
		    (const struct sockaddr *)un, len);
	while (n == -1 && errno == EINTR);
	error = errno;
	sks_sys_close(fd);
	errno = error;
	return n == -1 ? -1 : 1;
}

int
sks_notify(const char *lines)
{
	const char *text = secure_getenv("NOTIFY_SOCKET");
	struct sockaddr_un un;
	socklen_t len;

	if (text == NULL || *text == '\0')
		return 0;
	len = address_of(text, &un);
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	return send_to(&un, len, lines);
}

int
sks_notify_interval_ms(void)
{
	const char *pid = secure_getenv("WATCHDOG_PID");
	int64_t usec = sks_activation_number(secure_getenv("WATCHDOG_USEC"));

	if (usec == 0 || (pid != NULL && sks_activation_number(pid) != (int64_t)getpid()))
		return 0;
	return (int)sks_max64(1, sks_min64(usec / 2000, INT32_MAX));
}

int
sks_server_is_stuck(const struct sks_server *server, int ms)
{
	int64_t since = sks_clock_coarse_ms() - ms;
	int i;

	for (i = 0; !sks_server_is_copy(server) && i < server->service.options.workers; i++)
		if (sks_watched_runs_since(&server->workers[i].loop->watched, since))
			return 1;
	return 0;
}
