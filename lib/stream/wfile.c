/* SPDX-License-Identifier: MIT */
/*
 * wfile: the public calls that write. (How bytes are sent: flush.c.)
 */
#include "base/clock.h"
#include "loop/loop.h"
#include "stream/flush.h"
#include "stream/tls.h"
#include "stream/wfile.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DIRECT_SIZE 16384 /* from here on bytes are sent from the caller's memory */
#define FIRST_ROOM 1024   /* asked for at once, so that a few short writes move no memory */
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
	sks_pace_init(&w->pace, defaults->min_rate);
	w->is_bounded = defaults->min_rate != 0;
	sks_list_init(&w->dirty);
}

void
sks_wfile_close(struct sks_wfile *w)
{
	sks_list_remove(&w->dirty);
	sks_buf_release(&w->buf, w->pool);
}

/* Returns 1 where output may go out in parts: neither a datagram nor what stays in memory. */
static int
is_stream(const struct sks_wfile *w)
{
	return w->tr != NULL && !sks_transport_is_datagram(w->tr);
}

static int
flush(struct sks_wfile *w)
{
	int rc;

	if (w->tr == NULL) {
		errno = w->error;
		return w->error != 0 ? -1 : 0;
	}
	if (!w->busy) /* the task that has written may be of another loop */
		w->pool = sks_task_current()->bufs;
	rc = sks_wfile_send(w, NULL, 0);
	if (rc == -1)
		(void)sks_wfile_check(w); /* this call reports it */
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

static int
shut_down(struct sks_wfile *w)
{
	if (!is_stream(w)) {
		errno = ENOTSUP;
		return -1;
	}
	if (flush(w) == -1)
		return -1;
	w->busy = 1;
	sks_transport_say_end_waiting(w->tr, sks_clock_after(w->write_ms));
	w->tr->ops->shutdown(w->tr);
	w->busy = 0;
	return 0;
}

int
sks_wfile_shutdown(struct sks_wfile *w)
{
	struct sks_task *task = sks_task_current();
	int rc;

	if (sks_stream_claim(task, &w->claimed) == -1)
		return -1;
	rc = shut_down(w);
	sks_stream_release(task, &w->claimed);
	return rc;
}

int
sks_wfile_begin(struct sks_wfile *w, size_t n)
{
	if (sks_wfile_check(w) == -1)
		return -1;
	if (w->busy) {
		errno = EBUSY;
		return -1;
	}
	w->pool = sks_task_current()->bufs;
	if (sks_buf_length(&w->buf) + n <= w->max_output && !sks_memory_is_full(w->memory))
		return 0;
	if (!is_stream(w)) {
		errno = EMSGSIZE;
		return -1;
	}
	return sks_wfile_send(w, NULL, 0);
}

void
sks_wfile_added(struct sks_wfile *w, size_t n)
{
	struct sks_task *task = sks_task_current();

	w->buf.end += n;
	if (sks_list_empty(&w->dirty) && w->tr != NULL && !task->shares)
		sks_list_append(&task->dirty, &w->dirty);
}

int
sks_wfile_is_direct(const struct sks_wfile *w, size_t n)
{
	return is_stream(w) && (n >= DIRECT_SIZE || n > w->max_output);
}

/* All pieces go into the buffer, or from their own memory to the peer. */
static int
write_pieces(struct sks_wfile *w, const struct iovec *pieces, int count, size_t n)
{
	int i;

	if (sks_wfile_is_direct(w, n))
		return sks_wfile_begin(w, 0) == -1 ? -1 : sks_wfile_send(w, pieces, count);
	if (sks_wfile_begin(w, n) == -1 ||
	    sks_buf_reserve(&w->buf, w->pool, sks_max(n, FIRST_ROOM)) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (pieces[i].iov_len == 0)
			continue;
		memcpy(w->buf.base + w->buf.end, pieces[i].iov_base, pieces[i].iov_len);
		sks_wfile_added(w, pieces[i].iov_len);
	}
	return 0;
}

static int
write_bytes(struct sks_wfile *w, const void *buf, size_t n)
{
	return write_pieces(w, &(struct iovec){ (void *)buf, n }, 1, n);
}

int
sks_wfile_try_adopt(struct sks_wfile *w, struct sks_buf *buf)
{
	size_t n = sks_buf_length(buf);

	if (!is_stream(w) || sks_buf_length(&w->buf) > 0 || w->error != 0 ||
	    w->busy || n >= DIRECT_SIZE || n > w->max_output || sks_task_current()->shares)
		return 0;
	w->pool = sks_task_current()->bufs;
	sks_buf_release(&w->buf, w->pool);
	w->buf = *buf;
	*buf = (struct sks_buf){ 0 };
	sks_wfile_added(w, 0);
	return 1;
}

int
sks_wfile_end(struct sks_wfile *w, int rc)
{
	struct sks_task *task = sks_task_current();

	if (rc == 0 && task->shares)
		rc = flush(w);
	sks_stream_release(task, &w->claimed);
	return rc;
}

static int
write_shared(struct sks_wfile *w, const void *buf, size_t n)
{
	if (sks_stream_claim(sks_task_current(), &w->claimed) == -1)
		return -1;
	return sks_wfile_end(w, write_bytes(w, buf, n));
}

/* All else of sks_write(). It is apart so that the short way has no registers to save. */
static __attribute__((noinline)) int
write_first(struct sks_wfile *w, const void *buf, size_t n)
{
	if (n == 0)
		return sks_task_current()->shares ? 0 : sks_wfile_begin(w, 0);
	if (sks_task_current()->shares)
		return write_shared(w, buf, n);
	return write_bytes(w, buf, n);
}

int
sks_write(struct sks_wfile *w, const void *buf, size_t n)
{
	/*
	 * The short way: more bytes into a buffer that has some already. With 16 lines in one send
	 * a line takes 234 instructions of the server, and 326 without this way (callgrind,
	 * examples/echo_server).
	 */
	if (n > 0 && !sks_list_empty(&w->dirty) && w->error == 0 && !w->busy &&
	    n <= w->buf.cap - w->buf.end && sks_buf_length(&w->buf) + n <= w->max_output) {
		unsigned char *to = w->buf.base + w->buf.end;

		w->buf.end += n;
		memcpy(to, buf, n);
		return 0;
	}
	return write_first(w, buf, n);
}

/* Adds up how many bytes the pieces have. 0, or -1: EINVAL. */
static int
add_lengths(const struct iovec *pieces, int count, size_t *n)
{
	int i;

	*n = 0;
	for (i = 0; i < count; i++) {
		if (__builtin_add_overflow(*n, pieces[i].iov_len, n))
			break;
	}
	if (i == count && *n <= SSIZE_MAX)
		return 0;
	errno = EINVAL;
	return -1;
}

int
sks_writev(struct sks_wfile *w, const struct iovec *pieces, int count)
{
	size_t n;

	if (add_lengths(pieces, count, &n) == -1 ||
	    sks_stream_claim(sks_task_current(), &w->claimed) == -1)
		return -1;
	return sks_wfile_end(w, write_pieces(w, pieces, count, n));
}

int
sks_puts(struct sks_wfile *w, const char *string)
{
	return sks_write(w, string, strlen(string));
}

/* Formats the text behind the bytes of the buffer, and does not add it. Its length, or -1. */
static int SKS_PRINTF(2, 0)
format_behind(struct sks_wfile *w, const char *format, va_list args)
{
	int n = PRINT_ROOM;
	size_t room;

	do {
		va_list ap;

		room = (size_t)n;
		if (sks_wfile_begin(w, 0) == -1 || sks_buf_reserve(&w->buf, w->pool, room) == -1)
			return -1;
		va_copy(ap, args);
		n = vsnprintf((char *)w->buf.base + w->buf.end, room + 1, format, ap);
		va_end(ap);
	} while (n >= 0 && (size_t)n > room);
	return n;
}

static int SKS_PRINTF(2, 0)
print(struct sks_wfile *w, const char *format, va_list args)
{
	int n = format_behind(w, format, args);
	int fits = n >= 0 && sks_buf_length(&w->buf) + (size_t)n <= w->max_output;

	if (n < 0)
		return -1;
	if (!fits && !is_stream(w)) {
		errno = EMSGSIZE;
		return -1;
	}
	if (n > 0)
		sks_wfile_added(w, (size_t)n);
	return fits ? 0 : sks_wfile_send(w, NULL, 0);
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
	return sks_wfile_end(w, rc);
}

int
sks_wfile_error(const struct sks_wfile *w)
{
	return w->error;
}

int
sks_wfile_set_timeout(struct sks_wfile *w, int timeout_ms)
{
	w->waited_ms = 0;
	return sks_limit_set(&w->write_ms, timeout_ms, w->defaults->write_ms);
}
