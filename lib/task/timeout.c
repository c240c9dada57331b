/* SPDX-License-Identifier: MIT */
/*
 * A time limit over several calls: the task's own deadline moves nearer, and
 * back. Nothing is armed for it, so a scope costs two looks at the clock.
 */
#include "base/clock.h"
#include "base/util.h"
#include "fiber/task.h"

#include <socketserver/task.h>

void
sks_timeout_begin(struct sks_timeout *timeout, int ms)
{
	struct sks_task *task = sks_task_current();

	*timeout = (struct sks_timeout){
		.moment = sks_clock_after(ms > 0 ? ms : -1),
		.outer = task->scope,
	};
	sks_task_limit(task, task->limit, sks_min64(task->scope, timeout->moment));
}

int
sks_timeout_end(struct sks_timeout *timeout)
{
	struct sks_task *task = sks_task_current();

	sks_task_limit(task, task->limit, timeout->outer);
	return timeout->moment != SKS_NEVER && sks_clock_ms() >= timeout->moment;
}
