/* SPDX-License-Identifier: MIT */
/*
 * process_child.h - how a forked child process begins, rests and leaves.
 */
#ifndef SKS_SERVER_PROCESS_CHILD_H
#define SKS_SERVER_PROCESS_CHILD_H

#include "fiber/task.h"
#include "stream/peer_wait.h"

#include <signal.h>
#include <stdatomic.h>

/*
 * In a child that was just forked with all signals blocked: makes `task`, a new one, the task
 * of this process, and lets signals through as `mask` says. The task is cancelled by SIGTERM, by
 * SIGINT and SIGHUP unless the host ignores them, and by cancel_all, which may be shared with
 * other processes. A child that leaves with 0 adds one to *ended_well, which lies in memory that
 * the parent shares.
 */
void sks_process_child_begin(struct sks_task *task, const struct sks_cancel *cancel_all,
    const sigset_t *mask, atomic_uint *ended_well);

/*
 * The handler is through: from now on the waits of the task are ended by `closing`, and by SIGTERM
 * when the connection is evicted (sks_peer_wait_is_evicted(wait)).
 */
void sks_process_child_end_handler(struct sks_task *task, const struct sks_cancel *closing,
    const struct sks_peer_wait *wait);

/* Returns 1 in a child process that serves a request. Any thread may call it. */
int sks_process_child_is_here(void);

/*
 * Returns 0 in a process that a handler has forked in such a child, as by daemon(3): the request
 * ends with the child, and what is shared with the parent may be another request's by then.
 */
int sks_process_child_is_own(void);

/*
 * Between two exchanges: waits until fd is readable. 1, or 0 when the deadline came, the task
 * was cancelled, or drain_fd is readable and fd is not.
 */
int sks_process_child_rest(int fd, int drain_fd, int64_t deadline);

/* Writes what this process has printed, and ends it without running anything of the host. */
_Noreturn void sks_process_child_leave(int status);

#endif
