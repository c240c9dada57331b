/* SPDX-License-Identifier: MIT */
/*
 * rfile: buffered input, by what its callers ask for. (How it comes: fill.c. wfile: wfile.c.)
 *
 * The lines handed out lie in the buffer, ended by a NUL that is put over the
 * byte behind them. That byte comes back at the next call. Copying each line
 * out was the alternative; it costs a copy and an allocation for each.
 */
#include "stream/stream.h"

#include "base/clock.h"
#include "base/util.h"
#include "stream/fill.h"
#include "loop/wait.h"

#include <errno.h>
#include <socketserver/fiber.h>
#include <string.h>

#define DIRECT_SIZE 16384   /* from here on bytes go to the caller's memory directly */
#define STEP_SIZE 65536     /* a long transfer gets its time anew for each of these */
#define PEEK_MAX 65536

void
sks_rfile_init(struct sks_rfile *r, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_line)
{
	*r = (struct sks_rfile){
		.preread.read = sks_transport_is_datagram(tr) ? NULL : sks_fill_preread,
		.tr = tr,
		.idle_ms = times->idle_ms,
		.read_ms = times->read_ms,
		.defaults = defaults,
		.max_line = max_line,
	};
}

void
sks_rfile_restore(struct sks_rfile *r)
{
	if (r->nul != NULL)
		*r->nul = r->under_nul;
	r->nul = NULL;
}

void
sks_rfile_close(struct sks_rfile *r)
{
	r->nul = NULL;
	sks_buf_release(&r->buf, r->pool);
}

/* A turn for others, when it is due; they must not read meanwhile. */
static void
take_turn(struct sks_rfile *r, struct sks_task *task)
{
	if (!sks_task_budget_is_spent(task))
		return;
	r->busy = 1;
	sks_wait_yield_if_due(task);
	r->busy = 0;
}

/* What every call begins with, and ends with unless that failed. */
static int
begin(struct sks_rfile *r)
{
	struct sks_task *task = sks_task_current();

	if (sks_stream_claim(task, &r->claimed) == -1)
		return -1;
	if (r->busy) {
		errno = EBUSY;
		return -1;
	}
	sks_rfile_restore(r);
	if (r->shared_watch != NULL)
		r->pool = sks_loop_bufs(task);
	take_turn(r, task);
	return 0;
}

static void
end(struct sks_rfile *r)
{
	sks_stream_release(sks_task_current(), &r->claimed);
}

static void
consume(struct sks_rfile *r, size_t n)
{
	sks_buf_consume(&r->buf, n);
	r->taken += n;
}

/* Takes n bytes off the buffer, which begin at first, and points *block at them, a NUL behind. */
static inline ssize_t
hand_out(struct sks_rfile *r, struct sks_task *task, unsigned char *first, size_t n, char **block)
{
	unsigned char *nul = first + n;

	*block = (char *)first;
	r->nul = nul;
	r->under_nul = *nul;
	consume(r, n);
	task->lines++;
	*nul = '\0'; /* the last: for the compiler a byte may be anything's, also r's */
	return (ssize_t)n;
}

/*
 * Looks for a byte in the first max bytes of input, reading as needed. 1 with
 * the block's length in *n; 0 when the input ends without it, *n then being
 * what is left; -1.
 */
static int
find(struct sks_rfile *r, int last, size_t max, size_t *n)
{
	struct sks_patience p = { 0 };
	size_t seen = 0;

	for (;;) {
		size_t have = sks_min(sks_buf_length(&r->buf), max);
		ssize_t got;

		if (have > seen) {
			unsigned char *first = r->buf.base + r->buf.start;
			unsigned char *at = memchr(first + seen, last, have - seen);

			if (at != NULL) {
				*n = (size_t)(at - first) + 1;
				return 1;
			}
			seen = have;
		}
		*n = have;
		if (have >= max) {
			errno = EMSGSIZE;
			return -1;
		}
		got = sks_fill(r, &p, NULL, 0);
		if (got <= 0)
			return (int)got;
	}
}

static inline ssize_t
read_until(struct sks_rfile *r, int last, size_t max, char **block)
{
	size_t n;

	switch (find(r, last, max != 0 ? max : r->max_line, &n)) {
	case -1:
		return -1;
	case 0:
		if (n == 0)
			return 0;
		break;
	}
	return hand_out(r, sks_task_current(), r->buf.base + r->buf.start, n, block);
}

