/* SPDX-License-Identifier: MIT */
/*
 * completion.h - a wait for word from another task: of the same loop, of another
 * one, or a thread.
 *
 * Locks, channels, children and helper threads all need the same: a task says
 * that it waits, somebody else decides that it need not any more, and tells
 * it. A fiber of another loop is told by a message, a thread by an eventfd
 * that it polls beside the one that cancels it (a condition variable could
 * not be waited for together with that).
 *
 * The completion lies in memory of who waits, on its stack as a rule, and the
 * word may be on its way when the wait ends for another reason. So whoever
 * tells first marks the completion as claimed, under a lock of its own that the
 * task looks under when its wait failed; a claimed one then holds until the
 * word has arrived, and nobody holds a pointer to it any more.
 */
#ifndef SKS_LOOP_COMPLETION_H
#define SKS_LOOP_COMPLETION_H

#include "base/list.h"
#include "loop/loop.h"

struct sks_completion {
	struct sks_message message;
	struct sks_list link; /* among those who wait, under the owner's lock */
	struct sks_task *task;
	int claimed;           /* it will be told; under the owner's lock */
	int held;             /* a fiber that nothing but the word ends */
	atomic_int completed; /* the word has arrived */
	int fd;               /* a thread: the eventfd it polls; else -1 */
};

/* For the current task, once it has flushed. 0, or -1: EMFILE, ENFILE, ENOMEM (on a thread). */
int sks_completion_init(struct sks_completion *w);
void sks_completion_end(struct sks_completion *w);

/* Until told (0), or -1 as every wait: ECANCELED, ETIMEDOUT, ENOMEM. */
int sks_completion_wait(struct sks_completion *w, int64_t deadline);

/* Until told, whatever happens meanwhile. Keeps errno. */
void sks_completion_wait_certain(struct sks_completion *w);

/* From any thread, once for each completion. It may be gone after this. */
void sks_complete(struct sks_completion *w);

#endif
