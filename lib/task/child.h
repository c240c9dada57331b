/* SPDX-License-Identifier: MIT */
/*
 * child.h - the end of children that nobody has joined.
 */
#ifndef SKS_TASK_CHILD_H
#define SKS_TASK_CHILD_H

#include "fiber/task.h"

void sks_children_end_all(struct sks_task *task);

/*
 * The current task: cancels its children and waits for them, except those it
 * had before the innermost handler that it runs. Keeps errno.
 */
static inline void
sks_children_end(struct sks_task *task)
{
	if (!sks_list_empty(&task->children))
		sks_children_end_all(task);
}

/* A fiber, from its loop's thread: what it has started is cancelled too. */
void sks_children_cancel(struct sks_task *task);

#endif
