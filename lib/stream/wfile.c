/* SPDX-License-Identifier: MIT */
/*
 * wfile: buffered output, and the flush rule.
 *
 * Bytes gather until the task is about to wait, or until there are too many of
 * them. So a handler that answers sixteen pipelined lines makes one system
 * call, and nobody can forget to flush: a peer never waits for bytes of a task
 * that waits for the peer.
 *
 * What others posted to the connection (its outbox) goes out between two
 * flushes, never inside one.
 */
#include "base/clock.h"
#include "loop/loop.h"
#include "stream/stream.h"
#include "loop/wait.h"

#include <errno.h>
#include <socketserver/fiber.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DIRECT_SIZE 16384 /* from here on bytes are sent from the caller's memory */
#define STEP_SIZE 65536   /* time is given anew for each of these */
#define FIRST_ROOM 1024   /* asked for at once, so that a few short writes move no memory */
#define KEPT_SIZE 2048    /* no more memory than this, where some is kept */
#define PRINT_ROOM 256    /* what most sks_printf() calls need */

void
sks_wfile_init(struct sks_wfile *w, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_output)
{
	*w = (struct sks_wfile){
		.tr = tr,
		.write_ms = times->write_ms,
		.defaults = defaults,
		.max_output = max_output,
	};
	sks_list_init(&w->dirty);
}

void
sks_wfile_close(struct sks_wfile *w)
{
	sks_list_remove(&w->dirty);
	sks_buf_release(&w->buf, w->pool);
}

/* Does each flush send one datagram? */
static int
is_datagram(const struct sks_wfile *w)
{
	return sks_transport_is_datagram(w->tr);
}

int
sks_wfile_failed(struct sks_wfile *w)
{
	int error = w->error;

	if (error == 0)
		return 0;
	errno = error;
	if (is_datagram(w)) /* the next one may go */
		w->error = 0;
	return 1;
}

/* All was sent. */
static void
empty(struct sks_wfile *w)
{
	if (w->pool == NULL && w->buf.cap <= KEPT_SIZE)
		w->buf.start = w->buf.end = 0;
	else
		sks_buf_release(&w->buf, w->pool);
}

/* One direction of bytes that send_all works through. */
struct block {
	struct sks_buf *buf;
	const unsigned char *more; /* behind the buffer, the caller's */
	size_t more_len;
};

static size_t
block_length(const struct block *b)
{
	return sks_buf_length(b->buf) + b->more_len;
}

/* One try to send. 1..n, or -1. */
static ssize_t
push(struct sks_wfile *w, struct block *b)
{
	struct iovec iov[2];
	size_t have = sks_buf_length(b->buf);
	ssize_t sent;
	int n = 0;

	if (have > 0)
		iov[n++] = (struct iovec){ b->buf->base + b->buf->start, have };
	if (b->more_len > 0)
		iov[n++] = (struct iovec){ (void *)b->more, b->more_len };
	sent = w->tr->ops->write(w->tr, iov, n);
	if (sent > 0) {
		size_t from_buf = sks_min((size_t)sent, have);

		sks_buf_consume(b->buf, from_buf);
		b->more += (size_t)sent - from_buf;
		b->more_len -= (size_t)sent - from_buf;
	}
	return sent;
}

/* Waits until more can be sent. 0, or -1; ETIMEDOUT is worth one more try. */
static int
await(struct sks_wfile *w, int64_t *deadline)
{
	if (*deadline == 0)
		*deadline = sks_clock_after(w->write_ms);
	sks_flush_dirty();
	if (w->tr->want == SKS_READ)
		return sks_wait_readable(w->tr->fd, NULL, NULL, *deadline);
	return sks_wait_events(w->tr->fd, SKS_WRITE, *deadline);
}

/*
 * Sends a block, or what was posted (b is NULL), waiting as needed if wait is
 * set. 0: all of it; 1: without wait, what could be sent. -1: errno, and broken
 * unless ECANCELED or ENOMEM.
 */
