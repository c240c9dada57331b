/* SPDX-License-Identifier: MIT */
/*
 * A function that blocks, for a fiber that waits for it.
 *
 * Its argument is as a rule on the stack of the fiber. So a function that has begun is waited for,
 * even if the fiber is cancelled. One that is still queued is taken back instead: it has not run
 * then, and the caller learns that.
 */
#include "loop/blocking.h"

#include "base/clock.h"
#include "loop/completion.h"
#include "loop/helpers.h"

struct blocking {
	struct sks_work work;
	struct sks_completion completion;
	void (*run)(void *arg);
	void *arg;
};

static void
run_work(struct sks_work *work)
{
	struct blocking *b = sks_container_of(work, struct blocking, work);

	b->run(b->arg);
}

static void
work_done(struct sks_work *work)
{
	sks_complete(&sks_container_of(work, struct blocking, work)->completion);
}

int
sks_blocking_run(void (*run)(void *arg), void *arg)
{
	struct blocking b = {
		.work = { .run = run_work, .done = work_done },
		.run = run,
		.arg = arg,
	};

	if (sks_completion_init(&b.completion) == -1 ||
	    sks_thread_pool_submit(&sks_helpers_offload, &b.work) == -1)
		return -1;
	if (sks_completion_wait(&b.completion, SKS_NEVER) == 0)
		return 0;
	if (sks_thread_pool_cancel(&sks_helpers_offload, &b.work))
		return -1;
	sks_completion_wait_certain(&b.completion);
	return 0;
}
