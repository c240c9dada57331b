/* SPDX-License-Identifier: MIT */
/*
 * The flush rule, and how bytes are sent.
 *
 * Bytes gather in a wfile until its task is about to wait, or until there are too many of
 * them. So a handler that answers sixteen pipelined lines makes one system call, and
 * nobody can forget to flush: a peer never waits for bytes of a task that waits for the
 * peer.
 *
 * What others have posted to the connection (its outbox) is sent between two flushes,
 * never inside of one.
 */
#include "stream/flush.h"

#include "loop/loop.h"
#include "loop/wait.h"
#include "stream/write_wait.h"

#include <errno.h>
#include <socketserver/fiber.h>

#define PIECES_AT_ONCE 64 /* of one sendmsg(2) */
#define COPY_SIZE 16384   /* of a file, where it goes through memory: a whole record of TLS */
#define KEPT_SIZE 2048    /* as much memory stays with a wfile that has no pool */

int
sks_wfile_check(struct sks_wfile *w)
{
	int error = w->error;

	if (error == 0)
		return 0;
	errno = error;
	if (sks_transport_is_datagram(w->tr)) /* the next one may go */
		w->error = 0;
	return -1;
}

/* All bytes were sent: gives the memory back. */
static void
empty(struct sks_wfile *w)
{
	if (w->pool == NULL && w->buf.cap <= KEPT_SIZE)
		w->buf.start = w->buf.end = 0;
	else
		sks_buf_release(&w->buf, w->pool);
}

/*
 * What send_all() has to send of the task's own: the buffer, and behind it pieces of its caller's
 * memory, or a part of a file.
 */
struct block {
	struct sks_buf *buf;
	const struct iovec *pieces;
	int count;   /* of pieces that are not all sent, */
	size_t sent; /* how much of the first of these is, */
	size_t left; /* and how many bytes of them are left */
	struct sks_file_part *file; /* what comes behind all of these; or NULL */
};

/* Returns how many bytes are left that are not in the buffer. */
static size_t
block_direct(const struct block *b)
{
	return b->left + (b->file != NULL ? b->file->left : 0);
}

static size_t
block_length(const struct block *b)
{
	return sks_buf_length(b->buf) + block_direct(b);
}

/* Puts what is next into iov, PIECES_AT_ONCE at most. How many. */
static int
next_pieces(const struct block *b, struct iovec *iov)
{
	size_t have = sks_buf_length(b->buf), sent = b->sent;
	int n = 0, i;

	if (have > 0)
		iov[n++] = (struct iovec){ b->buf->base + b->buf->start, have };
	for (i = 0; i < b->count && n < PIECES_AT_ONCE; i++, sent = 0) {
		if (b->pieces[i].iov_len > sent)
			iov[n++] = (struct iovec){ (char *)b->pieces[i].iov_base + sent,
				b->pieces[i].iov_len - sent };
	}
	return n;
}

static void
skip_sent(struct block *b, size_t n)
{
	size_t from_buf = sks_min(n, sks_buf_length(b->buf));

	sks_buf_consume(b->buf, from_buf);
	n -= from_buf;
	b->left -= n;
	for (b->sent += n; b->count > 0 && b->sent >= b->pieces->iov_len; b->count--)
		b->sent -= b->pieces++->iov_len;
}

/* One try to send from memory. 1 to n, or -1. (Apart: iov is on no stack of a fiber that waits.) */
static __attribute__((noinline)) ssize_t
push_memory(struct sks_wfile *w, struct block *b)
{
	struct iovec iov[PIECES_AT_ONCE];
	ssize_t sent = w->tr->ops->write(w->tr, iov, next_pieces(b, iov));

	if (sent > 0)
		skip_sent(b, (size_t)sent);
	return sent;
}

/* Does what push_memory() does, for the file. Also EINVAL: the transport only sends from memory. */
static ssize_t
push_file(struct sks_wfile *w, struct sks_file_part *file)
{
	off_t at = file->at;
	ssize_t sent;

	if (w->tr->ops->sendfile == NULL || file->copied) {
		errno = EINVAL;
		return -1;
	}
	sent = w->tr->ops->sendfile(w->tr, file->fd, &at, file->ready);
	if (sent > 0) {
		sks_file_advance(file, (size_t)sent);
		return sent;
	}
	if (sent == 0)
		errno = ENODATA;
	return -1;
}

/* Reads some of the file into the buffer. 0, or -1. */
static int
load_file(struct sks_wfile *w, struct sks_file_part *file)
{
	ssize_t got;

	file->copied = 1;
	if (sks_buf_reserve(&w->buf, w->pool, COPY_SIZE) == -1)
		return -1;
	got = sks_file_read(file, w->buf.base + w->buf.end, COPY_SIZE);
	if (got == -1)
		return -1;
	sks_file_advance(file, (size_t)got);
	w->buf.end += (size_t)got;
	return 0;
}

