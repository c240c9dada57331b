/* SPDX-License-Identifier: MIT */
/*
 * connection.h - a connection, from accept(2) to close(2).
 *
 *     OPENING ──> PARKED <──> RUNNING ──> FLUSHING ──> DRAINING ──> CLOSED
 *                                └──────> AWAY ───────────────────────^
 *
 * The loop owns the connection except while it is RUNNING: then the executor has
 * its call, which waits for its turn or runs on a task. Only the loop changes the
 * state. These are the transitions:
 *
 *     OPENING   to RUNNING, or to PARKED where the client speaks first, or the header of a
 *               proxy or a handshake comes first
 *     PARKED    to RUNNING when input has come, or when a finish hook is due: the
 *               peer has closed or was silent for too long, or the server stops; with no
 *               such hook to FLUSHING when posted output is left, or else to CLOSED
 *     RUNNING   to PARKED when handle or setup has returned SKS_KEEP, and to RUNNING
 *               again when it has left input for which it is called at once;
 *               to FLUSHING when the handler is through and output is left, or to
 *               DRAINING when none is; to CLOSED when the peer's end was read by then;
 *               to AWAY when a child process has the connection
 *     FLUSHING  to DRAINING when all was sent and our half is shut down; to CLOSED when
 *               the peer's end was read before
 *     DRAINING  to CLOSED when the peer has closed its half or sent more than 64 KiB, or
 *               linger_ms are over
 *     AWAY      to CLOSED when the child has ended
 *     each      to CLOSED when it is refused, when nothing can be delivered, or when
 *               the server is freed
 *
 * connection_open.c makes a connection, connection_reject.c turns one away, connection.c has its
 * life on the loop, connection_run.c its exchanges on a task, connection_handshake.c what TLS needs
 * before the first of them, connection_resident.c those in a child process, connection_output.c
 * what the loop sends, connection_close.c its end. connection_proxy.c reads the header of a proxy,
 * before all of that.
 *
 * The functions run on the loop's thread, except where they say otherwise.
 */
#ifndef SKS_SERVER_CONNECTION_H
#define SKS_SERVER_CONNECTION_H

#include "server/bind.h"
#include "server/call.h"
#include "server/worker.h"
#include "stream/outbox.h"
#include "stream/stream.h"

#include <sys/un.h>

/* A client that was accepted. */
struct sks_newcomer {
	struct sks_service *service; /* of the listener that it came by */
	struct sks_entry entry;
	int fd;
	socklen_t len;               /* of its address */
	union {
		struct sockaddr any;
		struct sockaddr_un un; /* the largest of all */
		struct sockaddr_storage room;
	} peer;
};

enum sks_connection_state {
	SKS_CONNECTION_OPENING,
	SKS_CONNECTION_PARKED,   /* in worker->parked: no task, no stack */
	SKS_CONNECTION_RUNNING,  /* the executor has its call */
	SKS_CONNECTION_AWAY,     /* a child process has it, and its descriptor is closed here */
	SKS_CONNECTION_FLUSHING, /* in worker->lingering: the loop sends what is left */
	SKS_CONNECTION_DRAINING, /* in worker->lingering: the peer's rest is read and dropped */
	SKS_CONNECTION_CLOSED    /* its memory stays until a post that is on its way has come */
};

/* The work of the next task. The task that ends sets it, or the loop between two tasks. */
enum sks_connection_next {
	SKS_NEXT_HANDLE, /* call handle */
	SKS_NEXT_READ,   /* read more than what handle has left, then call it */
	SKS_NEXT_FINISH, /* call finish only */
	SKS_NEXT_NOTHING, /* there is no next task: finish was called, or nothing was set up */
	SKS_NEXT_HANDSHAKE, /* shake hands (TLS), then call handle */
	SKS_NEXT_PROXY    /* no task before the header of its proxy has come */
};

/* The states of the socket. A connection only goes on to a later one. */
enum sks_connection_wire {
	SKS_WIRE_OPEN,
	SKS_WIRE_INPUT_ENDED, /* all input was read: there is no need to wait for the peer's end */
	SKS_WIRE_BROKEN       /* nothing can be delivered any more */
};

/* The members that each message touches stand first. */
struct sks_connection {
	struct sks_watch watch;
	struct sks_transport transport;
	struct sks_flow flow;
	struct sks_peer_wait peer_wait;
	struct sks_outbox *_Atomic outbox; /* made when the loop first has bytes to send */
	struct sks_preread preread;        /* while it is parked */
	struct sks_worker *worker;
	struct sks_buf in;                 /* unread input between two exchanges */
	enum sks_connection_state state;
	enum sks_connection_next next;
	enum sks_connection_wire wire;
	int error;                         /* why it is SKS_WIRE_BROKEN, for finish; 0: unknown */
	uint64_t taken;                    /* bytes that reads have taken, as sks_tell() says */
	size_t dropped;                    /* bytes of the peer's rest: FLUSHING and DRAINING */
	struct sks_times times;
	struct sks_peer *peer;             /* for sks_peers_leave() */
	struct sks_call call;
	/* The peer's address and the handler's state follow. */
};

