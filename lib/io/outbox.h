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
	struct sks_transport tr; /* its own: two threads may be in the other one's fields */
	struct sks_buf_pool *pool;
	pthread_mutex_t lock;    /* the task may run on another thread: buf, claimed, error */
	struct sks_buf buf;
	_Atomic uint32_t *load;  /* its owner's count of bytes in it, or on their way to it */
	int timeout_ms;          /* for each step forward */
	int claimed;
	int error;               /* why nothing can be sent any more; 0: all well */
	void (*idle)(void *arg); /* on the loop: all was sent, or error is set */
	void *arg;
};

/*
 * pool: the loop's, or NULL when tasks run on other threads. NULL: ENOMEM.
 */
struct sks_outbox *sks_outbox_new(struct sks_loop *loop, struct sks_buf_pool *pool,
    struct sks_transport *tr, _Atomic uint32_t *load, int timeout_ms, void (*idle)(void *arg),
    void *arg);

/* NULL is fine. Unsent bytes are lost. */
void sks_outbox_free(struct sks_outbox *box);

int sks_outbox_is_empty(struct sks_outbox *box); /* NULL is empty */

/* Why nothing can be sent any more; 0: all is well, or NULL. */
int sks_outbox_error(struct sks_outbox *box);

/*
 * The loop: all n bytes, which are in *load already, or none: -1 with ENOMEM,
 * or ENOTCONN once it is broken. They are sent soon.
 */
int sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n);

/*
 * The task: its unsent bytes are the loop's from here on (and in *load), before what is posted
 * already (first) or after it; rest is empty then. -1: ENOMEM.
 */
int sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first);

/* The task: it sends now, nobody else. */
void sks_outbox_claim(struct sks_outbox *box);

/* The task, having claimed it: one try to send posted bytes. What write(2) says; 0: none are left. */
ssize_t sks_outbox_push(struct sks_outbox *box);

/* The task: the loop may send again. What is left, the loop sends with sks_outbox_send(). */
void sks_outbox_release(struct sks_outbox *box);

/* The loop: sends what it can at once; the rest when the socket takes it, then idle is called. */
void sks_outbox_send(struct sks_outbox *box);

#endif
