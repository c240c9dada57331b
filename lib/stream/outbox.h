/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - output of a connection that its loop sends, not its task: what
 * others post to it, and what its task left when it ended.
 *
 * Its owner's own output has to stay in one piece: while the task sends (it
 * has claimed the outbox), posted bytes only gather, and the task sends them
 * itself before it releases. Without a claim the loop sends them when the
 * socket takes them.
 *
 * Others put their bytes in themselves, on whatever thread they are, so that
 * who gets no memory is who posts. The loop is told once for all that comes
 * before it looks.
 */
#ifndef SKS_STREAM_OUTBOX_H
#define SKS_STREAM_OUTBOX_H

#include "base/buf.h"
#include "loop/loop.h"
#include "stream/transport.h"

struct sks_outbox {
	struct sks_job job;      /* send soon, on the loop's own stack */
	struct event ev;         /* EV_WRITE, one shot */
	struct sks_loop *loop;
	struct sks_transport tr; /* its own: two threads may be in the other one's fields */
	struct sks_buf_pool *pool;
	pthread_mutex_t lock;    /* others may post: buf, told, error */
	atomic_int state;        /* is it claimed, is there something in it? */
	struct sks_buf buf;
	int timeout_ms;          /* for each step forward */
	int told;                /* word is on its way to the loop */
	int error;               /* why nothing can be sent any more; 0: all well */
	struct sks_message word; /* that others have posted; its owner answers it */
	void (*idle)(void *arg); /* on the loop: all was sent, or error is set */
	void *arg;
};

/*
 * From any thread. pool: the loop's, or NULL when tasks run on other threads.
 * word.run is the owner's to set, and a claim. NULL: ENOMEM.
 */
struct sks_outbox *sks_outbox_new(struct sks_loop *loop, struct sks_buf_pool *pool,
    const struct sks_transport *tr, int timeout_ms, void (*idle)(void *arg), void *arg);

/* The loop: nothing more is sent, unsent bytes are lost. NULL is fine. */
void sks_outbox_end(struct sks_outbox *box);

/* An ended one, or one that nobody has used, while no word is on its way. NULL is fine. */
void sks_outbox_free(struct sks_outbox *box);

int sks_outbox_is_empty(struct sks_outbox *box); /* NULL is empty */

/* Why nothing can be sent any more; 0: all is well, or NULL. */
int sks_outbox_error(struct sks_outbox *box);

/*
 * From any thread: all n bytes, which are sent soon, or none: -1 with ENOBUFS
 * when more than max would wait, ENOMEM, or ENOTCONN once it is broken. Nothing
 * more is needed for them later, so what was taken is lost with its connection only.
 */
int sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n, size_t max);

/* From any thread: word comes to the loop. */
void sks_outbox_tell(struct sks_outbox *box);

/* The loop: word has come. free: whoever has claimed it does not send now. */
void sks_outbox_heard(struct sks_outbox *box, int free);

/* Is word on its way? NULL: no. */
int sks_outbox_is_told(struct sks_outbox *box);

/*
 * The task: its unsent bytes are the loop's from here on, before what is posted
 * already (first) or after it; rest is empty then. -1: ENOMEM.
 */
int sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first);

/*
 * The task: it sends now, nobody else. enter is the same where there is nothing to
 * be sent but its own, and costs no lock; 0: there is, or it is claimed already.
 */
void sks_outbox_claim(struct sks_outbox *box);
int sks_outbox_enter(struct sks_outbox *box);

/* The task, having claimed it: one try to send posted bytes. What write(2) says; 0: none are left. */
ssize_t sks_outbox_push(struct sks_outbox *box);

/* The task: the loop may send again, and soon sends what is left. leave: mostly nothing is. */
void sks_outbox_release(struct sks_outbox *box);
void sks_outbox_leave(struct sks_outbox *box);

/* The loop: sends what it can at once; the rest when the socket takes it, then idle is called. */
void sks_outbox_send(struct sks_outbox *box);

#endif