/* One try to send. 1 to n, or -1. A file comes when all before it was sent. */
static ssize_t
push(struct sks_wfile *w, struct block *b)
{
	ssize_t sent;

	if (b->file == NULL || sks_buf_length(b->buf) + b->left > 0)
		return push_memory(w, b);
	if (sks_file_is_cold(b->file)) {
		sks_flush_dirty();
		if (sks_file_fetch(b->file) == -1)
			return -1;
	}
	sent = push_file(w, b->file);
	if (sent != -1 || errno != EINVAL)
		return sent;
	return load_file(w, b->file) == -1 ? -1 : push_memory(w, b);
}

/*
 * Sends a block, or what was posted (b is NULL). 0: all was sent. 1: without wait, all that
 * the socket took. -1 with errno: the direction is broken, unless it is ECANCELED or ENOMEM.
 */
static int
send_block(struct sks_wfile *w, struct block *b, struct sks_outbox *box, int wait)
{
	struct sks_task *task = sks_task_current();
	int waited = 0, expired = 0, moved = 0;

	while (b == NULL || block_length(b) > 0) {
		ssize_t sent = b != NULL ? push(w, b) : sks_outbox_push(box);

		task->calls++;
		if (sent == 0) /* nothing that was posted is left */
			break;
		if (sent > 0) {
			moved = 1;
			task->bytes += (size_t)sent;
			if (wait)
				sks_wait_yield_if_due(sks_task_current());
			continue;
		}
		if (errno != EAGAIN)
			return -1;
		if (!wait)
			return 1;
		if (expired) {
			errno = ETIMEDOUT;
			return -1;
		}
		waited = 1;
		sks_flush_dirty();
		if (sks_write_wait(w) == -1) {
			if (errno != ETIMEDOUT || w->pace.is_slow)
				return -1;
			expired = 1;
		}
	}
	if (moved && !waited)
		sks_write_wait_renew(w);
	return 0;
}

/* Sends what was posted to the connection. Only between two messages of its task. */
static int
send_posted(struct sks_wfile *w, struct sks_outbox *box, int wait)
{
	int error = sks_outbox_error(box);

	if (error != 0) {
		errno = error;
		return -1;
	}
	sks_outbox_claim(box);
	return send_block(w, NULL, box, wait);
}

/* Returns 1 when a record has begun that may have some of the pieces behind the buffer. */
static int
has_begun_direct(const struct sks_wfile *w, const struct block *own)
{
	return w->tr->begun && own->left > 0 && sks_buf_length(own->buf) < SKS_TRANSPORT_JOINED;
}

static int
send_own(struct sks_wfile *w, struct block *own, int wait)
{
	size_t before = block_length(own);
	size_t direct = block_direct(own);
	int rc = send_block(w, own, NULL, wait);

	if (block_length(own) == 0)
		w->partial = 0;
	else if (block_length(own) < before || w->tr->begun)
		w->partial = 1;
	/* A large write that was cut short cannot be finished by a later one. */
	if (rc == -1 && (errno == ECANCELED || errno == ENOMEM) &&
	    (block_direct(own) < direct || has_begun_direct(w, own)))
		w->error = errno;
	return rc;
}

static struct sks_outbox *
outbox_of(const struct sks_wfile *w)
{
	return w->outbox != NULL ? atomic_load_explicit(w->outbox, memory_order_acquire) : NULL;
}

/* Sends what was posted while the task's own bytes were sent; then the loop may send again. */
static int
end_sending(struct sks_wfile *w, struct sks_outbox *box, int rc, int wait)
{
	int error;

	if (rc == 0)
		rc = send_posted(w, box, wait);
	error = errno;
	if (!w->partial)
		sks_outbox_release(box);
	errno = error;
	return rc;
}

/* Sends a block; without wait, only what the socket takes now. 0, or -1. */
static int
send_all(struct sks_wfile *w, struct block *own, int wait)
{
	struct sks_outbox *box = outbox_of(w);
	int rc = 0;

	if (sks_wfile_check(w) == -1)
		return -1;
	if (w->busy) {
		errno = EBUSY;
		return -1;
	}
	w->busy = 1;
	if (!sks_list_empty(&w->dirty)) /* threads that share one must not write here */
		sks_list_remove(&w->dirty);
	if (box != NULL && !w->partial)
		rc = send_posted(w, box, wait);
	if (rc == 0)
		rc = send_own(w, own, wait);
	box = outbox_of(w);
	if (box != NULL) /* it may have been made meanwhile */
		rc = end_sending(w, box, rc, wait);
	if (rc == -1 && errno != ECANCELED && errno != ENOMEM)
		w->error = errno;
	if (w->error != 0 && sks_transport_is_datagram(w->tr)) /* it is lost, and nothing joins it */
		sks_buf_consume(&w->buf, sks_buf_length(&w->buf));
	if (sks_buf_length(&w->buf) == 0)
		empty(w);
	w->busy = 0;
	return rc == -1 ? -1 : 0;
}

