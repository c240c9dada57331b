/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a thread: poll(2) on the descriptor and on the eventfd that
 * cancels the task, so that one write wakes every thread of a server.
 */
#include "base/clock.h"
#include "loop/wait.h"

#include <errno.h>
#include <poll.h>
#include <socketserver/fiber.h>

/* Appends what cancels the current task to the entries of a poll. Returns how many there are. */
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
sks_wait_thread_set(struct pollfd *fds, size_t n, int64_t deadline)
{
	nfds_t cancels = add_cancels(fds + n);
	int got;

	do {
		got = sks_sys_poll(fds, n + cancels, sks_clock_left(deadline));
	} while ((got == -1 && errno == EINTR) || (got == 0 && sks_clock_left(deadline) != 0));
	if (got == 0)
		errno = ETIMEDOUT;
	else if (got > 0 && is_any(fds + n, cancels)) {
		errno = ECANCELED;
		return -1;
	}
	return got > 0 ? got : -1;
}

int
sks_wait_thread_events(int fd, int events, int64_t deadline)
{
	/* poll(2) ignores an entry whose descriptor is -1. */
	struct pollfd p[1 + SKS_CANCEL_MOST] = {
		{ .fd = fd, .events = (short)((events & SKS_READ ? POLLIN : 0) |
			(events & SKS_WRITE ? POLLOUT : 0)) },
	};
	int got;

	if (sks_wait_thread_set(p, 1, deadline) == -1)
		return -1;
	if (p[0].revents & POLLNVAL) {
		errno = EBADF;
		return -1;
	}
	got = (p[0].revents & POLLIN ? SKS_READ : 0) | (p[0].revents & POLLOUT ? SKS_WRITE : 0);
	if (p[0].revents & (POLLERR | POLLHUP)) /* the next call will say which */
		got |= events;
	return got & events;
}
