/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a thread: poll(2) on the descriptor and on the eventfd that
 * cancels the task, so that one write wakes every thread of a server.
 */
#include "base/clock.h"
#include "io/wait.h"

#include <errno.h>
#include <poll.h>
#include <socketserver/fiber.h>

/* What else ends a wait of the current task. How many. */
static nfds_t
add_cancels(struct pollfd *p)
{
	const struct sks_cancel *cancel;
	nfds_t n = 0;

	for (cancel = sks_task_current()->cancel; cancel != NULL; cancel = cancel->up)
		p[n++] = (struct pollfd){ .fd = cancel->fd, .events = POLLIN };
	return n;
}

static int
is_any(const struct pollfd *p, nfds_t n)
{
	while (n > 0 && p[n - 1].revents == 0)
		n--;
	return n > 0;
}

int
sks_wait_poll_any(int fd, int events, int64_t deadline)
{
	struct pollfd p[1 + SKS_CANCEL_MOST];
	nfds_t fds = 1 + add_cancels(p + 1);
	int n, got;

	p[0] = (struct pollfd){ .fd = fd, .events = (short)((events & SKS_READ ? POLLIN : 0) |
		(events & SKS_WRITE ? POLLOUT : 0)) }; /* poll passes over -1 */
	do {
		n = sks_sys_poll(p, fds, sks_clock_left(deadline));
	} while ((n == -1 && errno == EINTR) || (n == 0 && sks_clock_left(deadline) != 0));
	if (n == -1)
		return -1;
	if (n == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (is_any(p + 1, fds - 1)) {
		errno = ECANCELED;
		return -1;
	}
	if (p[0].revents & POLLNVAL) {
		errno = EBADF;
		return -1;
	}
	got = (p[0].revents & POLLIN ? SKS_READ : 0) | (p[0].revents & POLLOUT ? SKS_WRITE : 0);
	if (p[0].revents & (POLLERR | POLLHUP)) /* the next call will say which */
		got |= events;
	return got & events;
}
