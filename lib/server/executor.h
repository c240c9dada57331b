/* SPDX-License-Identifier: MIT */
/*
 * executor.h - where calls run: on fibers, on threads or in processes, each in a file of the
 * same shape. An executor knows calls, never servers.
 *
 * At most max_running calls run at once; the others wait in a queue, first
 * come first served. While the executor is held all calls wait that do not run yet.
 */
#ifndef SKS_SERVER_EXECUTOR_H
#define SKS_SERVER_EXECUTOR_H

#include "server/call.h"

#include <stddef.h>

/* The ways to bring the calls that run to their end, from the gentlest to the last. */
enum sks_executor_stop {
	SKS_EXECUTOR_DRAIN,  /* resident calls that rest between two exchanges end */
	SKS_EXECUTOR_CANCEL, /* every wait answers ECANCELED, except in finish */
	SKS_EXECUTOR_CLOSE,  /* so do the waits of resident calls whose handler is through */
	SKS_EXECUTOR_KILL,   /* what can be ended whatever it does ends */
	SKS_EXECUTOR_ABORT   /* as KILL where that is possible, else as CANCEL, also in finish */
};

struct sks_executor_ops {
	/*
	 * Lets call->ops->run(call) run on a task and then sks_executor_done(call) on the
	 * loop. On the loop's own stack. 0, or -1: no means for one more task.
	 */
	int (*start)(struct sks_executor *, struct sks_call *);
	/* Brings the calls that run to their end. Ways that an executor lacks do nothing. */
	void (*stop)(struct sks_executor *, enum sks_executor_stop);
	/* Calls that start from now on are not stopped any more. May be NULL. */
	void (*reset)(struct sks_executor *);
	/* After SKS_EXECUTOR_ABORT: lets calls end; may block until the next one has. */
	void (*await)(struct sks_executor *);
	/* Has the waits of one call that runs answer ECANCELED, except in finish. */
	void (*evict)(struct sks_executor *, struct sks_call *);
	/*
	 * Returns 1 while a child process that was just forked still has the listeners, which
	 * in_child() closes. May be NULL: there are none.
	 */
	int (*has_copies)(const struct sks_executor *);
	/*
	 * In a child process of the host: the executor is a copy, and what runs its calls exists
	 * only in the parent. Forgets it, so that nothing is waited for.
	 */
	void (*forget)(struct sks_executor *);
	/* Returns how many tasks are kept for the next calls. Any thread. NULL where none are. */
	size_t (*idle)(struct sks_executor *);
	/* Frees the executor. No call runs. */
	void (*free)(struct sks_executor *);
};

struct sks_executor {
	const struct sks_executor_ops *ops;
	struct sks_loop *loop;
	int may_evict;          /* calls may be ended for others */
	int beside_loop;        /* calls run on other threads than the loop's */
	struct sks_cancel *draining; /* what SKS_EXECUTOR_DRAIN sets; NULL: no call is resident */
	struct sks_cancel *closing;  /* what SKS_EXECUTOR_CLOSE sets; likewise */
	atomic_int running;     /* calls; changed on the loop's thread only */
	int max_running;
	atomic_int is_held;     /* no call starts; changed on the loop's thread only */
	struct sks_list queue;
	atomic_int waiting;     /* calls in the queue */
	struct sks_list active; /* the calls that run */
	struct event retry;     /* when nothing could be run, the timer that tries it again */
	struct sks_job give_up; /* when there was no memory for that timer either */
	int tries;
	/* The owner sets these. */
	void (*in_child)(void *arg, struct sks_call *); /* in a child process, before it runs */
	void (*on_room)(void *arg); /* one more call may run */
	void (*on_wait)(void *arg); /* a call waits for its turn; NULL: nobody wants to know */
	void *arg;
};

/* Each makes an executor of its kind, or returns NULL with ENOMEM, EMFILE or ENFILE. */
struct sks_executor *sks_fiber_executor_new(struct sks_loop *loop,
    const struct sks_service *service);
struct sks_executor *sks_thread_executor_new(struct sks_loop *loop,
    const struct sks_service *service);
struct sks_executor *sks_process_executor_new(struct sks_loop *loop,
    const struct sks_service *service);

/* Fills in the common part; for the files of each kind. */
void sks_executor_init(struct sks_executor *executor, const struct sks_executor_ops *ops,
    struct sks_loop *loop, const struct sks_service *service);

/* Frees it; NULL is fine. Keeps errno. */
void sks_executor_free(struct sks_executor *executor);

/* Calls the operation of that name; free comes next. */
void sks_executor_forget(struct sks_executor *executor);

/* Returns how many tasks are kept for the next calls. Any thread. */
size_t sks_executor_idle(struct sks_executor *executor);

/*
 * Runs the call now or when its turn comes. Where that is impossible, the call's ops->ended is
 * called soon, with start_error set.
 */
void sks_executor_submit(struct sks_executor *executor, struct sks_call *call);

/* Calls on_wait again if a call still waits for its turn, and is not held. */
void sks_executor_notify_wait(struct sks_executor *executor);

/* Has no call start from now on, or lets those start that have waited. On the loop's own stack. */
void sks_executor_hold(struct sks_executor *executor, int is_held);

/* Calls the operation of that name. */
int sks_executor_has_copies(const struct sks_executor *executor);

/* Returns 1 when a further call would have to wait. */
int sks_executor_is_full(const struct sks_executor *executor);

/* Returns 1 when calls wait for the place of one that runs. */
int sks_executor_is_contended(const struct sks_executor *executor);

/* On the task: `run` is an operation of the call; then what it wrote as a client is flushed. */
void sks_executor_run(struct sks_call *call, void (*run)(struct sks_call *));

/* Tells the executor that a call has run. On the loop's own stack. */
void sks_executor_done(struct sks_call *call);

/* Logs the calls that run: nothing ends them. */
void sks_executor_log_given_up(const struct sks_executor *executor);

/* Stops the calls that run; with SKS_EXECUTOR_ABORT it also lets them come to their end. */
void sks_executor_stop(struct sks_executor *executor, enum sks_executor_stop how);

/* Calls that start from now on are not stopped any more. */
void sks_executor_reset(struct sks_executor *executor);

/* Takes the first call that waits for its turn off the queue, and returns it; NULL: none waits. */
struct sks_call *sks_executor_unqueue(struct sks_executor *executor);

#endif
