/* SPDX-License-Identifier: MIT */
/*
 * sks_offload: runs a function that blocks on a helper thread.
 *
 * Its argument is as a rule on the stack of the task that waits. So a function that has begun is
 * waited for, even if the task is cancelled. One that is still queued is taken back instead:
 * it has not run then, and the caller learns that.
 */
#include "base/clock.h"
#include "loop/completion.h"
#include "loop/helpers.h"
#include "loop/wait.h"
#include "stream/flush.h"

#include <errno.h>
#include <socketserver/fiber.h>

struct offload {
	struct sks_work work;
	struct sks_completion completion;
	void (*run)(void *arg);
	void *arg;
};

static void
run_work(struct sks_work *work)
{
	struct offload *o = sks_container_of(work, struct offload, work);

	o->run(o->arg);
}

static void
work_done(struct sks_work *work)
{
	sks_complete(&sks_container_of(work, struct offload, work)->completion);
}

static int
offload(void (*run)(void *arg), void *arg)
{
	struct offload o = {
		.work = { .run = run_work, .done = work_done },
		.run = run,
		.arg = arg,
	};

	if (sks_completion_init(&o.completion) == -1 ||
	    sks_thread_pool_submit(&sks_helpers_offload, &o.work) == -1)
		return -1;
	if (sks_completion_wait(&o.completion, SKS_NEVER) == 0)
		return 0;
	if (sks_thread_pool_cancel(&sks_helpers_offload, &o.work))
		return -1;
	sks_completion_wait_certain(&o.completion);
	return 0;
}

int
sks_offload(void (*run)(void *arg), void *arg)
{
	struct sks_task *task = sks_task_current();
	const char *outer;
	int rc = 0;

	sks_flush_dirty();
	if (sks_wait_check() == -1)
		return -1;
	outer = atomic_load_explicit(&task->place, memory_order_relaxed);
	sks_task_enter(task, "sks_offload");
	if (task->fiber != NULL)
		rc = offload(run, arg);
	else
		run(arg);
	sks_task_enter(task, outer);
	return rc;
}
