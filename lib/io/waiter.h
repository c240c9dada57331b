/* SPDX-License-Identifier: MIT */
/*
 * waiter.h - a wait for word from another task: of the same loop, of another
 * one, or a thread.
 *
 * Locks, channels, children and helper threads all need the same: a task says
 * that it waits, somebody else decides that it need not any more, and tells
 * it. A fiber of another loop is told by a message, a thread by an eventfd
 * that it polls beside the one that cancels it (a condition variable could
 * not be waited for together with that).
 *
 * The waiter lies in memory of who waits, on its stack as a rule, and the
 * word may be on its way when the wait ends for another reason. So whoever
 * tells first marks the waiter as chosen, under a lock of its own that the
 * task looks under when its wait failed; a chosen one then holds until the
 * word has arrived, and nobody holds a pointer to it any more.
 */
#ifndef SKS_IO_WAITER_H
#define SKS_IO_WAITER_H

#include "base/list.h"
#include "io/loop.h"

struct sks_waiter {
	struct sks_message message;
	struct sks_list link; /* among those who wait, under the owner's lock */
	struct sks_task *task;
	int chosen;           /* it will be told; under the owner's lock */
	int held;             /* a fiber that nothing but the word ends */
	atomic_int told;      /* the word has arrived */
	int fd;               /* a thread: the eventfd it polls; else -1 */
};

/* For the current task, once it has flushed. 0, or -1: EMFILE, ENFILE, ENOMEM (on a thread). */
int sks_waiter_init(struct sks_waiter *w);
void sks_waiter_end(struct sks_waiter *w);

/* Until told (0), or -1 as every wait: ECANCELED, ETIMEDOUT, ENOMEM. */
int sks_waiter_wait(struct sks_waiter *w, int64_t deadline);

/* Until told, whatever happens meanwhile. Keeps errno. */
void sks_waiter_hold(struct sks_waiter *w);

/* From any thread, once for each waiter. It may be gone after this. */
void sks_waiter_tell(struct sks_waiter *w);

#endif
