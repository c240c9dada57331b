/* SPDX-License-Identifier: MIT */
/*
 * process_child.h - how a forked child process begins, rests and leaves.
 */
#ifndef SKS_SERVER_PROCESS_CHILD_H
#define SKS_SERVER_PROCESS_CHILD_H

#include "fiber/task.h"

#include <signal.h>

/*
 * In a child that was just forked with all signals blocked: makes `task`, a new one, the task
 * of this process, and lets signals through as `mask` says. SIGINT, SIGTERM and SIGHUP cancel
 * the task; so does cancel_all, which may be shared with other processes.
 */
void sks_process_child_begin(struct sks_task *task, const struct sks_cancel *cancel_all,
    const sigset_t *mask);

/*
 * Between two exchanges: waits until fd is readable. 1, or 0 when the deadline came, the task
 * was cancelled or drain_fd is readable.
 */
int sks_process_child_rest(int fd, int drain_fd, int64_t deadline);

/* Writes what this process has printed, and ends it without running anything of the host. */
_Noreturn void sks_process_child_leave(int status);

#endif
