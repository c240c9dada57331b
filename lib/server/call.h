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
#define SKS_NOTE_MOST 255      /* bytes of sks_set_note() */

struct sks_call;
struct sks_executor;
struct sks_process;
struct sks_proxied;

struct sks_call_ops {
	/* Runs the exchanges that are due. On the task. */
	void (*run)(struct sks_call *);
	/*
	 * Runs all exchanges, on the task of a child process, which serves the request to its end.
	 */
	void (*run_resident)(struct sks_call *);
	/* The call has run, or could not be run (start_error). On the loop. */
	void (*ended)(struct sks_call *);
	/* A child process has the request now. On the loop. May be NULL. */
	void (*handed_over)(struct sks_call *);
	/*
	 * The server stops: a parked request ends, unless its client has sent another one. On the
	 * loop. NULL where nothing is parked.
	 */
	void (*leave)(struct sks_call *);
	/*
	 * On the loop, for a request that does not run: brings it to its end, by finish if that is
	 * due.
	 */
	void (*end)(struct sks_call *);
	/* Frees the request as it is. On the loop, while it does not run. */
	void (*close)(struct sks_call *);
};

/* The states of a call, by how far its handler is. */
enum sks_call_state {
	SKS_CALL_NEW,
	SKS_CALL_SET_UP,   /* setup has succeeded, so finish is due */
	SKS_CALL_FINISHING /* in finish, or after it: it has linger_ms and is not cancelled */
};

struct sks_call {
	struct sks_request req;
	struct sks_service *service;
	struct sks_executor *executor;
	const struct sks_call_ops *ops;
	union { /* how its executor runs it, or tells the loop that it has run */
		struct sks_job job;
		struct sks_message message;
		struct sks_work work;
		struct sks_process *process;
	};
	struct sks_list link;             /* in a list of the executor, or else of the owner */
	struct sks_task *_Atomic task;    /* while it runs; NULL in the parent of its process */
	struct sks_memberships memberships;
	struct sks_proxied *proxied;      /* of the proxy that it came by; NULL: none */
	struct sks_flow *flow;            /* its bytes; NULL: they stay in memory */
	struct sks_peer_wait *peer_wait;  /* NULL: it has no peer to wait for */
	struct sks_cancel *own_cancel;    /* ends its waits alone; NULL: its executor needs none */
	const char *listener;             /* the address that it came by; NULL: without a server */
	const char *tls;                  /* the version of TLS; NULL: it is plain */
	char *note;                       /* the handler's; NULL: none */
	int64_t began_ns;                 /* by sks_clock_ns() */
	unsigned int exchanges;           /* calls of handle */
	int start_error;                  /* why it could not be run at all */
	enum sks_call_state state;
	enum sks_stop stop;               /* while the server drains */
	int ended;                        /* why it has ended: SKS_ENDED_... */
	unsigned char datagram;
	unsigned char truncated;
	unsigned char failed;
	unsigned char aborted;            /* by the handler: what is unsent is dropped */
	unsigned char idle;               /* how many of the last exchanges left all their input */
	unsigned char must_not_wait;      /* finish runs on the loop's own stack */
	unsigned char heard;              /* in an exchange before: the peer has sent something */
};

static inline struct sks_call *
sks_call_of(const struct sks_request *req)
{
	return sks_container_of(req, struct sks_call, req);
}

/* Whom a line of the log about this call names. */
static inline struct sks_log_origin
sks_call_origin(const struct sks_call *call)
{
	return (struct sks_log_origin){ call->service->handler.name, call->req.peer,
		call->req.peer_len };
}

/* Notes how the stop of the server ends the call. The first note counts. */
static inline void
sks_call_stop(struct sks_call *call, enum sks_stop stop)
{
	if (call->stop == SKS_STOP_NOTHING)
		call->stop = stop;
}

/* -- call_end.c -- */

/*
 * Notes why the call ends. The first reason counts, but for what sks_end_reason() says of one that
 * comes after finish.
 */
