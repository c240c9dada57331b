/* SPDX-License-Identifier: MIT */
/*
 * Input that a write reads while it waits for room.
 *
 * Its memory comes from no pool, because the thread that reads ahead need not be the one whose
 * loop the rfile's pool belongs to.
 */
#include "stream/ahead.h"

#include "base/addr.h"
#include "base/log.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define READ_SIZE SKS_BUF_LARGE /* what one read asks for */

void
sks_ahead_lock_slowly(struct sks_rfile *r)
{
	while (atomic_exchange_explicit(&r->ahead.locked, 1, memory_order_acquire))
		sched_yield();
}

/* Under the lock. */
static int
is_full(const struct sks_rfile *r)
{
	return sks_buf_length(&r->ahead.buf) >= r->ahead.most;
}

/*
 * Logs that the bound is reached. Only the streams of a server have a log: somebody reads it who
 * may raise the bound.
 */
static void
log_full(struct sks_rfile *r)
{
	const struct sks_task *task = sks_task_current();

	if (r->ahead.logged || r->ahead.log == NULL)
		return;
	r->ahead.logged = 1;
	sks_log_limited(r->ahead.log, SKS_LOG_LINES, &task->origin, SKS_LOG_WARN, 0,
	    "sends and does not read: max_input (%zu bytes) is reached, the write waits",
	    r->ahead.most);
}

/* Returns 1 when the input is known to end, or to be broken, behind what was read ahead. */
static int
is_over(const struct sks_ahead *a)
{
	return a->state == SKS_AHEAD_ENDED || a->state == SKS_AHEAD_FAILED;
}

/*
 * Under the lock, so it does not look at r->eof and r->error, which a reader on another thread may
 * change beside it. Behind an end or an error that the reader knows, one read ahead meets it again.
 */
static enum sks_ahead_wish
wish(const struct sks_rfile *r)
{
	if (is_over(&r->ahead) || r->ahead.most == 0)
		return SKS_AHEAD_NOTHING;
	if (r->waits || r->ahead.state == SKS_AHEAD_NO_MEMORY)
		return SKS_AHEAD_LATER;
	if (is_full(r))
		return SKS_AHEAD_FULL;
	return sks_memory_is_full(r->memory) ? SKS_AHEAD_LATER : SKS_AHEAD_INPUT;
}

enum sks_ahead_wish
sks_ahead_wish(struct sks_rfile *r)
{
	enum sks_ahead_wish what;
	int locked;

	if (r == NULL || r->tr == NULL || sks_transport_is_datagram(r->tr))
		return SKS_AHEAD_NOTHING;
	locked = sks_ahead_lock(r, sks_task_current());
	what = wish(r);
	if (what == SKS_AHEAD_FULL)
		log_full(r);
	if (r->ahead.state == SKS_AHEAD_NO_MEMORY) /* the next look tries again */
		r->ahead.state = SKS_AHEAD_OPEN;
	sks_ahead_unlock(r, locked);
	return what;
}

/* Under the lock. If there is no memory the write waits for room only, until its next look. */
static void
read_once(struct sks_rfile *r)
{
	struct sks_ahead *a = &r->ahead;
	ssize_t got;

	if (sks_buf_reserve(&a->buf, NULL, READ_SIZE) == -1) {
		a->state = SKS_AHEAD_NO_MEMORY;
		return;
	}
	got = r->tr->ops->read(r->tr, a->buf.base + a->buf.end, READ_SIZE);
	if (got > 0)
		a->buf.end += (size_t)got;
	else if (got == 0)
		a->state = SKS_AHEAD_ENDED;
	else if (errno != EAGAIN) {
		a->state = SKS_AHEAD_FAILED;
		a->error = errno;
	}
	if (sks_buf_length(&a->buf) == 0) /* as where less than a record of TLS is there */
		sks_buf_release(&a->buf, NULL);
	r->has_ahead = sks_buf_length(&a->buf) > 0 || is_over(a);
}

void
sks_ahead_read(struct sks_rfile *r)
{
	struct sks_task *task = sks_task_current();
	int locked = sks_ahead_lock(r, task);

	if (wish(r) == SKS_AHEAD_INPUT)
		read_once(r);
	sks_ahead_unlock(r, locked);
	task->calls++;
}

/*
 * The buffer of ahead is empty: what came behind its bytes, an end or an error, is the rfile's
 * now.
 */
static void
end_ahead(struct sks_rfile *r)
{
	struct sks_ahead *a = &r->ahead;

	sks_buf_release(&a->buf, NULL);
	if (a->state == SKS_AHEAD_ENDED)
		r->eof = 1;
	else if (a->state == SKS_AHEAD_FAILED)
		r->error = a->error;
	a->state = SKS_AHEAD_OPEN;
	a->logged = 0;
	r->has_ahead = 0;
}

/*
 * Moves up to `most` bytes into the rfile's buffer. The bytes that are there already may be moved
 * for them, so a read takes no more at a time than it would read.
 */
static ssize_t
take(struct sks_rfile *r, size_t most)
{
	struct sks_buf *from = &r->ahead.buf;
	size_t n = sks_min(sks_buf_length(from), most);

	if (n > 0) {
		if (sks_buf_reserve(&r->buf, r->pool, n) == -1)
			return -1;
		memcpy(r->buf.base + r->buf.end, from->base + from->start, n);
		r->buf.end += n;
		sks_buf_consume(from, n);
	}
	if (sks_buf_length(from) == 0)
		end_ahead(r);
	return (ssize_t)n;
}

ssize_t
sks_ahead_take(struct sks_rfile *r)
{
	return take(r, READ_SIZE);
}

int
sks_ahead_settle(struct sks_rfile *r)
{
	if (!r->has_ahead)
		return 0;
	sks_rfile_restore(r);
	return take(r, READ_SIZE) > 0;
}

void
sks_ahead_end(struct sks_rfile *r)
{
	if (r->has_ahead && take(r, SIZE_MAX) == -1)
		r->error = ENOMEM;
	sks_buf_release(&r->ahead.buf, NULL); /* it has some still if there is no memory */
}