ssize_t
sks_readuntil(struct sks_rfile *r, int last, size_t max, char **block)
{
	ssize_t n;

	if (begin(r) == -1)
		return -1;
	n = read_until(r, last, max, block);
	end(r);
	return n;
}

/*
 * A line behind the one that was handed out last, as most are where clients
 * pipeline, takes the short way: it begins where that one's NUL stands. The
 * byte under it is put back, and looked at by itself: a vector load over a
 * store this young would have to wait for it.
 */
ssize_t
sks_readline(struct sks_rfile *r, char **line)
{
	struct sks_task *task = sks_task_now;
	unsigned char *first = r->nul, *at = first;
	unsigned char under = r->under_nul;

	if (first == NULL || first != r->buf.base + r->buf.start || task->shares ||
	    task->lines >= SKS_BUDGET_LINES)
		return sks_readuntil(r, '\n', 0, line);
	*first = under;
	if (under != '\n')
		at = memchr(first + 1, '\n', sks_min(sks_buf_length(&r->buf), r->max_line) - 1);
	if (at == NULL)
		return sks_readuntil(r, '\n', 0, line);
	return hand_out(r, task, first, (size_t)(at - first) + 1, line);
}

char *
sks_gets(struct sks_rfile *r)
{
	char *line;
	ssize_t n = sks_readline(r, &line);

	if (n <= 0) {
		if (n == 0)
			errno = 0;
		return NULL;
	}
	if (line[n - 1] == '\n') {
		line[--n] = '\0';
		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
	}
	return line;
}

static int
skip_line(struct sks_rfile *r)
{
	struct sks_patience p = { 0 };
	size_t step = 0;

	for (;;) {
		size_t n = sks_buf_length(&r->buf);
		ssize_t got;

		if (n > 0) {
			unsigned char *first = r->buf.base + r->buf.start;
			unsigned char *at = memchr(first, '\n', n);

			if (at != NULL) {
				consume(r, (size_t)(at - first) + 1);
				return 1;
			}
			consume(r, n);
			step += n;
			p.begun = 1;
		}
		if (step >= STEP_SIZE) {
			step = 0;
			sks_patience_renew(&p);
		}
		take_turn(r, sks_task_current());
		got = sks_fill(r, &p, NULL, 0);
		if (got < 0)
			return -1;
		if (got == 0)
			return p.begun;
	}
}

int
sks_skipline(struct sks_rfile *r)
{
	int rc;

	if (begin(r) == -1)
		return -1;
	rc = skip_line(r);
	end(r);
	return rc;
}

/* What is buffered, up to n bytes. */
static size_t
take(struct sks_rfile *r, void *buf, size_t n)
{
	size_t have = sks_min(sks_buf_length(&r->buf), n);

	if (have > 0) {
		memcpy(buf, r->buf.base + r->buf.start, have);
		consume(r, have);
	}
	return have;
}

/* 1..n bytes for a caller's n > 0; 0 at the end of input, or -1. */
static ssize_t
read_some(struct sks_rfile *r, struct sks_patience *p, void *buf, size_t n)
{
	ssize_t got;

	if (sks_buf_length(&r->buf) == 0) {
		if (n >= DIRECT_SIZE && !sks_transport_is_datagram(r->tr)) {
			got = sks_fill(r, p, buf, n);
			if (got > 0)
				r->taken += (uint64_t)got;
			return got;
		}
		got = sks_fill(r, p, NULL, 0);
		if (got <= 0)
			return got;
	}
	return (ssize_t)take(r, buf, n);
}

ssize_t
sks_read(struct sks_rfile *r, void *buf, size_t n)
{
	struct sks_patience p = { 0 };
	ssize_t got;

	if (begin(r) == -1)
		return -1;
	got = n == 0 ? 0 : read_some(r, &p, buf, n);
	end(r);
	return got;
}

static ssize_t
read_all(struct sks_rfile *r, void *buf, size_t n)
{
	struct sks_patience p = { 0 };
	size_t done = 0, step = 0;

	while (done < n) {
		ssize_t got = read_some(r, &p, (char *)buf + done, n - done);

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
		step += (size_t)got;
		p.begun = 1;
		if (step >= STEP_SIZE) {
			step = 0;
			sks_patience_renew(&p);
		}
		take_turn(r, sks_task_current());
	}
	return (ssize_t)done;
}

