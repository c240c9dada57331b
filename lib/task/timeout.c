/* SPDX-License-Identifier: MIT */
/*
 * A time limit over several calls (task->scope): the deadline of the task moves nearer, and back
 * at the end. No timer is set for it, so such a limit costs two looks at the clock.
 */
#include "base/clock.h"
#include "base/util.h"
#include "fiber/task.h"

#include <socketserver/task.h>

int
sks_timeout_begin(struct sks_timeout *timeout, int ms)
{
	struct sks_task *task = sks_task_current();
	int64_t moment;
	int rc = sks_limit_begin(ms, &moment);

	*timeout = (struct sks_timeout){ .moment = moment, .outer = task->scope };
	sks_task_limit(task, task->limit, sks_min64(task->scope, moment));
	return rc;
}

int
sks_timeout_end(struct sks_timeout *timeout)
{
	struct sks_task *task = sks_task_current();

	sks_task_limit(task, task->limit, timeout->outer);
	return timeout->moment != SKS_NEVER && sks_clock_ms() >= timeout->moment;
}
