/* The listening socket of the baseline servers: loopback only, PORT from argv[1], 0 for any. */

#ifndef BENCH_LISTENER_H
#define BENCH_LISTENER_H

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/*
 * type: SOCK_STREAM or SOCK_DGRAM, with flags. Prints "listening PORT" once clients can connect;
 * leaves with one line on any error.
 */
static int
open_socket(int argc, char **argv, int type)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	const int on = 1;
	char *end;
	long port;
	int fd;

	if (argc != 2 || (port = strtol(argv[1], &end, 10)) < 0 || port > 65535 ||
	    *end != '\0' || end == argv[1])
		errx(2, "usage: %s PORT (0: any free one)", argv[0]);
	sin.sin_port = htons((in_port_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	if ((fd = socket(AF_INET, type | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		err(1, "SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "bind 127.0.0.1:%ld", port);
	if (!(type & SOCK_DGRAM) && listen(fd, SOMAXCONN) == -1)
		err(1, "listen");
	if (getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		err(1, "getsockname");
	printf("listening %d\n", ntohs(sin.sin_port));
	if (fflush(stdout) != 0)
		err(1, "stdout");
	return fd;
}

static inline int
open_listener(int argc, char **argv, int flags)
{
	return open_socket(argc, argv, SOCK_STREAM | flags);
}

static inline void
set_nodelay(int fd)
{
	const int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		warn("TCP_NODELAY");
}

#endif
