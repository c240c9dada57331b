/* SPDX-License-Identifier: MIT */
/*
 * What every wait has in common, and the choice between parking and blocking.
 */
#include "loop/wait.h"

#include "base/clock.h"
#include "fiber/fiber.h"

#include "base/sys.h"

#include <errno.h>
#include <sched.h>
#include <socketserver/fiber.h>
#include <unistd.h>

#define PAUSE_MOST_MS 32

/* No wait begins once the task is cancelled. */
static int
refused(const struct sks_task *task)
{
	if (!sks_task_is_cancelled(task))
		return 0;
	errno = ECANCELED;
	return 1;
}

/* Its last call is in the place of this one: what a parked fiber keeps is fetched at each wake-up. */
int
sks_wait_readable(int fd, struct sks_watch *watch, struct sks_preread *preread,
    int64_t deadline)
{
	struct sks_task *task = sks_task_current();

	if (task->fiber == NULL || watch == NULL || watch->set != &task->loop->watches)
		return sks_wait_any(fd, SKS_READ, deadline) == -1 ? -1 : 0;
	if (refused(task))
		return -1;
	return sks_wait_fiber_readable(task, watch, preread, sks_min64(deadline, task->deadline));
}

int
sks_wait_any(int fd, int events, int64_t deadline)
{
	struct sks_task *task = sks_task_current();

	if (refused(task))
		return -1;
	deadline = sks_min64(deadline, task->deadline);
	if (task->fiber == NULL)
		return sks_wait_thread_any(fd, events, deadline);
	return sks_wait_fiber_any(fd, events, deadline);
}

int
sks_wait_look(int fd, int events)
{
	struct sks_task *task = sks_task_current();

	task->calls++; /* a handler that only looks, again and again, must let others run */
	sks_wait_fair(task);
	return refused(task) ? -1 : sks_wait_thread_any(fd, events, 0);
}

int
sks_wait_writable(int fd, int64_t deadline)
{
	return sks_wait_any(fd, SKS_WRITE, deadline) == -1 ? -1 : 0;
}

int
sks_wait_until(int64_t moment)
{
	struct sks_task *task = sks_task_current();
	int64_t deadline = sks_min64(moment, task->deadline);
	int rc;

	if (refused(task))
		return -1;
	if (task->fiber == NULL)
		rc = sks_wait_thread_any(-1, 0, deadline);
	else
		rc = sks_wait_parked(deadline);
	if (rc == -1 && errno == ETIMEDOUT && deadline == moment)
		return 0;
	return rc;
}

int
sks_wait_pause(int *pause_ms, int64_t deadline)
{
	if (sks_clock_left(deadline) == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	*pause_ms = *pause_ms == 0 ? 1 : *pause_ms < PAUSE_MOST_MS ? *pause_ms * 2 : PAUSE_MOST_MS;
	return sks_wait_until(sks_min64(sks_clock_after(*pause_ms), deadline));
}

int
sks_wait_word(int64_t deadline)
{
	const struct sks_task *task = sks_task_current();

	return refused(task) ? -1 : sks_wait_parked(sks_min64(deadline, task->deadline));
}

int
sks_wait_may(void)
{
	const struct sks_task *task = sks_task_current();

	if (refused(task))
		return -1;
	if (task->deadline == SKS_NEVER || sks_clock_ms() < task->deadline)
		return 0;
	errno = ETIMEDOUT;
	return -1;
}

void
sks_wait_turn(void)
{
	struct sks_task *task = sks_task_current();

	if (task->fiber == NULL) {
		sched_yield();
		return;
	}
	sks_loop_ready(task->loop, task);
	sks_fiber_suspend();
}

void
sks_wait_fair(struct sks_task *task)
{
	if (!sks_wait_was_long(task))
		return;
	if (task->fiber != NULL)
		sks_wait_turn();
	task->calls = 0;
	task->lines = 0;
	task->bytes = 0;
}

void
sks_wait_cancel(struct sks_task *task)
{
	atomic_store(&task->cancelled, 1);
	sks_wait_end(task, ECANCELED);
}

int
sks_cancel_init(struct sks_cancel *cancel)
{
	atomic_init(&cancel->on, 0);
	cancel->up = NULL;
	cancel->fd = sks_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return cancel->fd == -1 ? -1 : 0;
}

void
sks_cancel_set(struct sks_cancel *cancel, int on)
{
	static const uint64_t one = 1;
	uint64_t count;
	int error = errno;

	atomic_store(&cancel->on, on);
	if (on)
		(void)!write(cancel->fd, &one, sizeof(one));
	else
		(void)!read(cancel->fd, &count, sizeof(count));
	errno = error;
}
