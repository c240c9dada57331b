/* SPDX-License-Identifier: MIT */
/*
 * connection.h - the inside of a connection. conn.c has its life; conn_end.c
 * its end, and the output that its loop sends.
 */
#ifndef SKS_SERVER_CONNECTION_H
#define SKS_SERVER_CONNECTION_H

#include "stream/outbox.h"
#include "stream/stream.h"
#include "server/call.h"
#include "server/worker.h"

/* What each message touches first, first. */
struct sks_connection {
	struct sks_watch watch;
	struct sks_transport transport;
	struct sks_outbox *_Atomic outbox; /* made when the loop first has bytes to send */
	struct sks_ahead ahead;            /* while it is parked */
	struct sks_worker *worker;
	struct {                           /* unread input between exchanges: a packed buffer */
		unsigned char *base;
		uint32_t start, end, cap;
	} in;
	int drained;                       /* bytes thrown away while lingering */
	/* Bytes, not bits: the task and the loop may be two threads, each writing its own. */
	unsigned char parked;
	unsigned char lingering;
	unsigned char flushing;    /* lingering, with output left */
	unsigned char kept;        /* the last exchange ended with SKS_KEEP */
	unsigned char hungry;      /* handle is not called before more input has come */
	unsigned char only_finish;
	unsigned char eof;         /* all input was read: no need to wait for the peer's end */
	unsigned char broken;      /* nothing can be delivered */
	unsigned char refused;
	unsigned char closed;      /* waits for its outbox's word only, then it is freed */
	struct sks_times times;
	struct sks_call call;
	/* the peer's address and the handler's state follow */
};

static inline struct sks_connection *
sks_connection_of(struct sks_call *call)
{
	return sks_container_of(call, struct sks_connection, call);
}

/* Where the handler's state is, behind the peer's address. */
static inline size_t
sks_connection_state_offset(const struct sks_service *service, size_t peer_len)
{
	size_t align = service->handler.state_size > 0 ? _Alignof(max_align_t) : 1;

	return (sizeof(struct sks_connection) + peer_len + align - 1) / align * align;
}

static inline void
sks_connection_move(struct sks_connection *c, struct sks_list *state)
{
	sks_list_remove(&c->call.link);
	sks_list_append(state, &c->call.link);
}

/* A line is never longer than 1 GiB, so 32 bits hold what was not read of one. */
static inline void
sks_connection_keep_input(struct sks_connection *c, struct sks_buf *buf)
{
	c->in.base = buf->base;
	c->in.start = (uint32_t)buf->start;
	c->in.end = (uint32_t)buf->end;
	c->in.cap = (uint32_t)buf->cap;
	*buf = (struct sks_buf){ 0 };
}

static inline struct sks_buf
sks_connection_take_input(struct sks_connection *c)
{
	struct sks_buf buf = { c->in.base, c->in.start, c->in.end, c->in.cap };

	c->in.base = NULL;
	c->in.start = c->in.end = c->in.cap = 0;
	return buf;
}

/* Do tasks run beside the loop? Then an outbox is there from the beginning. */
static inline int
sks_connection_is_threaded(const struct sks_connection *c)
{
	return c->worker->service->options.mode == SKS_THREADS;
}

/* From any thread: made at its first use. NULL: ENOMEM. */
struct sks_outbox *sks_connection_need_outbox(struct sks_connection *c);

/* Sends what it can at once and leaves the rest to the loop. 0, or -1: some is lost. */
int sks_connection_leave_output(struct sks_connection *c, struct sks_wfile *w);

/* No longer parked. */
void sks_connection_unpark(struct sks_connection *c);

/* A parked one: its peer is gone (eof, broken), or silent for too long, or the server stops. */
void sks_connection_end(struct sks_connection *c);

/* To the executor. The connection may be gone after this. */
void sks_connection_submit(struct sks_connection *c);

/* The handler is through: from here on the loop brings the connection to its end. */
void sks_connection_linger(struct sks_connection *c);

/* At once. It is gone after this, and so its memory, but for what others still hold of it. */
void sks_connection_close(struct sks_connection *c);

/* A child process has the connection: closes the descriptor in this process. */
void sks_connection_hand_over(struct sks_call *call);

/* One that was not opened, or one that is gone. */
void sks_connection_free(struct sks_connection *c);

#endif
