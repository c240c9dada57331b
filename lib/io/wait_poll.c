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

int
sks_wait_poll_any(int fd, int events, int64_t deadline)
{
	struct sks_task *task = sks_task_current();
	struct pollfd p[2] = {
		{ .fd = fd, .events = (short)((events & SKS_READ ? POLLIN : 0) |
			(events & SKS_WRITE ? POLLOUT : 0)) },
		/* poll passes over -1 */
		{ .fd = task->cancel != NULL ? task->cancel->fd : -1, .events = POLLIN },
	};
	int n, got;

	do {
		n = sks_sys_poll(p, 2, sks_clock_left(deadline));
	} while ((n == -1 && errno == EINTR) || (n == 0 && sks_clock_left(deadline) != 0));
	if (n == -1)
		return -1;
	if (n == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (p[1].revents != 0) {
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