static int
send_block(struct sks_wfile *w, struct block *b, struct sks_outbox *box, int wait)
{
	struct sks_task *task = sks_task_current();
	int64_t deadline = 0;
	size_t step = 0;
	int expired = 0;

	while (b == NULL || block_length(b) > 0) {
		ssize_t sent = b != NULL ? push(w, b) : sks_outbox_push(box);

		task->calls++;
		if (sent == 0) /* nothing posted is left */
			return 0;
		if (sent > 0) {
			task->bytes += (size_t)sent;
			step += (size_t)sent;
			if (step >= STEP_SIZE || expired) {
				step = 0;
				expired = 0;
				deadline = 0;
			}
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
		if (await(w, &deadline) == -1) {
			if (errno != ETIMEDOUT)
				return -1;
			expired = 1;
		}
	}
	return 0;
}

/* What was posted to the connection; only between two messages of its task. */
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

static int
send_own(struct sks_wfile *w, struct block *own, int wait)
{
	size_t before = block_length(own);
	size_t direct = own->more_len;
	int rc = send_block(w, own, NULL, wait);

	if (block_length(own) == 0)
		w->partial = 0;
	else if (block_length(own) < before)
		w->partial = 1;
	/* A large write that was cut short cannot be finished by a later one. */
	if (rc == -1 && (errno == ECANCELED || errno == ENOMEM) && own->more_len < direct)
		w->error = errno;
	return rc;
}

static struct sks_outbox *
outbox_of(const struct sks_wfile *w)
{
	return w->outbox != NULL ? atomic_load_explicit(w->outbox, memory_order_acquire) : NULL;
}

/* What was posted while the task's own bytes were sent; then the loop may send again. */
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

/* Sends the buffer and more bytes behind it. 0 or -1. */
static int
send_all(struct sks_wfile *w, const void *more, size_t n, int wait)
{
	struct block own = { &w->buf, more, n };
	struct sks_outbox *box = outbox_of(w);
	int rc = 0;

	if (sks_wfile_failed(w))
		return -1;
	if (w->busy) {
		errno = EBUSY;
		return -1;
	}
	w->busy = 1;
	if (!sks_list_empty(&w->dirty)) /* shared by threads, it is on no list, and not touched */
		sks_list_remove(&w->dirty);
	if (box != NULL && !w->partial)
		rc = send_posted(w, box, wait);
	if (rc == 0)
		rc = send_own(w, &own, wait);
	box = outbox_of(w);
	if (box != NULL) /* it may have come only now */
		rc = end_sending(w, box, rc, wait);
	if (rc == -1 && errno != ECANCELED && errno != ENOMEM)
		w->error = errno;
	if (w->error != 0 && is_datagram(w)) /* it is lost; the next must not be joined to it */
		sks_buf_consume(&w->buf, sks_buf_length(&w->buf));
	if (sks_buf_length(&w->buf) == 0)
		empty(w);
	w->busy = 0;
	return rc == -1 ? -1 : 0;
}

/*
 * The usual flush: nothing was posted, and the socket takes all of it at once.
 * 1: done, or broken. It has a short way of its own because it runs at the
 * deepest point of a fiber that waits, and each line of its stack that is
 * touched there is fetched again at each wake-up.
 */
static int
flush_at_once(struct sks_task *task, struct sks_wfile *w)
{
	size_t n = sks_buf_length(&w->buf);
	struct iovec iov = { w->buf.base + w->buf.start, n };
	struct sks_outbox *box = outbox_of(w);
	ssize_t sent;

	if (w->error != 0 || w->busy || n == 0 || is_datagram(w) ||
	    (box != NULL && !sks_outbox_try_claim(box)))
		return 0;
	sent = w->tr->ops->write(w->tr, &iov, 1);
	task->calls++;
	if (sent < 0) {
		if (errno == EAGAIN || errno == ENOMEM)
			return 0;
		w->error = errno;
	} else {
		task->bytes += (size_t)sent;
		if ((size_t)sent < n) {
			sks_buf_consume(&w->buf, (size_t)sent);
			w->partial = 1;
			return 0;
		}
		w->partial = 0;
		empty(w);
	}
	if (box != NULL)
		sks_outbox_release(box);
	sks_list_remove(&w->dirty);
	return 1;
}

static __attribute__((noinline)) void
flush_all(struct sks_list *dirty)
{
	struct sks_list *link;
	struct sks_list kept;

	sks_list_init(&kept);
	while ((link = sks_list_pop(dirty)) != NULL) {
		struct sks_wfile *w = sks_list_entry(link, struct sks_wfile, dirty);

		if (send_all(w, NULL, 0, 1) == 0 || w->error != 0)
			continue;
		/* The wait for the answer must not begin while the question is still here. */
		if (errno == ENOMEM)
			w->error = ENOMEM;
		else
			sks_list_append(&kept, &w->dirty);
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
sks_wfile_try_flush(struct sks_wfile *w)
{
	if (w->tr == NULL)
		return 0;
	if (flush_at_once(sks_task_current(), w))
		return w->error != 0 ? -1 : 0;
	return send_all(w, NULL, 0, 0);
}

static int
flush(struct sks_wfile *w)
{
	int rc;

	if (w->tr == NULL) {
		errno = w->error;
		return w->error != 0 ? -1 : 0;
	}
	rc = send_all(w, NULL, 0, 1);
	if (rc == -1)
		(void)sks_wfile_failed(w); /* told now */
	return rc;
}

int
sks_flush(struct sks_wfile *w)
{
	struct sks_task *task = sks_task_current();
	int rc;

	if (sks_stream_claim(task, &w->claimed) == -1)
		return -1;
	rc = flush(w);
	sks_stream_release(task, &w->claimed);
	return rc;
}

/* Before bytes are added: is there room for n, after sending what there is? */
static int
begin(struct sks_wfile *w, size_t n)
{
	if (sks_wfile_failed(w))
		return -1;
	if (w->busy) {
		errno = EBUSY;
		return -1;
	}
	if (w->borrows_pool)
		w->pool = sks_loop_bufs(sks_task_current());
	if (sks_buf_length(&w->buf) + n <= w->max_output)
		return 0;
	if (w->tr == NULL || is_datagram(w)) {
		errno = EMSGSIZE;
		return -1;
	}
	return send_all(w, NULL, 0, 1);
}

static void
added(struct sks_wfile *w, size_t n)
{
	struct sks_task *task = sks_task_current();

	w->buf.end += n;
	if (sks_list_empty(&w->dirty) && w->tr != NULL && !task->shares)
		sks_list_append(&task->dirty, &w->dirty);
}

static int
write_bytes(struct sks_wfile *w, const void *buf, size_t n)
{
	if (w->tr != NULL && !is_datagram(w) && (n >= DIRECT_SIZE || n > w->max_output)) {
		if (begin(w, 0) == -1)
			return -1;
		return send_all(w, buf, n, 1);
	}
	if (begin(w, n) == -1 || sks_buf_reserve(&w->buf, w->pool, sks_max(n, FIRST_ROOM)) == -1)
		return -1;
	memcpy(w->buf.base + w->buf.end, buf, n);
	added(w, n);
	return 0;
}

int
sks_wfile_adopt(struct sks_wfile *w, struct sks_buf *buf)
{
	size_t n = sks_buf_length(buf);

	if (w->tr == NULL || is_datagram(w) || sks_buf_length(&w->buf) > 0 || w->error != 0 ||
	    w->busy || n >= DIRECT_SIZE || n > w->max_output || sks_task_current()->shares)
		return 0;
	sks_buf_release(&w->buf, w->pool);
	w->buf = *buf;
	*buf = (struct sks_buf){ 0 };
	if (w->borrows_pool)
		w->pool = sks_loop_bufs(sks_task_current());
	added(w, 0);
	return 1;
}

/*
 * Where several threads write nothing is left for a later flush: the list of
 * what a task has to flush is its own.
 */
static int
end_shared(struct sks_wfile *w, int rc)
{
	if (rc == 0)
		rc = flush(w);
	sks_stream_release(sks_task_current(), &w->claimed);
	return rc;
}

static int
write_shared(struct sks_wfile *w, const void *buf, size_t n)
{
	if (sks_stream_claim(sks_task_current(), &w->claimed) == -1)
		return -1;
	return end_shared(w, write_bytes(w, buf, n));
}

/* All else of sks_write(): kept apart, so that the short way has nothing to save. */
static __attribute__((noinline)) int
write_first(struct sks_wfile *w, const void *buf, size_t n)
{
	if (n == 0)
		return sks_task_current()->shares ? 0 : begin(w, 0);
	if (sks_task_current()->shares)
		return write_shared(w, buf, n);
	return write_bytes(w, buf, n);
}

int
sks_write(struct sks_wfile *w, const void *buf, size_t n)
{
	/* The short way: more bytes into a buffer that has some already. */
	if (n > 0 && !sks_list_empty(&w->dirty) && w->error == 0 && !w->busy &&
	    n <= w->buf.cap - w->buf.end && sks_buf_length(&w->buf) + n <= w->max_output) {
		unsigned char *to = w->buf.base + w->buf.end;

		w->buf.end += n;
		memcpy(to, buf, n);
		return 0;
	}
	return write_first(w, buf, n);
}

int
sks_puts(struct sks_wfile *w, const char *string)
{
	return sks_write(w, string, strlen(string));
}

static int SKS_PRINTF(2, 0)
print(struct sks_wfile *w, const char *format, va_list args)
{
	size_t room = PRINT_ROOM;

	for (;;) {
		va_list ap;
		int n;

		if (begin(w, 0) == -1 || sks_buf_reserve(&w->buf, w->pool, room) == -1)
			return -1;
		va_copy(ap, args);
		n = vsnprintf((char *)w->buf.base + w->buf.end, room + 1, format, ap);
		va_end(ap);
		if (n < 0)
			return -1;
		if ((size_t)n <= room) {
			/* The text stands in the buffer; is it allowed to stay? */
			if (sks_buf_length(&w->buf) + (size_t)n > w->max_output) {
				if (w->tr == NULL || is_datagram(w)) {
					errno = EMSGSIZE;
					return -1;
				}
				added(w, (size_t)n);
				return send_all(w, NULL, 0, 1);
			}
			if (n > 0)
				added(w, (size_t)n);
			return 0;
		}
		room = (size_t)n;
	}
}

int
sks_printf(struct sks_wfile *w, const char *format, ...)
{
	struct sks_task *task = sks_task_current();
	va_list args;
	int rc;

	if (sks_stream_claim(task, &w->claimed) == -1)
		return -1;
	va_start(args, format);
	rc = print(w, format, args);
	va_end(args);
	return task->shares ? end_shared(w, rc) : rc;
}

int
sks_wfile_error(const struct sks_wfile *w)
{
	return w->error;
}

int
sks_wfile_set_timeout(struct sks_wfile *w, int timeout_ms)
{
	return sks_limit_set(&w->write_ms, timeout_ms, w->defaults->write_ms);
}