/*
 * The usual flush: nothing was posted, and the socket takes all bytes at once. 1: they were
 * sent, or the direction is broken. 0: send_all() has to do the rest. This way is flat, so
 * that the stack of a fiber that waits stays within one page: without it a connection that
 * has said a line holds 6.7 KB of memory, and not 4.6 (tests/bench/load --hold 2000 --speak).
 */
static int
flush_at_once(struct sks_task *task, struct sks_wfile *w)
{
	size_t n = sks_buf_length(&w->buf);
	struct iovec iov = { w->buf.base + w->buf.start, n };
	struct sks_outbox *box = outbox_of(w);
	ssize_t sent;

	if (w->error != 0 || w->busy || n == 0 || sks_transport_is_datagram(w->tr) ||
	    (box != NULL && !sks_outbox_try_claim(box)))
		return 0;
	sent = w->tr->ops->write(w->tr, &iov, 1);
	task->calls++;
	if (sent < 0) {
		if (errno == EAGAIN || errno == ENOMEM) {
			w->partial |= w->tr->begun;
			return 0;
		}
		w->error = errno;
	} else {
		task->bytes += (size_t)sent;
		if ((size_t)sent < n) {
			sks_buf_consume(&w->buf, (size_t)sent);
			w->partial = 1;
			return 0;
		}
		w->partial = 0;
		sks_write_wait_renew(w);
		empty(w);
	}
	if (box != NULL)
		sks_outbox_release(box);
	sks_list_remove(&w->dirty);
	return 1;
}

/* Sends the buffer alone. */
static int
send_buffer(struct sks_wfile *w, int wait)
{
	return send_all(w, &(struct block){ .buf = &w->buf }, wait);
}

/* Each sends what its socket takes at once. Those that have bytes left go to the other list. */
static void
try_all(struct sks_list *dirty, struct sks_list *full)
{
	struct sks_list *link;

	while ((link = sks_list_pop(dirty)) != NULL) {
		struct sks_wfile *w = sks_list_entry(link, struct sks_wfile, dirty);

		(void)send_buffer(w, 0);
		if (w->error == 0 && sks_buf_length(&w->buf) > 0)
			sks_list_append(full, &w->dirty);
	}
}

/* Each sends all, waiting as needed. Those that cannot, as the task is cancelled, go to kept. */
static void
send_each(struct sks_list *full, struct sks_list *kept)
{
	struct sks_list *link;

	while ((link = sks_list_pop(full)) != NULL) {
		struct sks_wfile *w = sks_list_entry(link, struct sks_wfile, dirty);

		if (send_buffer(w, 1) == 0 || w->error != 0)
			continue;
		/* The task must not wait for an answer to a question that is still here. */
		if (errno == ENOMEM)
			w->error = ENOMEM;
		else
			sks_list_append(kept, &w->dirty);
	}
}

/*
 * A wait for room flushes as well. So all that can be sent at once is sent before the first of
 * these waits: with a flush within each of them many peers that do not read would take all of the
 * stack. A list of one needs no try before its wait.
 */
static __attribute__((noinline)) void
flush_all(struct sks_list *dirty)
{
	struct sks_list full, kept;

	sks_list_init(&full);
	sks_list_init(&kept);
	while (!sks_list_empty(dirty)) {
		if (dirty->next != dirty->prev)
			try_all(dirty, &full);
		else
			sks_list_move_all(&full, dirty);
		send_each(&full, &kept);
	}
	sks_list_move_all(dirty, &kept);
}

void
sks_flush_dirty(void)
{
	struct sks_task *task = sks_task_current();
	struct sks_list *dirty = &task->dirty;

	if (sks_list_empty(dirty) ||
	    (dirty->next == dirty->prev &&
		flush_at_once(task, sks_list_entry(dirty->next, struct sks_wfile, dirty))))
		return;
	flush_all(dirty);
}

void
sks_flush_end(void)
{
	struct sks_list *dirty = &sks_task_current()->dirty;

	sks_flush_dirty();
	while (sks_list_pop(dirty) != NULL)
		;
}

int
sks_wfile_send(struct sks_wfile *w, const struct iovec *pieces, int count)
{
	struct block own = { .buf = &w->buf, .pieces = pieces, .count = count };
	int i;

	for (i = 0; i < count; i++)
		own.left += pieces[i].iov_len;
	return send_all(w, &own, 1);
}

int
sks_wfile_send_file(struct sks_wfile *w, struct sks_file_part *file)
{
	return send_all(w, &(struct block){ .buf = &w->buf, .file = file }, 1);
}

int
sks_wfile_try_flush(struct sks_wfile *w)
{
	if (w->tr == NULL)
		return 0;
	if (flush_at_once(sks_task_current(), w))
		return w->error != 0 ? -1 : 0;
	return send_buffer(w, 0);
}
