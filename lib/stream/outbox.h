/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - output of a connection that its loop sends, not its task: what others
 * post to it, and what its task has left unsent when it ended.
 *
 * The output of a task has to stay in one piece. So a task that sends claims the outbox
 * first: until it releases it, posted bytes only gather there, and the task sends them
 * itself between two pieces of its own. While nobody has claimed it the loop sends its
 * bytes, as soon as the socket takes them.
 *
 * The thread that posts copies the bytes into the outbox, so it is the one that learns
 * that there is no memory or no room. It notifies the loop; one notice is enough for
 * all that is posted before the loop has taken note of it.
 */
#ifndef SKS_STREAM_OUTBOX_H
#define SKS_STREAM_OUTBOX_H

#include "base/buf.h"
#include "base/memory.h"
#include "loop/loop.h"
#include "stream/pace.h"
#include "stream/transport.h"
#include "stream/unsent.h"

struct sks_outbox {
	struct sks_job job;        /* to send soon, on the loop's own stack */
	struct event ev;           /* the socket can be written, or timeout_ms has passed */
	struct sks_loop *loop;
	struct sks_transport tr;   /* its own, as another thread may use the connection's */
	struct sks_buf_pool *pool;
	struct sks_memory_bound *memory; /* of its server; NULL: it has none. The owner's to set */
	pthread_mutex_t lock;      /* of the members below that are neither atomic nor constant */
	atomic_int state;          /* whether it is claimed, and whether it is empty */
	struct sks_unsent unsent;
	int timeout_ms;            /* how long the peer may take for 64 KiB, or the rest */
	int64_t step_began;        /* when they began to wait for room; 0: they do not */
	size_t step;               /* so many of them it has taken */
	struct sks_pace pace;
	int64_t wait_began;        /* when the loop began to wait for room; 0: it does not, */
	int untaken;               /* and what the peer had not taken by then */
	atomic_int notified;       /* the notice is on its way to the loop */
	atomic_int error;          /* why nothing can be sent any more; 0: all is well */
	struct sks_message notice; /* its run is the owner's, who calls sks_outbox_on_notice() */
	void (*done)(void *arg);   /* on the loop: all bytes were sent, or error is set */
	void *arg;
};

/*
 * Makes an outbox, on any thread. pool is the loop's if the tasks of the connection run
 * on the loop's thread, else NULL. The caller sets notice.run. NULL: ENOMEM.
 */
struct sks_outbox *sks_outbox_new(struct sks_loop *loop, struct sks_buf_pool *pool,
    const struct sks_transport *tr, int timeout_ms, int min_rate, void (*done)(void *arg),
    void *arg);

/* On the task that has claimed it: from now on it sends by another transport of the same socket. */
void sks_outbox_set_transport(struct sks_outbox *box, const struct sks_transport *tr);

/* On the task that has claimed it: from now on the peer has so much time, as timeout_ms. */
void sks_outbox_set_timeout(struct sks_outbox *box, int timeout_ms);

/* On the loop: notes from now on since when the peer keeps it waiting for room. */
void sks_outbox_note_waits(struct sks_outbox *box, struct sks_peer_wait *wait);

/* On the loop: nothing is sent any more, and unsent bytes are lost. box may be NULL. */
void sks_outbox_end(struct sks_outbox *box);

/* Frees one that has ended or was never used, while no notice is on its way. box may be NULL. */
void sks_outbox_free(struct sks_outbox *box);

/* Returns 1 when no bytes wait to be sent, or box is NULL. Any thread may call it. */
int sks_outbox_is_empty(struct sks_outbox *box);

/* Returns the error that ended all sending; 0: none, or box is NULL. Any thread may call it. */
int sks_outbox_error(struct sks_outbox *box);

/* On the loop: returns 1 when that was because its peer is too slow. */
int sks_outbox_is_slow(const struct sks_outbox *box);

/*
 * From any thread: takes all n bytes, and has them sent soon, or none of them. -1:
 * ENOBUFS, as more than max bytes would wait, or max_memory is reached; ENOMEM; ENOTCONN, as it is
 * broken. Bytes that were taken can only be lost together with the connection.
 */
int sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n, size_t max);

/*
 * Does what sks_outbox_put() does with the bytes of a block, which are not copied where that costs
 * more than a use of it.
 */
int sks_outbox_put_block(struct sks_outbox *box, struct sks_block *block, size_t max);

/* From any thread: sends the notice to the loop, unless it is on its way already. */
void sks_outbox_notify(struct sks_outbox *box);

/*
 * On the loop, when the notice has come. The bytes are sent soon. release: a claim is void,
 * as its task does not send now.
 */
void sks_outbox_on_notice(struct sks_outbox *box, int release);

/* Returns 1 while the notice is on its way; 0 also for NULL. Any thread may call it. */
int sks_outbox_is_notified(struct sks_outbox *box);

/*
 * On the task, at its end: the loop is to send rest, before what is posted already (first) or
 * after it. rest is empty afterwards. 0, or -1: ENOMEM.
 */
int sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first);

/*
 * On the task: from now on it sends and nobody else. sks_outbox_try_claim() takes no lock,
 * but fails (0) if the outbox is claimed or not empty.
 */
void sks_outbox_claim(struct sks_outbox *box);
int sks_outbox_try_claim(struct sks_outbox *box);

/*
 * On the task that has claimed it: tries once to send posted bytes. Returns as write(2); 0: none.
 */
ssize_t sks_outbox_push(struct sks_outbox *box);

/* On the task that has claimed it: the loop may send again, and soon sends what is left. */
void sks_outbox_release(struct sks_outbox *box);

/*
 * On the loop, of one that is empty: calls done when the socket has room, or after timeout_ms. 0,
 * or -1: ETIMEDOUT, or ENOMEM.
 */
int sks_outbox_await_room(struct sks_outbox *box);

/* On the loop: sends what the socket takes now, the rest when it takes more; then calls done. */
void sks_outbox_send(struct sks_outbox *box);

#endif
