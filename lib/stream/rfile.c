/* SPDX-License-Identifier: MIT */
/*
 * rfile: its life, and the public calls that read blocks of bytes. (Lines: rfile_line.c. How
 * more input comes: fill.c.)
 */
#include "stream/rfile.h"

#include "base/clock.h"
#include "base/util.h"
#include "loop/wait.h"

#include <errno.h>
#include <string.h>

#define DIRECT_SIZE 16384 /* from here on bytes are read into the caller's memory */
#define PEEK_MAX 65536
#define STEP 65536        /* a long transfer gets its time anew for each of these */

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
	sks_pace_init(&r->pace, defaults->min_rate);
	r->is_bounded = defaults->min_rate != 0;
}

void
sks_rfile_close(struct sks_rfile *r)
{
	r->nul = NULL;
	sks_buf_release(&r->buf, r->pool);
	sks_buf_release(&r->ahead.buf, NULL);
}

static void
yield_if_due(struct sks_rfile *r, struct sks_task *task)
{
	if (!sks_task_budget_is_spent(task))
		return;
	r->busy = 1;
	sks_wait_yield_if_due(task);
	r->busy = 0;
}

void
sks_rfile_progress(struct sks_rfile *r, struct sks_patience *p, size_t n)
{
	p->begun = 1;
	p->step += n;
	if (p->step >= STEP) {
		p->step = 0;
		p->phase = SKS_PATIENCE_UNSET;
	}
	yield_if_due(r, sks_task_current());
}

int
sks_rfile_begin(struct sks_rfile *r)
{
	struct sks_task *task = sks_task_current();

	if (sks_stream_claim(task, &r->claimed) == -1)
		return -1;
	if (r->busy) {
		sks_stream_release(task, &r->claimed);
		errno = EBUSY;
		return -1;
	}
	sks_rfile_restore(r);
	r->pool = task->bufs;
	yield_if_due(r, task);
	return 0;
}

/* Takes up to n bytes (n > 0) from the buffer, which has some. Returns how many. */
static size_t
take(struct sks_rfile *r, void *buf, size_t n)
{
	size_t have = sks_min(sks_buf_length(&r->buf), n);

	memcpy(buf, r->buf.base + r->buf.start, have);
	sks_rfile_consume(r, have);
	return have;
}

/* Reads 1 to n bytes (n > 0). How many; 0: the input ends; -1. */
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

	if (sks_rfile_begin(r) == -1)
		return -1;
	got = n == 0 ? 0 : read_some(r, &p, buf, n);
	sks_rfile_end(r);
	return got;
}

static ssize_t
read_all(struct sks_rfile *r, void *buf, size_t n)
{
	struct sks_patience p = { 0 };
	size_t done = 0;

	while (done < n) {
		ssize_t got = read_some(r, &p, (char *)buf + done, n - done);

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
		sks_rfile_progress(r, &p, (size_t)got);
	}
	return (ssize_t)done;
}

ssize_t
sks_readn(struct sks_rfile *r, void *buf, size_t n)
{
	ssize_t got;

	if (sks_rfile_begin(r) == -1)
		return -1;
	got = read_all(r, buf, n);
	sks_rfile_end(r);
	return got;
}

int
sks_readexactly(struct sks_rfile *r, void *buf, size_t n)
{
	ssize_t got = sks_readn(r, buf, n);

	if (got < 0)
		return -1;
	if ((size_t)got == n)
		return 1;
	if (got == 0)
		return 0;
	errno = ENODATA;
	return -1;
}

int
sks_rfile_gather(struct sks_rfile *r, struct sks_patience *p, size_t n)
{
	while (sks_buf_length(&r->buf) < n) {
		ssize_t got = sks_fill(r, p, NULL, 0);

		if (got <= 0)
			return (int)got;
		sks_rfile_progress(r, p, (size_t)got);
	}
	return 1;
}

static ssize_t
peek(struct sks_rfile *r, size_t n, char **bytes)
{
	struct sks_patience p = { 0 };

	if (n > sks_max(r->max_line, PEEK_MAX)) {
		errno = EMSGSIZE;
		return -1;
	}
	if (sks_rfile_gather(r, &p, n) == -1)
		return -1;
	*bytes = (char *)r->buf.base + r->buf.start;
	return (ssize_t)sks_buf_length(&r->buf);
}

ssize_t
sks_peek(struct sks_rfile *r, size_t n, char **bytes)
{
	ssize_t have;

	if (sks_rfile_begin(r) == -1)
		return -1;
	have = peek(r, n, bytes);
	sks_rfile_end(r);
	return have;
}

int
sks_next_datagram(struct sks_rfile *r)
{
	if (!sks_transport_is_datagram(r->tr)) {
		errno = EINVAL;
		return -1;
	}
	if (sks_rfile_begin(r) == -1)
		return -1;
	sks_buf_release(&r->buf, r->pool);
	r->eof = 0;
	sks_rfile_end(r);
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

void
sks_rfile_set_max_input(struct sks_rfile *r, size_t max)
{
	r->ahead.most = max;
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
