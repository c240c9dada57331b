/* SPDX-License-Identifier: MIT */
/*
 * What every wait has in common, and the choice between parking and blocking.
 */
#include "loop/wait.h"

#include "base/clock.h"
#include "base/probe.h"
#include "fiber/fiber.h"

#include <errno.h>
#include <sched.h>
#include <socketserver/fiber.h>

#define PAUSE_MOST_MS 32

int
sks_wait_failed(struct sks_task *task, int64_t deadline)
{
	switch (errno) {
	case ETIMEDOUT:
		task->wait_end = task->deadline < deadline ? SKS_WAIT_DEADLINE : SKS_WAIT_TIMEOUT;
		break;
	case ECANCELED:
		task->wait_end = SKS_WAIT_CANCELLED;
		break;
	default:
		task->wait_end = SKS_WAIT_ERROR;
		break;
	}
	return -1;
}

/* A write that waits may read ahead meanwhile, and so waits for both. */
static enum sks_wait_for
meaning_of(int events)
{
	return events & SKS_WRITE ? SKS_WAIT_FOR_OUTPUT :
		events & SKS_READ ? SKS_WAIT_FOR_INPUT :
				    SKS_WAIT_FOR_OTHERS;
}

/* No wait begins once the task is cancelled: -1. */
static int
check_cancelled(struct sks_task *task)
{
	if (!sks_task_is_cancelled(task))
		return 0;
	errno = ECANCELED;
	return sks_wait_failed(task, SKS_NEVER);
}

int
sks_wait_readable(int fd, struct sks_watch *watch, struct sks_preread *preread, int64_t deadline)
{
	struct sks_task *task = sks_task_current();
	int rc;

	if (task->fiber == NULL || watch == NULL || watch->set != &task->loop->watches)
		return sks_wait_events(fd, SKS_READ, deadline) == -1 ? -1 : 0;
	task->wait_for = SKS_WAIT_FOR_INPUT;
	if (check_cancelled(task) == -1)
		return -1;
	SKS_PROBE2(wait__begin, fd, SKS_READ);
	rc = sks_wait_fiber_readable(task, watch, preread, sks_min64(deadline, task->deadline));
	SKS_PROBE2(wait__end, fd, rc);
	return rc == 0 ? 0 : sks_wait_failed(task, deadline);
}

int
sks_wait_events(int fd, int events, int64_t deadline)
{
	struct sks_task *task = sks_task_current();
	int64_t until = sks_min64(deadline, task->deadline);
	int got;

	task->wait_for = meaning_of(events);
	if (check_cancelled(task) == -1)
		return -1;
	SKS_PROBE2(wait__begin, fd, events);
	got = task->fiber != NULL ? sks_wait_fiber_events(fd, events, until) :
				    sks_wait_thread_events(fd, events, until);
	SKS_PROBE2(wait__end, fd, got);
	return got != -1 ? got : sks_wait_failed(task, deadline);
}

int
sks_wait_look(int fd, int events)
{
	struct sks_task *task = sks_task_current();
	int got;

	task->calls++; /* a handler that only looks, again and again, must let others run */
	sks_wait_yield_if_due(task);
	if (check_cancelled(task) == -1)
		return -1;
	got = sks_wait_thread_events(fd, events, 0);
	return got != -1 ? got : sks_wait_failed(task, 0);
}

int
sks_wait_until(int64_t moment)
{
	int rc = sks_wait_events(-1, 0, moment);

	return rc == -1 && sks_task_current()->wait_end == SKS_WAIT_TIMEOUT ? 0 : rc;
}

int
sks_wait_backoff(int *pause_ms, int64_t deadline)
{
	if (sks_clock_left(deadline) == 0) {
		errno = ETIMEDOUT;
		return sks_wait_failed(sks_task_current(), deadline);
	}
	*pause_ms = *pause_ms == 0 ? 1 : *pause_ms < PAUSE_MOST_MS ? *pause_ms * 2 : PAUSE_MOST_MS;
	return sks_wait_until(sks_min64(sks_clock_after(*pause_ms), deadline));
}

int
sks_wait_check(void)
{
	struct sks_task *task = sks_task_current();

	if (check_cancelled(task) == -1)
		return -1;
	if (task->deadline == SKS_NEVER || sks_clock_ms() < task->deadline)
		return 0;
	errno = ETIMEDOUT;
	return sks_wait_failed(task, SKS_NEVER);
}

void
sks_wait_yield(void)
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
sks_wait_yield_if_due(struct sks_task *task)
{
	if (!sks_task_budget_is_spent(task))
		return;
	if (task->fiber != NULL)
		sks_wait_yield();
	sks_task_renew_budget(task);
}
