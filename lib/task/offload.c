/* SPDX-License-Identifier: MIT */
/*
 * sks_offload: a function that blocks. For a fiber it runs on a helper thread; a thread runs it
 * itself.
 */
#include "loop/blocking.h"
#include "loop/wait.h"
#include "stream/flush.h"

#include <socketserver/fiber.h>

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
		rc = sks_blocking_run(run, arg);
	else
		run(arg);
	sks_task_enter(task, outer);
	return rc;
}
