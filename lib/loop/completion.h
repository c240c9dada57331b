/* SPDX-License-Identifier: MIT */
/*
 * completion.h - one task waits until another one completes something: a task of the
 * same loop, of another loop, or a thread.
 *
 * Locks, channels, children and helper threads all need the same. A task says that it
 * waits; another one decides that it need not wait any more, and wakes it: a fiber of
 * another loop by a message, a thread by an eventfd that it polls beside the one that
 * cancels it (it could not wait for a condition variable together with that).
 *
 * A completion lies on the stack of the task that waits. The wake-up may be on its way
 * when the wait ends for another reason, and then the stack must not go. So the task
 * that completes it claims it before, under its own lock. The task that waits
 * looks under the same lock when its wait has failed: a claimed completion has to be
 * waited for until the wake-up has arrived (sks_completion_wait_in_list()).
 */
#ifndef SKS_LOOP_COMPLETION_H
#define SKS_LOOP_COMPLETION_H

#include "base/list.h"
#include "loop/loop.h"

struct sks_completion {
	struct sks_message message;
	struct sks_list link;  /* among those that wait for the same; under the owner's lock */
	struct sks_task *task; /* which waits */
	int claimed;           /* it will be completed; under the owner's lock */
	int certain;           /* the fiber's wait ends by nothing else */
	atomic_int completed;  /* the wake-up has arrived */
	int fd;                /* a thread: the eventfd that it polls; a fiber: -1 */
};

/* Makes one for the current task, which has flushed. 0; -1 on a thread: EMFILE, ENFILE, ENOMEM. */
int sks_completion_init(struct sks_completion *completion);

/* Gives back what init has made, on the same task, when no wake-up is on its way. Keeps errno. */
void sks_completion_end(struct sks_completion *completion);

/* Waits until it is completed (0), or -1 as every wait: ECANCELED, ETIMEDOUT, ENOMEM. */
int sks_completion_wait(struct sks_completion *completion, int64_t deadline);

/*
 * Does so for one that stands in a list of its owner, under the owner's lock. After -1 it is in no
 * list any more, and nobody has claimed it.
 */
int sks_completion_wait_in_list(struct sks_completion *completion, pthread_mutex_t *lock);

/* Waits until it is completed, whatever happens meanwhile. Keeps errno. */
void sks_completion_wait_certain(struct sks_completion *completion);

/*
 * Under the owner's lock: takes the one that has waited longest off a list, for sks_complete().
 * NULL: the list is empty.
 */
struct sks_completion *sks_completion_claim(struct sks_list *waiters);

/* From any thread, once: wakes the task that waits. The completion may be gone after this. */
void sks_complete(struct sks_completion *completion);

#endif
