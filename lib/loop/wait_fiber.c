/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a fiber: it is parked until its loop has the event.
 *
 * A parked fiber is woken once. Several things may want to wake it (its event, its
 * timer, a cancellation), so the first one clears task->parked, and those that come
 * later find that nothing is left to be done. The interest in a connection's input
 * lives in its watch. Any other event lies on the fiber's own stack, which cannot go
 * away while the fiber is parked, and is deleted before the wait returns.
 *
 * In a child process that the host has forked the fiber is a copy, for which nothing is done: its
 * events may still be in a base that the child dispatches, while its loop may be gone.
 */
#include "base/clock.h"
#include "fiber/fiber.h"
#include "loop/wait.h"

#include <errno.h>
#include <socketserver/fiber.h>

/* Returns what a parked fiber of this process has as task->parked. */
static unsigned int
parked_here(void)
{
	return sks_forks + 1;
}

/* Parks the current fiber. Returns what has ended the wait: 0, or -1 and errno. */
static int
park(struct sks_task *task)
{
	task->parked = parked_here();
	task->wake_error = 0;
	sks_fiber_suspend();
	if (task->wake_error == 0)
		return 0;
	errno = task->wake_error;
	return -1;
}

/*
 * Ends the wait of a parked fiber. 1: the caller has it go on. 0: its wait has ended before, or it
 * is a copy.
 */
static int
unpark(struct sks_task *task, int error)
{
	if (task->parked != parked_here())
		return 0;
	task->parked = 0;
	task->wake_error = error;
	return 1;
}

/* From an event callback, which runs on the loop's own stack: the fiber goes on at once. */
static void
wake_now(struct sks_task *task, int error)
{
	if (unpark(task, error))
		sks_loop_resume(task);
}

void
sks_wait_wake(struct sks_task *task, int error)
{
	if (unpark(task, error))
		sks_loop_ready(task->loop, task);
}

static void
wake_reader(struct sks_watch *watch, enum sks_watch_event event)
{
	wake_now(watch->reader, event == SKS_WATCH_EXPIRED ? ETIMEDOUT : 0);
}

int
sks_wait_fiber_readable(struct sks_task *task, struct sks_watch *watch,
    struct sks_preread *preread, int64_t deadline)
{
	int rc;

	if (sks_watch_expect(watch, wake_reader, deadline) == -1)
		return -1;
	watch->reader = task;
	watch->preread = preread;
	rc = park(task);
	watch->preread = NULL;
	watch->reader = NULL;
	sks_watch_forget(watch);
	return rc;
}

struct one_shot {
	struct event ev;
	struct sks_task *task;
	int64_t deadline;
	short what;
};

static void
on_one_shot(evutil_socket_t fd, short what, void *arg)
{
	struct one_shot *shot = arg;

	(void)fd;
	shot->what = what;
	if (what & EV_WRITE) { /* it may have much to write, as others that are woken with it */
		sks_wait_wake(shot->task, 0);
		return;
	}
	if (what & EV_READ) {
		wake_now(shot->task, 0);
		return;
	}
	/* libevent counts from when its turn began, so a timer may come early after a long one. */
	if (sks_clock_ms() < shot->deadline &&
	    sks_event_add(&shot->ev, sks_clock_left(shot->deadline)) == 0)
		return;
	wake_now(shot->task, ETIMEDOUT);
}

/* Parks until the events (0: there are none) or the deadline. */
static int
park_for(struct one_shot *shot, int fd, short events)
{
	int rc;

	sks_event_assign(&shot->ev, shot->task->loop->base, fd, events, on_one_shot, shot);
	if ((events != 0 || shot->deadline != SKS_NEVER) &&
	    sks_event_add(&shot->ev, sks_clock_left(shot->deadline)) == -1)
		rc = -1;
	else
		rc = park(shot->task);
	sks_event_end(&shot->ev);
	return rc;
}

int
sks_wait_fiber_events(int fd, int events, int64_t deadline)
{
	struct one_shot shot = { .task = sks_task_current(), .deadline = deadline };
	int has_begun_in_time = events != 0 && sks_clock_left(deadline) != 0;

	if (park_for(&shot, fd, (short)((events & SKS_READ ? EV_READ : 0) |
		(events & SKS_WRITE ? EV_WRITE : 0))) == -1) {
		/* libevent drops an event that comes in the same turn as the time limit. */
		return errno == ETIMEDOUT && has_begun_in_time ?
		    sks_wait_thread_events(fd, events, 0) : -1;
	}
	return (shot.what & EV_READ ? SKS_READ : 0) | (shot.what & EV_WRITE ? SKS_WRITE : 0);
}
