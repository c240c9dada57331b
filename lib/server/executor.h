/* SPDX-License-Identifier: MIT */
/*
 * executor.h - where calls run: on fibers here, on threads and in processes
 * in files of the same shape. It knows calls, never servers.
 *
 * At most max_running calls run at once; the others wait in a queue, first
 * come first served.
 */
#ifndef SKS_SERVER_EXECUTOR_H
#define SKS_SERVER_EXECUTOR_H

#include "server/call.h"

#include <stddef.h>

struct sks_executor_ops {
	/*
	 * Lets call->ops->run(call) run on a task and then sks_executor_done(call) on the
	 * loop. `now` is set when the caller is on the loop's own stack, outside of
	 * any job. 0, or -1: no means for one more task.
	 */
	int (*start)(struct sks_executor *, struct sks_call *, int now);
	/* Calls that rest need not: the server is leaving. May be NULL. */
	void (*drain)(struct sks_executor *);
	/* Every wait of the calls that run answers ECANCELED, except in finish. */
	void (*cancel)(struct sks_executor *);
	/* Ends the waits of resident calls whose handler is through. May be NULL. */
	void (*close)(struct sks_executor *);
	/* Ends what runs, whatever it does; NULL where that is impossible. */
	void (*kill)(struct sks_executor *);
	/* Calls that start from now on are not drained, cancelled or closed any more. */
	void (*reset)(struct sks_executor *);
	/* As cancel, also in finish, or harder: the server is being freed. */
	void (*abort)(struct sks_executor *);
	/* After abort: lets calls come to their end; may block until the next one has. */
	void (*await)(struct sks_executor *);
	/*
	 * On the task of a resident call, between two exchanges: waits until fd can
	 * be read. 1, or 0: that was in vain. NULL where no call is resident.
	 */
	int (*rest)(struct sks_executor *, int fd, int64_t deadline);
	/* NULL is never passed. No call runs. */
	void (*free)(struct sks_executor *);
};

struct sks_executor {
	const struct sks_executor_ops *ops;
	struct sks_loop *loop;
	int beside_loop;        /* calls run on other threads than the loop's */
	struct sks_cancel *closing; /* what close sets; NULL where no call is resident */
	atomic_int open;        /* its owner's requests of all kinds, on their way to it too */
	atomic_int running;     /* calls; changed on the loop's thread only */
	int max_running;
	struct sks_list queue;
	atomic_int waiting;     /* calls in the queue */
	struct sks_list active; /* the calls that run */
	struct event retry;     /* there was no means to run even one */
	struct sks_job give_up; /* nor for that timer */
	int tries;
	void (*in_child)(void *arg, struct sks_call *); /* processes: in the child, before it runs */
	void (*on_room)(void *arg); /* a call ended; set by the owner */
	void *arg;
};

/* NULL: ENOMEM, EMFILE or ENFILE. */
struct sks_executor *sks_fiber_executor_new(struct sks_loop *loop,
    const struct sks_service *service);
struct sks_executor *sks_thread_executor_new(struct sks_loop *loop,
    const struct sks_service *service);
struct sks_executor *sks_process_executor_new(struct sks_loop *loop,
    const struct sks_service *service);

/* Fills in the common part; for the files of each kind. */
void sks_executor_init(struct sks_executor *executor, const struct sks_executor_ops *ops,
    struct sks_loop *loop, const struct sks_service *service);

/* NULL is fine. */
void sks_executor_free(struct sks_executor *executor);

/* Runs the call now or when its turn comes. Where that is impossible, ops->ended is called
 * soon with call->start_error set. */
void sks_executor_submit(struct sks_executor *executor, struct sks_call *call);

/* 1 when a further call would have to wait. */
int sks_executor_is_full(const struct sks_executor *executor);

/* 1 when others wait for the place of a call that runs. */
int sks_executor_is_contended(const struct sks_executor *executor);

/* On the task: `run` is an operation of the call; then what it wrote as a client is flushed. */
void sks_executor_run(struct sks_call *call, void (*run)(struct sks_call *));

/* A call was run: on the loop's own stack. */
void sks_executor_done(struct sks_call *call);

/* Logs the calls that run: nothing ends them. */
void sks_executor_log_given_up(const struct sks_executor *executor);

/* See the operations of the same names. */
void sks_executor_drain(struct sks_executor *executor);
void sks_executor_cancel(struct sks_executor *executor);
void sks_executor_close(struct sks_executor *executor);
void sks_executor_kill(struct sks_executor *executor);
void sks_executor_reset(struct sks_executor *executor);
void sks_executor_abort(struct sks_executor *executor);

/* Takes a call that waits for its turn off the queue. */
struct sks_call *sks_executor_unqueue(struct sks_executor *executor);

#endif
