/* SPDX-License-Identifier: MIT */
/*
 * How an rfile gets more input.
 *
 * A buffer is held only while it has bytes in it or a call is filling it, so a connection
 * that waits for its next line holds none. A read that came short has drained the socket, and
 * the next one waits before it reads, which saves the call that would only say EAGAIN. If
 * there is input already that wait ends at once, so nothing is lost by it.
 *
 * For a fiber that waits its loop reads, before it resumes the fiber (loop/batch.h).
 */
#include "stream/fill.h"

#include "base/clock.h"
#include "base/util.h"
#include "loop/shared_watch.h"
#include "loop/wait.h"
#include "stream/ahead.h"
#include "stream/flush.h"

#include <errno.h>
#include <socketserver/fiber.h>
#include <string.h>

#define FILL_SIZE SKS_BUF_LARGE /* what an empty buffer is filled with at once */
#define FILL_MORE 4096          /* what is asked for behind a partial block */

/* Returns the watch that the current task may wait with; may be NULL. */
static struct sks_watch *
watch_of(struct sks_rfile *r)
{
	if (r->shared_watch == NULL)
		return r->watch;
	return sks_shared_watch_get(r->shared_watch, r->tr->fd,
	    sks_loop_shared_watches(sks_task_current()));
}

/* Tries once to read, and notes an end or an error. Returns as read(2) does. */
static ssize_t
pull(struct sks_rfile *r, void *into, size_t n)
{
	ssize_t got = r->tr->ops->read(r->tr, into, n);

	if (got > 0)
		r->drained = (size_t)got < n;
	else if (got == 0)
		r->eof = 1;
	else if (errno != EAGAIN)
		r->error = errno;
	return got;
}

/* Tries once to read into the buffer, as much as comes at once. */
static ssize_t
pull_more(struct sks_rfile *r)
{
	size_t room = sks_buf_length(&r->buf) == 0 ? FILL_SIZE : FILL_MORE;
	ssize_t got;

	if (sks_buf_reserve(&r->buf, r->pool, room) == -1)
		return -1;
	got = pull(r, r->buf.base + r->buf.end, r->buf.cap - r->buf.end);
	if (got > 0)
		r->buf.end += (size_t)got;
	return got;
}

/* With max_memory reached no more is read behind the beginning of a line or block. */
static int
lacks_memory(const struct sks_rfile *r)
{
	return r->is_bounded && sks_buf_length(&r->buf) > 0 && sks_memory_is_full(r->memory);
}

void
sks_fill_preread(struct sks_preread *preread)
{
	struct sks_rfile *r = sks_container_of(preread, struct sks_rfile, preread);
	ssize_t got = lacks_memory(r) ? 0 : pull_more(r);

	if (got > 0)
		r->preread_bytes = (unsigned int)got;
}

/*
 * Reads one datagram into the buffer, whole; behind it the input ends. An error of one
 * datagram, such as a port where nobody listens, breaks nothing.
 */
static ssize_t
pull_datagram(struct sks_rfile *r)
{
	ssize_t got = r->tr->ops->next_size(r->tr);

	if (got == -1 || sks_buf_reserve(&r->buf, r->pool, sks_max((size_t)got, 1)) == -1)
		return -1;
	got = pull(r, r->buf.base + r->buf.end, r->buf.cap - r->buf.end);
	r->error = 0;
	r->drained = 0;
	r->eof = got >= 0;
	if (got > 0)
		r->buf.end += (size_t)got;
	return got;
}

/* If the question was not sent there will be no answer. NULL, or the wfile that is broken. */
static struct sks_wfile *
broken_wfile(const struct sks_rfile *r, const struct sks_patience *p, const struct sks_task *task)
{
	struct sks_wfile *w = p->sink != NULL ? p->sink : r->peer_wfile;

	return w != NULL && !task->shares && w->error != 0 ? w : NULL;
}

static int
wait_until(struct sks_rfile *r, struct sks_preread *preread, int64_t deadline)
{
	return sks_wait_readable(r->tr->fd, watch_of(r), preread, deadline);
}

/* min_rate expects so many bytes a second of a block, from its first byte on. */
static __attribute__((noinline)) int
wait_at_pace(struct sks_rfile *r, const struct sks_patience *p, struct sks_preread *preread)
{
	int64_t began = sks_clock_ms();
	int rc;

	if (p->phase == SKS_PATIENCE_FIRST) {
		sks_pace_begin(&r->pace);
		return wait_until(r, preread, p->deadline);
	}
	rc = wait_until(r, preread, sks_min64(p->deadline, sks_pace_deadline(&r->pace, began)));
	sks_pace_note(&r->pace, sks_clock_ms() - began, 0);
	return rc;
}

/* Sets the deadline of the phase in which the call is now. */
static void
begin_phase(const struct sks_rfile *r, struct sks_patience *p)
{
	int begun = p->begun || sks_buf_length(&r->buf) > 0;
	enum sks_patience_phase phase = begun ? SKS_PATIENCE_REST : SKS_PATIENCE_FIRST;

	if (p->phase != phase) {
		p->phase = phase;
		p->began = sks_clock_coarse_ms();
		p->deadline = sks_clock_after(phase == SKS_PATIENCE_REST ? r->read_ms : r->idle_ms);
	}
}

/* Waits until there is memory, which no event tells. 0, or -1. */
static __attribute__((noinline)) int
await_memory(struct sks_rfile *r, struct sks_patience *p)
{
	int pause_ms = 0, rc;

	begin_phase(r, p);
	r->busy = 1;
	sks_flush_dirty();
	do {
		rc = sks_wait_backoff(&pause_ms, p->deadline);
	} while (rc == 0 && lacks_memory(r));
	r->busy = 0;
	return rc;
}

