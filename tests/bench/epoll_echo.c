/*
 * The baseline of issue 2: an echo server on bare epoll, one thread, level-triggered. It does not
 * look for lines, has no timeouts, no limits and no buffers: what came is sent back, blindly. So
 * it does less than any server with a contract can do, and is as fast as one writes it by hand.
 */

#define _GNU_SOURCE 1
#include <sys/epoll.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "listener.h"

static char buf[16384];

static void
accept_clients(int ep, int listener)
{
	struct epoll_event ev = { .events = EPOLLIN };

	while ((ev.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		set_nodelay(ev.data.fd);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev) == -1)
			err(1, "epoll_ctl");
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept");
}

/* The whole server waits for a client that does not read: fine for a baseline, and never timed. */
static int
send_all(int fd, const char *p, ssize_t left)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	for (; left > 0; p += n, left -= n)
		if ((n = send(fd, p, (size_t)left, MSG_NOSIGNAL)) == -1) {
			if (errno != EAGAIN || poll(&pfd, 1, -1) == -1)
				return -1;
			n = 0;
		}
	return 0;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[512], ev = { .events = EPOLLIN };
	int ep, i, listener, n;
	ssize_t got;

	listener = open_listener(argc, argv, SOCK_NONBLOCK);
	ev.data.fd = listener;
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) == -1)
		err(1, "epoll");

	for (;;) {
		if ((n = epoll_wait(ep, events, 512, -1)) == -1 && errno != EINTR)
			err(1, "epoll_wait");
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == listener) {
				accept_clients(ep, listener);
				continue;
			}
			got = recv(events[i].data.fd, buf, sizeof(buf), 0);
			if (got <= 0 || send_all(events[i].data.fd, buf, got) == -1)
				close(events[i].data.fd);
		}
	}
}
