/* SPDX-License-Identifier: MIT */
/*
 * Waiting for any of many descriptors.
 *
 * A thread hands them to poll(2). A fiber has an event of its loop for each of them,
 * which takes 128 bytes and two system calls. An epoll set for each wait, as one
 * descriptor for all, was the alternative. But the kernel refuses a descriptor that is
 * in more than 500 such sets, and many fibers may well wait for the same one beside
 * their own. Only for POLLPRI, which libevent does not know, there is such a set.
 */
#include "base/clock.h"
#include "loop/wait.h"

#include <errno.h>
#include <poll.h>
#include <socketserver/fiber.h>

/* Looks without waiting. How many entries have events now, or -1. */
static int
look(struct pollfd *fds, size_t n)
{
	int got;

	do {
		got = sks_sys_poll(fds, n, 0);
	} while (got == -1 && errno == EINTR);
	return got;
}

/* ---- exceptional conditions ---- */

/*
 * Makes *set an epoll set of those that want POLLPRI, or -1 if none of them does. 0, or
 * -1: *set may be an open set then, too.
 */
static int
open_set(const struct pollfd *fds, size_t n, int *set)
{
	struct epoll_event event = { .events = EPOLLPRI };
	size_t i;

	*set = -1;
	for (i = 0; i < n; i++) {
		if (fds[i].fd < 0 || !(fds[i].events & POLLPRI))
			continue;
		if (*set == -1 && (*set = sks_sys_epoll_create1(EPOLL_CLOEXEC)) == -1)
			return -1;
		/* EPERM: a file has no exceptional conditions. EEXIST: an entry before has it. */
		if (sks_sys_epoll_ctl(*set, EPOLL_CTL_ADD, fds[i].fd, &event) == -1 &&
		    errno != EPERM && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* ---- a fiber ---- */

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sks_wait_wake(arg, 0);
}

static int
add(struct event *ev, int fd, short events)
{
	struct sks_task *task = sks_task_current();
	short what = (short)((events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0));

	if (fd < 0 || what == 0)
		return 0;
	sks_event_assign(ev, task->loop->base, fd, what, on_event, task);
	return sks_event_add(ev, -1);
}

/* Parks until one of the entries, or the set, has an event, or the deadline. evs: n + 1. */
static int
park(struct event *evs, const struct pollfd *fds, size_t n, int set, int64_t deadline)
{
	int rc = add(&evs[n], set, POLLIN), error;
	size_t i;

	for (i = 0; i < n && rc == 0; i++)
		rc = add(&evs[i], fds[i].fd, fds[i].events);
	if (rc == 0)
		rc = sks_wait_events(-1, 0, deadline);
	error = errno;
	for (i = 0; i <= n; i++)
		sks_event_end(&evs[i]);
	errno = error;
	return rc;
}

static int
wait_on_fiber(struct pollfd *fds, size_t n, int64_t deadline)
{
	struct event *evs;
	int set = -1, got = -1, error;

	evs = sks_sys_calloc(n + 1, sizeof(*evs));
	if (evs == NULL)
		return -1;
	if (open_set(fds, n, &set) == 0) {
		do {
			got = park(evs, fds, n, set, deadline);
		} while (got == 0 && (got = look(fds, n)) == 0);
	}
	error = errno;
	if (set != -1)
		sks_sys_close(set);
	sks_sys_free(evs);
	errno = error;
	return got;
}

/* After the waits that a fiber makes of it, which are for other things. */
static int
failed(struct sks_task *task, int64_t deadline)
{
	task->wait_for = SKS_WAIT_FOR_ANY;
	return sks_wait_failed(task, deadline);
}

int
sks_wait_set(struct pollfd *fds, size_t n, int64_t deadline)
{
	struct sks_task *task = sks_task_current();
	int64_t until = sks_min64(deadline, task->deadline);
	int got;

	errno = ECANCELED;
	if (sks_task_is_cancelled(task))
		return failed(task, deadline);
	got = look(fds, n);
	if (got != 0)
		return got != -1 ? got : failed(task, deadline);
	errno = ETIMEDOUT;
	if (sks_clock_left(until) == 0)
		return failed(task, deadline);
	got = task->fiber != NULL ? wait_on_fiber(fds, n, deadline) :
				    sks_wait_thread_set(fds, n, until);
	return got != -1 ? got : failed(task, deadline);
}
