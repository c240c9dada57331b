/* SPDX-License-Identifier: MIT */
/*
 * task.h - what runs sequential code: a fiber on a loop, or a plain thread.
 *
 * Streams, servers and the calls that wait never ask which of the two they
 * run on: they ask for the current task and hand it to the wait of lib/loop.
 * The current task is one thread-local pointer, which the fiber switch sets;
 * a thread that never was a fiber gets a task of its own at its first call.
 */
#ifndef SKS_FIBER_TASK_H
#define SKS_FIBER_TASK_H

#include "base/list.h"

#include <stdatomic.h>
#include <stdint.h>

struct sks_fiber;
struct sks_loop;

/* Ends the waits of many threads or child processes at once. */
struct sks_cancel {
	atomic_int on;
	int fd; /* an eventfd, readable from then on */
	const struct sks_cancel *up; /* which ends them too; NULL: none */
};

#define SKS_CANCEL_MOST 16 /* of them above each other */

struct sks_task {
	struct sks_fiber *fiber;  /* NULL: this task is a thread */
	struct sks_loop *loop;    /* the loop that resumes the fiber; NULL on a thread */
	struct sks_list dirty;    /* wfiles with unsent bytes, flushed before each wait */
	int64_t deadline;         /* over all its waits, monotonic ms; INT64_MAX: none */
	struct sks_cancel *cancel; /* a thread or child: what ends its waits; NULL: nothing does */
	atomic_int cancelled;     /* every wait answers ECANCELED */
	int parked;               /* a fiber: in a wait that nothing has ended yet */
	int wake_error;           /* a fiber: what ended the wait: 0 or an errno */
	unsigned int calls;       /* fairness budget used since it was last resumed: */
	unsigned int lines;       /* system calls, buffered lines */
	int shares;               /* it and other threads may have streams in common */
	size_t bytes;             /* the third of the budget: bytes moved */
	/* from here on, what not every wait touches */
	struct sks_list ready;    /* link in the loop's list of fibers to resume */
	int64_t limit;            /* the deadline is the earlier of its exchange's, by */
	int64_t scope;            /* sks_deadline(), and of its innermost sks_timeout */
	const char *name;         /* the handler's, for reports; may be NULL */
	const struct sockaddr *peer; /* whom it serves, for reports; may be NULL */
	unsigned int peer_len;
	struct sks_list children; /* struct sks_child: started by it and not joined */
	int nesting;              /* handlers that it runs inside of each other, less one */
	int gai_error;            /* EAI_ code of its last look-up of a name; 0: none */
};

extern _Thread_local struct sks_task *sks_task_now
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

struct sks_task *sks_task_adopt_thread(void);

/* The task that runs now; never NULL. */
static inline struct sks_task *
sks_task_current(void)
{
	return sks_task_now != NULL ? sks_task_now : sks_task_adopt_thread();
}

static inline int
sks_task_is_cancelled(const struct sks_task *task)
{
	const struct sks_cancel *cancel = task->cancel;

	if (atomic_load_explicit(&task->cancelled, memory_order_relaxed))
		return 1;
	while (cancel != NULL && !atomic_load_explicit(&cancel->on, memory_order_relaxed))
		cancel = cancel->up;
	return cancel != NULL;
}

/* Its two time limits, each a moment or INT64_MAX; the earlier one counts. */
static inline void
sks_task_limit(struct sks_task *task, int64_t limit, int64_t scope)
{
	task->limit = limit;
	task->scope = scope;
	task->deadline = limit < scope ? limit : scope;
}

/* A fresh task: nothing dirty, no deadline, not cancelled. */
void sks_task_init(struct sks_task *task);

#endif
