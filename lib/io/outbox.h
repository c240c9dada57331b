/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - output of a connection that its loop sends, not its task: what
 * others post to it, and what its task left when it ended.
 *
 * Its owner's own output has to stay in one piece: while the task sends (it
 * has claimed the outbox), posted bytes only gather, and the task sends them
 * itself before it releases. Without a claim the loop sends them when the
 * socket takes them.
 */
#ifndef SKS_IO_OUTBOX_H
#define SKS_IO_OUTBOX_H

#include "base/buf.h"
#include "io/loop.h"
#include "io/transport.h"

struct sks_outbox {
	struct sks_job job;      /* send soon, on the loop's own stack */
	struct event ev;         /* EV_WRITE, one shot */
	struct sks_loop *loop;
	struct sks_transport *tr;
	struct sks_buf buf;
	size_t max;              /* posted bytes that may wait; ENOBUFS beyond */
	int timeout_ms;          /* for each step forward */
	int claimed;
	int error;               /* why nothing can be sent any more; 0: all well */
	void (*idle)(void *arg); /* on the loop: all was sent, or error is set */
	void *arg;
};

/* NULL: ENOMEM. */
struct sks_outbox *sks_outbox_new(struct sks_loop *loop, struct sks_transport *tr, size_t max,
    int timeout_ms, void (*idle)(void *arg), void *arg);

/* NULL is fine. Unsent bytes are lost. */
void sks_outbox_free(struct sks_outbox *box);

static inline int
sks_outbox_is_empty(const struct sks_outbox *box)
{
	return box == NULL || sks_buf_length(&box->buf) == 0;
}

/* All n bytes or none: -1 with ENOBUFS, ENOMEM, or ENOTCONN once it is broken. Sends soon. */
int sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n);

/*
 * Takes over a task's unsent bytes, before what is posted already (first) or
 * after it, and leaves rest empty. -1: ENOMEM.
 */
int sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first);

/* The task sends now, and has ended sending. */
void sks_outbox_claim(struct sks_outbox *box);
void sks_outbox_release(struct sks_outbox *box);

/* Sends what it can at once; the rest when the socket takes it, then idle is called. */
void sks_outbox_send(struct sks_outbox *box);

#endif
