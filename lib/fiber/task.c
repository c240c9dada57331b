/* SPDX-License-Identifier: MIT */
#include "fiber/task.h"

#include <stddef.h>

_Thread_local struct sks_task *sks_task_now;
static _Thread_local struct sks_task thread_task;

static const struct sks_log_origin *
find_origin(void)
{
	return sks_task_now != NULL ? &sks_task_now->origin : NULL;
}

/* The log lies below the tasks, so it is told how to ask them. */
__attribute__((constructor)) static void
tell_log(void)
{
	sks_log_find_origin = find_origin;
}

void
sks_task_init(struct sks_task *task)
{
	*task = (struct sks_task){ 0 };
	sks_task_limit(task, INT64_MAX, INT64_MAX);
	sks_list_init(&task->children);
	sks_list_init(&task->dirty);
	sks_list_init(&task->ready);
}

struct sks_task *
sks_task_adopt_thread(void)
{
	sks_task_init(&thread_task);
	sks_task_now = &thread_task;
	return sks_task_now;
}