ssize_t
sks_readn(struct sks_rfile *r, void *buf, size_t n)
{
	ssize_t got;

	if (begin(r) == -1)
		return -1;
	got = read_all(r, buf, n);
	end(r);
	return got;
}

static ssize_t
peek(struct sks_rfile *r, size_t n, char **bytes)
{
	struct sks_patience p = { 0 };

	if (n > sks_max(r->max_line, PEEK_MAX)) {
		errno = EMSGSIZE;
		return -1;
	}
	while (sks_buf_length(&r->buf) < n) {
		ssize_t got = sks_fill(r, &p, NULL, 0);

		if (got < 0)
			return -1;
		if (got == 0)
			break;
	}
	*bytes = (char *)r->buf.base + r->buf.start;
	return (ssize_t)sks_buf_length(&r->buf);
}

ssize_t
sks_peek(struct sks_rfile *r, size_t n, char **bytes)
{
	ssize_t have;

	if (begin(r) == -1)
		return -1;
	have = peek(r, n, bytes);
	end(r);
	return have;
}

/* What is buffered, or what comes next, at most max bytes. 1..max, 0 at the end of input, or -1. */
static ssize_t
pass(struct sks_rfile *r, struct sks_patience *p, struct sks_wfile *w, size_t max)
{
	size_t have = sks_buf_length(&r->buf);
	int rc;

	if (have == 0) {
		struct sks_wfile *twin = r->peer_wfile;
		ssize_t got;

		r->peer_wfile = w; /* whose failed flush must end this wait */
		got = sks_fill(r, p, NULL, 0);
		r->peer_wfile = twin;
		if (got <= 0)
			return got;
		have = (size_t)got;
	}
	if (have <= max && sks_wfile_adopt(w, &r->buf)) {
		r->taken += have;
		return (ssize_t)have;
	}
	have = sks_min(have, max);
	r->busy = 1; /* the write may wait, and is of bytes that lie in our buffer */
	rc = sks_write(w, r->buf.base + r->buf.start, have);
	r->busy = 0;
	if (rc == -1)
		return -1;
	consume(r, have);
	return (ssize_t)have;
}

ssize_t
sks_pass(struct sks_rfile *r, struct sks_wfile *w)
{
	struct sks_patience p = { 0 };
	ssize_t n;

	if (begin(r) == -1)
		return -1;
	n = pass(r, &p, w, SIZE_MAX);
	end(r);
	return n;
}

static int
copy(struct sks_rfile *r, struct sks_wfile *w, int64_t n)
{
	struct sks_patience p = { 0 };
	size_t step = 0;

	while (n != 0) {
		ssize_t passed = pass(r, &p, w, n < 0 ? SIZE_MAX : (size_t)n);

		if (passed < 0)
			return -1;
		if (passed == 0)
			break;
		if (n > 0)
			n -= passed;
		step += (size_t)passed;
		p.begun = 1;
		if (step >= STEP_SIZE) {
			step = 0;
			sks_patience_renew(&p);
		}
		take_turn(r, sks_task_current());
	}
	if (n > 0) {
		errno = ENODATA;
		return -1;
	}
	return 0;
}

int
sks_copy(struct sks_rfile *r, struct sks_wfile *w, int64_t n)
{
	int rc;

	if (begin(r) == -1)
		return -1;
	rc = copy(r, w, n);
	end(r);
	return rc;
}

int
sks_next_datagram(struct sks_rfile *r)
{
	if (!sks_transport_is_datagram(r->tr)) {
		errno = EINVAL;
		return -1;
	}
	if (begin(r) == -1)
		return -1;
	sks_buf_release(&r->buf, r->pool);
	r->eof = 0;
	end(r);
	return 0;
}

int
sks_eof(const struct sks_rfile *r)
{
	return sks_buf_length(&r->buf) == 0 && (r->eof || r->tr == NULL);
}

int
sks_end(const struct sks_rfile *r)
{
	return sks_eof(r) ? 0 : -1;
}

uint64_t
sks_tell(const struct sks_rfile *r)
{
	return r->taken;
}

int
sks_rfile_error(const struct sks_rfile *r)
{
	return r->error;
}

int
sks_rfile_set_timeout(struct sks_rfile *r, int timeout_ms)
{
	return sks_limit_set(&r->read_ms, timeout_ms, r->defaults->read_ms);
}

int
sks_rfile_set_idle(struct sks_rfile *r, int idle_ms)
{
	return sks_limit_set(&r->idle_ms, idle_ms, r->defaults->idle_ms);
}
