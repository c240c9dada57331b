/*
 * The baseline of the proxy: bare epoll, one thread, level-triggered. Each client is joined to a
 * connection of its own to UPSTREAM_PORT. What came is sent on at once; there are no timeouts, no
 * limits, no buffers, and an end on either side ends both. So it does less than any proxy with a
 * contract can do, and is as fast as one writes it by hand.
 */

#define _GNU_SOURCE 1
#include <sys/epoll.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "listener.h"

#define MOST 65536      /* descriptors */

static char buf[16384];
static int peer[MOST];  /* of each descriptor: the other one of its pair */
static struct sockaddr_in upstream;

static void
watch(int ep, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (fd >= MOST)
		errx(1, "more than %d descriptors", MOST);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll_ctl");
}

/* On loopback connect waits for the kernel only. */
static int
connect_upstream(void)
{
	int fd;

	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	if (connect(fd, (struct sockaddr *)&upstream, sizeof(upstream)) == -1)
		err(1, "connect to port %d", ntohs(upstream.sin_port));
	set_nodelay(fd);
	return fd;
}

static void
accept_clients(int ep, int listener)
{
	int client, server;

	while ((client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) != -1) {
		set_nodelay(client);
		server = connect_upstream();
		watch(ep, client);
		watch(ep, server);
		peer[client] = server;
		peer[server] = client;
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept");
}

/* The whole proxy waits for a peer that does not read: fine for a baseline, and never timed. */
static int
send_all(int fd, const char *p, ssize_t left)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	for (; left > 0; p += n, left -= n)
		if ((n = send(fd, p, (size_t)left, MSG_NOSIGNAL | MSG_DONTWAIT)) == -1) {
			if (errno != EAGAIN || poll(&pfd, 1, -1) == -1)
				return -1;
			n = 0;
		}
	return 0;
}

static void
pass_on(int fd)
{
	ssize_t got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	/* An event of this round may be of a descriptor that was closed and is another now. */
	if (got == -1 && (errno == EAGAIN || errno == EBADF))
		return;
	if (got <= 0 || send_all(peer[fd], buf, got) == -1) {
		close(peer[fd]);
		close(fd);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[512], ev = { .events = EPOLLIN };
	int ep, i, listener, n;

	if (argc != 3)
		errx(2, "usage: %s UPSTREAM_PORT PORT (0: any free one)", argv[0]);
	upstream.sin_family = AF_INET;
	upstream.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	upstream.sin_port = htons((in_port_t)atoi(argv[1]));
	argv[1] = argv[0];
	listener = open_listener(argc - 1, argv + 1, SOCK_NONBLOCK);
	ev.data.fd = listener;
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) == -1)
		err(1, "epoll");

	for (;;) {
		if ((n = epoll_wait(ep, events, 512, -1)) == -1 && errno != EINTR)
			err(1, "epoll_wait");
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_clients(ep, listener);
			else
				pass_on(events[i].data.fd);
		}
	}
}
