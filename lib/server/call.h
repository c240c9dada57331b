/* SPDX-License-Identifier: MIT */
/*
 * call.h - a request as an executor sees it: something to run on a task, and
 * what to tell the loop when it has been run.
 *
 * The public struct sks_request is its first member, so that what a handler
 * holds leads back to it. Connections and datagrams embed a call.
 */
#ifndef SKS_SERVER_CALL_H
#define SKS_SERVER_CALL_H

#include "loop/loop.h"
#include "loop/thread_pool.h"
#include "server/membership.h"
#include "server/service.h"

#define SKS_CALL_IDLE_MOST 2 /* the first one may not have looked at its input */

struct sks_call;
struct sks_executor;
struct sks_process;
struct sks_proxied;

struct sks_call_ops {
	void (*run)(struct sks_call *);   /* on the task */
	void (*run_resident)(struct sks_call *); /* instead of it, on the one task of a child process,
	                                     which serves it to its end */
	void (*ended)(struct sks_call *); /* on the loop, after run, or instead of it (start_error) */
	void (*handed_over)(struct sks_call *); /* on the loop: a child process has it; may be NULL */
	void (*leave)(struct sks_call *); /* on the loop, of one that is parked: the server stops, so
	                                     it ends, unless its client has a request on its way;
	                                     NULL where nothing is parked */
	void (*end)(struct sks_call *);   /* on the loop, while it does not run: brings the request
	                                     to its end; a handler that was set up still finishes */
	void (*close)(struct sks_call *); /* on the loop, while it does not run: frees the request
	                                     as it is */
};

/* How far its handler is. */
enum sks_call_state {
	SKS_CALL_NEW,
	SKS_CALL_SET_UP,   /* setup held, so finish is due */
	SKS_CALL_FINISHING /* in finish, or through: it is not cancelled any more, but has linger_ms */
};

struct sks_call {
	struct sks_request req;
	struct sks_service *service;
	struct sks_executor *executor;
	const struct sks_call_ops *ops;
	union { /* what carries the end to the loop's own stack, or from another thread */
		struct sks_job job;
		struct sks_message message;
		struct sks_work work; /* or what a thread runs */
		struct sks_process *process; /* or the child process that it runs in */
	};
	struct sks_list link;             /* in the executor's queue or among its running; else its owner's */
	struct sks_task *_Atomic task;    /* while it runs; NULL in the parent of its process */
	struct sks_memberships memberships;
	struct sks_proxied *proxied;      /* of the proxy that it came by; NULL: none */
	int start_error;                  /* why it could not be run at all */
	enum sks_call_state state;
	enum sks_stop stop;               /* while the server drains */
	unsigned char datagram;
	unsigned char truncated;
	unsigned char failed;
	unsigned char aborted;            /* by the handler: what is unsent is dropped */
	unsigned char idle;               /* so many exchanges, the last ones, left all their input */
	unsigned char must_not_wait;      /* finish runs on the loop's own stack */
	unsigned char heard;              /* in an exchange before: the peer has sent something */
};

static inline struct sks_call *
sks_call_of(const struct sks_request *req)
{
	return sks_container_of(req, struct sks_call, req);
}

/* The server stops, and ends it in this way. The first word counts. */
static inline void
sks_call_stop(struct sks_call *call, enum sks_stop stop)
{
	if (call->stop == SKS_STOP_NOTHING)
		call->stop = stop;
}

/* It has ended: that is counted, once the server drains. */
static inline void
sks_call_count_stop(const struct sks_call *call)
{
	struct sks_shared *shared = call->service->shared;

	if (atomic_load_explicit(&shared->draining, memory_order_relaxed))
		atomic_fetch_add(&shared->stopped[call->stop], 1);
}

/*
 * In a child process, at the end of its request. The parent, which has a call of its own, counts
 * that it has ended by itself, so what is known here is put in that one's place.
 */
static inline void
sks_call_tell_parent(const struct sks_call *call)
{
	struct sks_shared *shared = call->service->shared;

	if (call->stop == SKS_STOP_NOTHING)
		return;
	atomic_fetch_add(&shared->stopped[call->stop], 1);
	atomic_fetch_sub(&shared->stopped[SKS_STOP_NOTHING], 1);
}

/*
 * On the task, with streams attached: setup if it was not called yet, then, unless
 * setup has returned SKS_KEEP, handle once. SKS_DONE, SKS_KEEP, or -1 after an error
 * was reported.
 */
int sks_call_exchange(struct sks_call *call);

/*
 * After SKS_KEEP: is input left that handle should be called for at once? One
 * that leaves it all wants more, and would else be called for ever.
 */
static inline int
sks_call_is_fed(const struct sks_call *call)
{
	const struct sks_rfile *r = call->req.rfile;

	return sks_buf_length(&r->buf) > 0 &&
	    (call->idle == 0 || (call->idle < SKS_CALL_IDLE_MOST && !r->eof));
}

/*
 * On the task: waits for more input than is left. 1, or 0: none comes, or that would
 * be too much.
 */
int sks_call_get_more(struct sks_call *call);

/*
 * On the task: leaves all groups, and calls finish, if it is due, which has linger_ms. Afterwards
 * it is FINISHING.
 */
void sks_call_finish(struct sks_call *call);

/* Has the peer sent a byte yet? With streams attached, or from the loop while no task runs. */
int sks_call_has_heard(const struct sks_call *call);

/*
 * setup or handle failed: on_error, or the default line. A peer that resets its
 * connection before it has sent a byte, as a health check does, is no failure.
 */
void sks_call_report(struct sks_call *call, int error);

/* Output could not be delivered: that is counted and logged, with the same exception. */
void sks_call_log_lost(struct sks_call *call, int error);

/* The same of the output that finish has left, unless the handler has failed or aborted before. */
void sks_call_log_unsent(struct sks_call *call, int error);

/* On the loop: it runs and is given up, since it does not end. That is logged, and where it is. */
void sks_call_log_given_up(const struct sks_call *call);

/* The executor could not run it: that is logged. */
void sks_call_log_not_run(struct sks_call *call);

#endif
