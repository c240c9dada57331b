/* SPDX-License-Identifier: MIT */
/*
 * child.h - the end of children that nobody has joined (socketserver/task.h has the rest).
 */
#ifndef SKS_TASK_CHILD_H
#define SKS_TASK_CHILD_H

#include "fiber/task.h"

/* The slow path of sks_children_end(). */
void sks_children_end_all(struct sks_task *task);

/*
 * Cancels the children of the current task and waits for their end, except those that it had
 * before the innermost handler that it runs. Keeps errno.
 */
static inline void
sks_children_end(struct sks_task *task)
{
	if (!sks_list_empty(&task->children))
		sks_children_end_all(task);
}

/* Cancels all children of a fiber, and theirs. On the thread of its loop. */
void sks_children_cancel(struct sks_task *task);

#endif