static inline struct sks_connection *
sks_connection_of(const struct sks_call *call)
{
	return sks_container_of(call, struct sks_connection, call);
}

static inline void
sks_connection_lose_wire(struct sks_connection *c, enum sks_connection_wire wire)
{
	if (c->wire < wire)
		c->wire = wire;
}

/* -- connection_open.c -- */

/*
 * Takes over the client's descriptor, also when there is no memory for a connection:
 * then it is closed. On the accepting loop's thread; the worker, which
 * sks_worker_take() has chosen, may be another one.
 */
void sks_connection_open(struct sks_worker *worker, const struct sks_newcomer *client);

/* -- connection_reject.c -- */

/* There is no memory for a connection: closes the descriptor, whose place is free then. */
void sks_connection_refuse(struct sks_worker *worker, int fd);

/*
 * Rejects a client: it is sent the text, and its descriptor is closed. A client of TLS, who
 * expects a handshake, is sent no text. why is as for options.on_reject.
 */
void sks_connection_reject(struct sks_worker *worker, const struct sks_newcomer *client, int why);

/* Counts and logs, and sends the text; the caller closes. */
void sks_connection_tell_rejected(struct sks_worker *worker, struct sks_call *call, int is_tls,
    int why);

/* -- connection_proxy.c -- */

/* The milliseconds that a proxy has for its header. Only tests change this. */
extern int sks_proxy_header_ms;

/*
 * Has a new connection wait for the header of its proxy, then calls begin. The connection may be
 * freed when this returns.
 */
void sks_connection_expect_proxy(struct sks_connection *c, void (*begin)(struct sks_connection *));

/*
 * The server stops: a connection that waits for its header (SKS_NEXT_PROXY) has grace_ms for it at
 * most.
 */
void sks_connection_limit_proxy(struct sks_connection *c);

/* -- connection.c -- */

/* The operations of the call of a connection. */
extern const struct sks_call_ops sks_connection_call_ops;

/*
 * Hands the connection to the executor, which may run it at once, so that the connection may be
 * freed when this returns.
 */
void sks_connection_submit(struct sks_connection *c);

/* Parks a new connection until its client's first bytes. It may be freed when this returns. */
void sks_connection_expect_first(struct sks_connection *c);

/* Parks a new connection until its client begins with TLS. It may be freed when this returns. */
void sks_connection_expect_handshake(struct sks_connection *c);

/* Ends one that is parked or lingers, to make room. It may be gone afterwards. */
void sks_connection_evict(struct sks_connection *c);

/* Ends one that does not run: finish is called where it is due. It may be gone afterwards. */
void sks_connection_end(struct sks_connection *c);

/* -- connection_run.c -- */

/* An operation of its call, on the task: exchanges until the handler is through or has to wait. */
void sks_connection_run(struct sks_call *call);

/* On the task: ties streams, which are on the task's stack, to the connection, and unties them. */
void sks_connection_attach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w);
void sks_connection_detach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w);

/* -- connection_handshake.c -- */

/*
 * On the task, with streams attached: the handshake. 0, or -1, after that was counted and
 * logged: then there is nothing to be done for the connection but to close it.
 */
int sks_connection_shake_hands(struct sks_connection *c);

/* -- connection_resident.c -- */

/* An operation of its call, on the task of a child process: serves the connection to its end. */
void sks_connection_run_resident(struct sks_call *call);

/*
 * An operation of its call: a child process has the connection, so the descriptor is closed here.
 */
void sks_connection_hand_over(struct sks_call *call);

/*
 * In a child process: closes its copies of the descriptors of all connections but the call's
 * own. The copies are in no group any more. call may be NULL.
 */
void sks_connection_close_others(struct sks_worker *worker, const struct sks_call *call);

/* -- connection_output.c -- */

/*
 * Returns its outbox, which is made at its first use. NULL: ENOMEM. From any thread
 * while the request is alive.
 */
struct sks_outbox *sks_connection_need_outbox(struct sks_connection *c);

/*
 * On the task: sends what the socket takes at once and leaves the rest to the loop. 0, or -1:
 * bytes are lost.
 */
int sks_connection_leave_output(struct sks_connection *c, struct sks_wfile *w);

/* -- connection_state.c -- */

/* Changes the state, and with it the worker's list of the connection and the worker's numbers. */
void sks_connection_set_state(struct sks_connection *c, enum sks_connection_state state);

/* -- connection_close.c -- */

/* The handler is through: sends what is left, drains the peer's rest, and closes. */
void sks_connection_linger(struct sks_connection *c);

/* All output of a connection that is FLUSHING was sent, or error says why it cannot be. */
void sks_connection_flushed(struct sks_connection *c, int error);

/* Closes it as it is. Its memory is gone afterwards, unless a post is on its way. */
void sks_connection_close(struct sks_connection *c);

/* Frees one that is CLOSED, or that was never opened. */
void sks_connection_free(struct sks_connection *c);

/*
 * On a task that owns a connection: shuts down our half and drops the peer's rest, for
 * at most linger_ms. So close(2) does not answer unread input with a reset, which could
 * overtake the reply.
 */
void sks_linger(struct sks_transport *tr, int linger_ms);

#endif