void sks_call_end(struct sks_call *call, int reason);

/* Does so for an errno that its connection is broken by, or that it could not go on for. */
void sks_call_end_by(struct sks_call *call, int error);

/* On the task, with streams attached: handle has returned rc, with errno; or setup has, -1. */
void sks_call_end_exchange(struct sks_call *call, int rc);

/* On the task, with streams attached: there is no exchange any more, though none has ended it. */
void sks_call_end_between(struct sks_call *call);

/* On the task: returns 1 when its waits were cancelled. */
int sks_call_was_cancelled(const struct sks_call *call);

/* -- call_info.c -- */

/* Fills in what is known of the call. */
void sks_call_info(const struct sks_call *call, struct sks_info *info);

/* Frees what the call has of its own. */
void sks_call_free_parts(struct sks_call *call);

/* -- the rest -- */

/* Counts that the call has ended, and why; once the server drains, for the report as well. */
static inline void
sks_call_count_end(const struct sks_call *call)
{
	struct sks_shared *shared = call->service->shared;

	sks_counter_add(&shared->ended[call->ended], 1);
	if (atomic_load(&shared->draining))
		atomic_fetch_add(&shared->stopped[call->stop], 1);
}

/*
 * Calls setup, if it was not called yet, and then handle once, unless setup has returned SKS_KEEP.
 * On the task, with streams attached. SKS_DONE, SKS_KEEP, or -1 after an error was reported.
 */
int sks_call_exchange(struct sks_call *call);

/*
 * Returns 1 when, after SKS_KEEP, there is input left for which handle is called at once. A handler
 * that leaves all of it wants more, and would be called for ever.
 */
static inline int
sks_call_is_fed(const struct sks_call *call)
{
	const struct sks_rfile *r = call->req.rfile;

	return sks_buf_length(&r->buf) > 0 &&
	    (call->idle == 0 || (call->idle < SKS_CALL_IDLE_MOST && !r->eof));
}

/*
 * Waits for more input than is left. 1, or 0: none comes, or it would be too much for the buffer.
 * On the task.
 */
int sks_call_get_more(struct sks_call *call);

/*
 * Leaves all groups, and calls finish, if it is due, which has linger_ms. Afterwards the call is
 * FINISHING. On the task.
 */
void sks_call_finish(struct sks_call *call);

/* Returns 1 when the peer has sent a byte. With streams attached, or on the loop between runs. */
int sks_call_has_heard(const struct sks_call *call);

/*
 * Returns 1 when setup or handle has failed with this errno only because the peer has reset or
 * ended its connection before it has sent a byte, as a health check does. With streams attached.
 */
int sks_call_was_left(const struct sks_call *call, int error);

/* Logs at level debug that the call has ended as the peer has gone before it has sent a byte. */
void sks_call_log_left(const struct sks_call *call);

/*
 * Reports that setup or handle has failed: calls on_error, or writes the default line. A peer that
 * goes before it has sent a byte is no failure (sks_call_was_left).
 */
void sks_call_report(struct sks_call *call, int error);

/* Counts and logs that output could not be delivered, with the exception of sks_call_report(). */
void sks_call_log_lost(struct sks_call *call, int error);

/* Does so for a peer whose loop has cut it for min_rate, unless the call has failed by it. */
void sks_call_log_slow(struct sks_call *call);

/*
 * Logs, as sks_call_log_lost() does, that output of finish is lost, unless the handler failed or
 * aborted.
 */
void sks_call_log_unsent(struct sks_call *call, int error);

/* Logs why a handshake of TLS has failed; nothing where that is "", as another line says it. */
void sks_call_log_handshake(const struct sks_call *call, const char *why);

/* Logs that a call that runs does not end and is given up, and what it does. On the loop. */
void sks_call_log_given_up(const struct sks_call *call);

/* Logs that the executor could not run the call. */
void sks_call_log_not_run(struct sks_call *call);

#endif
