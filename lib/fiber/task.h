/* SPDX-License-Identifier: MIT */
/*
 * task.h - what runs sequential code: a fiber on a loop, or a plain thread.
 *
 * Streams, servers and the calls that wait never ask which of the two they run on:
 * they ask for the current task and hand it to the waits of lib/loop. The current
 * task is one thread-local pointer, which the switch of fibers sets. A thread that
 * never ran a fiber gets a task of its own when it first asks.
 */
#ifndef SKS_FIBER_TASK_H
#define SKS_FIBER_TASK_H

#include "base/list.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdint.h>

struct sks_buf_pool;
struct sks_fiber;
struct sks_loop;

/* Ends the waits of many threads or child processes at once (loop/cancel.h). */
struct sks_cancel {
	atomic_int on;
	int fd;                      /* an eventfd: readable while on is set */
	const struct sks_cancel *up; /* it ends the same waits, and more; NULL: there is none */
	unsigned int forks;          /* sks_forks when it was made: elsewhere it is a copy */
};

#define SKS_CANCEL_MOST 17 /* stand above each other: two of a handler, 15 of its children */

/* The reasons why a wait has failed, where errno is not enough. */
enum sks_wait_end {
	SKS_WAIT_NEVER_FAILED,
	SKS_WAIT_IDLE,      /* ETIMEDOUT: no input came for idle_ms */
	SKS_WAIT_TIMEOUT,   /* ETIMEDOUT: another time limit of the call has passed */
	SKS_WAIT_DEADLINE,  /* ETIMEDOUT: that of the task has, of all its calls together */
	SKS_WAIT_SLOW,      /* ETIMEDOUT: the peer was slower than min_rate */
	SKS_WAIT_CANCELLED, /* ECANCELED */
	SKS_WAIT_ERROR      /* any other errno: there could be no wait */
};

/* The kinds of waits; a report says which one was cancelled. */
enum sks_wait_for {
	SKS_WAIT_FOR_INPUT,
	SKS_WAIT_FOR_OUTPUT,
	SKS_WAIT_FOR_ANY,   /* of many descriptors */
	SKS_WAIT_FOR_OTHERS
};

struct sks_task {
	struct sks_fiber *fiber;   /* NULL: this task is a thread */
	struct sks_loop *loop;     /* which resumes the fiber; NULL on a thread */
	struct sks_buf_pool *bufs; /* idle memory for its streams; NULL: only malloc(3) */
	struct sks_list dirty;     /* wfiles with unsent bytes, which are sent before each wait */
	int64_t deadline;          /* of all its waits, as of sks_clock_ms(); INT64_MAX: none */
	struct sks_cancel *cancel; /* of a thread: ends its waits; NULL: nothing does */
	atomic_int cancelled;      /* each wait fails with ECANCELED */
	unsigned int parked;       /* not 0: a fiber that is in a wait, which nothing has ended yet */
	int wake_error;            /* what has ended that wait: 0, or an errno */
	int shares;                /* other threads may use its streams: its children, its parent */
	unsigned int calls;        /* its budget: system calls since the loop has resumed it, */
	unsigned int lines;        /* lines that were in the buffer already, */
	size_t bytes;              /* and bytes read or written */
	/* Not every wait needs the members from here on. */
	enum sks_wait_end wait_end;
	enum sks_wait_for wait_for; /* of SKS_WAIT_CANCELLED */
	struct sks_list ready;     /* in the loop's list of fibers to resume */
	int64_t limit;             /* deadline is the earlier of this one, by sks_deadline(), */
	int64_t scope;             /* and that of the innermost sks_timeout_begin() */
	_Atomic(const char *) place; /* what of the library it is in that nothing cancels, for
	                              reports of any thread; NULL: it is elsewhere */
	struct sks_log_origin origin; /* the handler, and whom the task serves, for reports */
	struct sks_list children;  /* struct sks_child: started by the task and not joined */
	int nesting;               /* handlers that it runs inside of each other, less one */
	int gai_error;             /* EAI_ code of its last look-up of a name; 0: none */
};

/*
 * One client with much to say must not keep the loop from the others. So a fiber
 * has a budget for each resume, and yields when it is spent.
 */
#define SKS_BUDGET_CALLS 32
#define SKS_BUDGET_LINES 1024
#define SKS_BUDGET_BYTES (256 * 1024)

static inline int
sks_task_budget_is_spent(const struct sks_task *task)
{
	return task->calls >= SKS_BUDGET_CALLS || task->bytes >= SKS_BUDGET_BYTES ||
	    task->lines >= SKS_BUDGET_LINES;
}

static inline void
sks_task_renew_budget(struct sks_task *task)
{
	task->calls = 0;
	task->lines = 0;
	task->bytes = 0;
}

extern _Thread_local struct sks_task *sks_task_now
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Makes the calling thread a task, and the current one of this thread. Returns it. */
struct sks_task *sks_task_adopt_thread(void);

/* Returns the task that runs on the calling thread now; never NULL. */
static inline struct sks_task *
sks_task_current(void)
{
	return sks_task_now != NULL ? sks_task_now : sks_task_adopt_thread();
}

/* On the task: returns 1 when each of its waits fails from now on. */
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

/* Sets the two moments of which the earlier one is the task's deadline; INT64_MAX: none. */
static inline void
sks_task_limit(struct sks_task *task, int64_t limit, int64_t scope)
{
	task->limit = limit;
	task->scope = scope;
	task->deadline = limit < scope ? limit : scope;
}

/* The task enters such a place, or leaves it: NULL. */
static inline void
sks_task_enter(struct sks_task *task, const char *place)
{
	atomic_store_explicit(&task->place, place, memory_order_relaxed);
}

/* Makes it a task with nothing unsent, no deadline, and not cancelled. */
void sks_task_init(struct sks_task *task);

#endif