static int
wait_for(struct sks_rfile *r, struct sks_patience *p, struct sks_preread *preread)
{
	int rc;

	begin_phase(r, p);
	sks_peer_wait_note(r->tr->peer_wait, p->began);
	if (r->is_bounded)
		rc = wait_at_pace(r, p, preread);
	else
		rc = wait_until(r, preread, p->deadline);
	sks_peer_wait_note(r->tr->peer_wait, 0);
	return rc;
}

/* Flushes, and waits for input. 0, or -1; after ETIMEDOUT the caller tries once more. */
static int
await_input(struct sks_rfile *r, struct sks_task *task, struct sks_patience *p,
    struct sks_preread *preread)
{
	struct sks_wfile *broken;
	int rc = -1;

	r->busy = 1;
	r->preread_bytes = 0;
	sks_flush_dirty();
	if (broken_wfile(r, p, task) == NULL) {
		rc = 0;
		if (!sks_transport_has_input(r->tr) && sks_ahead_begin_wait(r, task)) {
			rc = wait_for(r, p, preread);
			sks_ahead_end_wait(r, task);
		}
	}
	r->busy = 0;
	broken = broken_wfile(r, p, task);
	return broken != NULL ? sks_wfile_check(broken) : rc;
}

/* Gives the caller of sks_fill() what was read ahead. 0: an end or an error alone. */
static ssize_t
take_ahead(struct sks_rfile *r, void *into, size_t n)
{
	ssize_t got = sks_ahead_take(r);

	if (got <= 0 || into == NULL)
		return got;
	n = sks_min((size_t)got, n);
	memcpy(into, r->buf.base + r->buf.start, n);
	sks_buf_consume(&r->buf, n);
	return (ssize_t)n;
}

/* Tries once to read, as the caller of sks_fill() wants it. */
static ssize_t
pull_some(struct sks_rfile *r, void *into, size_t n)
{
	if (sks_transport_is_datagram(r->tr))
		return pull_datagram(r);
	return into != NULL ? pull(r, into, n) : pull_more(r);
}

/* Does what pull_some() does, but input that was read ahead comes first. 0: eof or error is set. */
static ssize_t
pull_next(struct sks_rfile *r, const struct sks_task *task, void *into, size_t n)
{
	int locked = sks_ahead_lock(r, task);
	ssize_t got = r->has_ahead ? take_ahead(r, into, n) : pull_some(r, into, n);

	sks_ahead_unlock(r, locked);
	return got;
}

static void
note_input(struct sks_rfile *r, struct sks_task *task, ssize_t got)
{
	task->calls++;
	if (got <= 0)
		return;
	task->bytes += (size_t)got;
	if (r->is_bounded)
		sks_pace_note(&r->pace, 0, (size_t)got);
}

/* The peer has sent the rest of a block more slowly than min_rate. Nothing more is read of it. */
static void
cut(struct sks_rfile *r, struct sks_task *task)
{
	task->wait_end = SKS_WAIT_SLOW;
	r->pace.is_slow = 1;
	r->error = ETIMEDOUT;
}

/* The try after the deadline has found nothing, too. */
static ssize_t
timed_out(struct sks_rfile *r, struct sks_task *task, const struct sks_patience *p)
{
	if (task->wait_end == SKS_WAIT_TIMEOUT && sks_pace_is_spent(&r->pace))
		cut(r, task);
	else if (p->phase == SKS_PATIENCE_FIRST && task->wait_end == SKS_WAIT_TIMEOUT)
		task->wait_end = SKS_WAIT_IDLE;
	errno = ETIMEDOUT;
	return -1;
}

/* 1: more input may come. 0: it has ended. -1: it is broken. */
static int
check_open(struct sks_rfile *r)
{
	if (r->error != 0) {
		errno = r->error;
		return -1;
	}
	if (r->tr == NULL)
		r->eof = 1;
	return !r->eof;
}

/* Reads what is there, after a wait for memory if max_memory is reached. Returns as sks_fill(). */
static ssize_t
read_now(struct sks_rfile *r, struct sks_task *task, struct sks_patience *p, void *into, size_t n)
{
	ssize_t got;

	if (into == NULL && !r->has_ahead && lacks_memory(r) && await_memory(r, p) == -1)
		return errno == ETIMEDOUT ? timed_out(r, task, p) : -1;
	got = pull_next(r, task, into, n);
	note_input(r, task, got);
	p->begun |= got > 0;
	return got == 0 && r->error != 0 ? check_open(r) : got;
}

ssize_t
sks_fill(struct sks_rfile *r, struct sks_patience *p, void *into, size_t n)
{
	struct sks_task *task = sks_task_current();
	struct sks_preread *preread = into == NULL && r->preread.read != NULL ? &r->preread : NULL;
	int rc, expired = 0;

	while ((rc = check_open(r)) == 1) {
		if (!r->drained || r->has_ahead) {
			ssize_t got = read_now(r, task, p, into, n);

			if (got >= 0 || errno != EAGAIN)
				return got;
			if (expired)
				return timed_out(r, task, p);
		}
		r->drained = 0;
		if (into == NULL)
			sks_buf_shrink(&r->buf, r->pool);
		if (await_input(r, task, p, preread) == -1) {
			if (errno != ETIMEDOUT) {
				r->drained = 1; /* a read now could see an end that is none */
				return -1;
			}
			expired = 1;
		}
		if (r->preread_bytes > 0) {
			p->begun = 1;
			note_input(r, task, (ssize_t)r->preread_bytes);
			return (ssize_t)r->preread_bytes;
		}
	}
	return rc;
}
