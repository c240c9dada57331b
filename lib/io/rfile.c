/* SPDX-License-Identifier: MIT */
/*
 * rfile: buffered input. (wfile: wfile.c.)
 *
 * A buffer is held only while it has bytes in it or a call is filling it, so a
 * connection that waits for its next line holds none. A read that came short
 * has emptied the socket: the next one waits before it reads, which saves the
 * call that would only say EAGAIN. The interest in input is level-triggered, so
 * nothing is lost by that. For a fiber that waits its loop reads, before it is
 * resumed: pull_ahead().
 *
 * The lines handed out lie in the buffer, ended by a NUL that is put over the
 * byte behind them. That byte comes back at the next call. Copying each line
 * out was the alternative; it costs a copy and an allocation for each.
 */
#include "io/stream.h"

#include "base/clock.h"
#include "base/util.h"
#include "io/blocking.h"
#include "io/guest.h"
#include "io/wait.h"

#include <errno.h>
#include <socketserver/fiber.h>
#include <string.h>

#define FILL_SIZE SKS_BUF_LARGE /* what an empty buffer is filled with at once */
#define FILL_MORE 4096      /* what is asked for behind a partial block */
#define DIRECT_SIZE 16384   /* from here on bytes go to the caller's memory directly */
#define STEP_SIZE 65536     /* a long transfer gets its time anew for each of these */
#define PEEK_MAX 65536

/* How long one call may still wait: idle_ms for its first byte, then read_ms. */
enum phase { UNSET, FOR_FIRST, FOR_REST };

struct patience {
	int64_t deadline;
	enum phase phase;
	int begun; /* bytes of this block have come */
};

static void pull_ahead(struct sks_ahead *ahead);

void
sks_rfile_init(struct sks_rfile *r, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_line)
{
	*r = (struct sks_rfile){
		.ahead.run = sks_transport_is_datagram(tr) ? NULL : pull_ahead,
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
	if (!sks_wait_was_long(task))
		return;
	r->busy = 1;
	sks_wait_fair(task);
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
	if (r->guest != NULL)
		r->pool = sks_loop_bufs(task);
	take_turn(r, task);
	return 0;
}

static void
end(struct sks_rfile *r)
{
	sks_stream_release(sks_task_current(), &r->claimed);
}

/* The wait ended before the loop got to it. */
static void
flush_early(struct sks_task *task)
{
	int error = errno;

	task->late = 0;
	sks_flush_dirty();
	errno = error;
}

static struct sks_watch *
watch_of(struct sks_rfile *r)
{
	return r->guest == NULL ? r->watch : sks_guest_watch(r->guest, r->tr->fd);
}

/* One try to read, which may wait itself. 1..n, 0 at the end of input, or -1. */
static ssize_t
pull(struct sks_rfile *r, void *into, size_t n, int waits)
{
	ssize_t got = waits ? sks_blocking_read(r->blocking, r->tr, into, n, r->idle_ms) :
			      r->tr->ops->read(r->tr, into, n);

	if (got > 0)
		r->dry = (size_t)got < n;
	else if (got == 0)
		r->eof = 1;
	else if (errno != EAGAIN && errno != ECANCELED)
		r->error = errno;
	return got;
}

/* Reads into the buffer, as much as comes at once. */
static ssize_t
pull_more(struct sks_rfile *r, int waits)
{
	size_t room = sks_buf_length(&r->buf) == 0 ? FILL_SIZE : FILL_MORE;
	ssize_t got;

	if (sks_buf_reserve(&r->buf, r->pool, room) == -1)
		return -1;
	got = pull(r, r->buf.base + r->buf.end, r->buf.cap - r->buf.end, waits);
	if (got > 0)
		r->buf.end += (size_t)got;
	return got;
}

/* The same on the loop's stack, for a fiber that waits: it finds what came of it in r. */
static void
pull_ahead(struct sks_ahead *ahead)
{
	(void)pull_more(sks_container_of(ahead, struct sks_rfile, ahead), 0);
}

/*
 * Takes one datagram, whole; behind it is an end. What went wrong with one, as
 * a port that nobody listens on, says nothing of the next.
 */
static ssize_t
pull_datagram(struct sks_rfile *r)
{
	ssize_t got = r->tr->ops->next_size(r->tr);

	if (got == -1 || sks_buf_reserve(&r->buf, r->pool, sks_max((size_t)got, 1)) == -1)
		return -1;
	got = pull(r, r->buf.base + r->buf.end, r->buf.cap - r->buf.end, 0);
	r->error = 0;
	r->dry = 0;
	r->eof = got >= 0;
	if (got > 0)
		r->buf.end += (size_t)got;
	return got;
}

/* Could what was written before this wait not be sent? Then there will be no answer. */
static int
is_broken(struct sks_rfile *r, const struct sks_task *task)
{
	return r->twin != NULL && !task->shares && r->twin->error != 0;
}

/*
 * A thread waits for its first byte in the read, if it may. 1: what came of it
 * is in r; 0: what is left of the time is to be waited as usual; -1.
 */
static __attribute__((noinline)) int
wait_in_read(struct sks_rfile *r, int may)
{
	if (may && sks_blocking_may(r->tr)) {
		if (pull_more(r, 1) >= 0 || r->error != 0)
			return 1;
		if (errno != EAGAIN)
			return -1;
	}
	sks_buf_shrink(&r->buf, r->pool);
	return 0;
}

static int
wait_for(struct sks_rfile *r, struct patience *p, int want, int ahead)
{
	enum phase phase = p->begun || sks_buf_length(&r->buf) > 0 ? FOR_REST : FOR_FIRST;
	int is_new = p->phase != phase;

	if (is_new) {
		p->phase = phase;
		p->deadline = sks_clock_after(phase == FOR_REST ? r->read_ms : r->idle_ms);
	}
	if (want == SKS_WRITE)
		return sks_wait_writable(r->tr->fd, p->deadline);
	if (r->blocks && ahead) {
		int rc = wait_in_read(r, is_new && phase == FOR_FIRST);

		if (rc != 0)
			return rc == 1 ? 0 : -1;
	}
	return sks_wait_readable(r->tr->fd, watch_of(r), ahead ? &r->ahead : NULL, p->deadline);
}

/* Waits for input, having flushed. 0, or -1; ETIMEDOUT is worth one more try. */
static int
await(struct sks_rfile *r, struct sks_task *task, struct patience *p, int want, int ahead)
{
	int rc = -1;

	r->busy = 1;
	if (want == SKS_WRITE || !sks_flush_postpone(task))
		sks_flush_dirty();
	if (!is_broken(r, task))
		rc = wait_for(r, p, want, ahead);
	if (task->late)
		flush_early(task);
	r->busy = 0;
	if (is_broken(r, task)) {
		(void)sks_wfile_failed(r->twin);
		return -1;
	}
	return rc;
}

/* One try, into the buffer (into is NULL) or the caller's memory. */
static ssize_t
pull_some(struct sks_rfile *r, void *into, size_t n)
{
	if (sks_transport_is_datagram(r->tr))
		return pull_datagram(r);
	return into != NULL ? pull(r, into, n, 0) : pull_more(r, 0);
}

/* Has the fairness budget. */
static void
count(struct sks_task *task, ssize_t got)
{
	task->calls++;
	if (got > 0)
		task->bytes += (size_t)got;
}

/*
 * Gets more input, into the buffer (into is NULL) or the caller's memory.
 * 1..n, 0 at the end of input, or -1.
 */
static ssize_t
get(struct sks_rfile *r, struct patience *p, void *into, size_t n)
{
	struct sks_task *task = sks_task_current();
	size_t had = sks_buf_length(&r->buf);
	int expired = 0;

	for (;;) {
		int want = SKS_READ;
		ssize_t got;

		if (r->error != 0) {
			errno = r->error;
			return -1;
		}
		if (r->tr == NULL)
			r->eof = 1;
		if (r->eof)
			return 0;
		if (!r->dry) {
			got = pull_some(r, into, n);
			count(task, got);
			if (got >= 0 || errno != EAGAIN) {
				p->begun |= got > 0;
				return got;
			}
			if (expired) {
				errno = ETIMEDOUT;
				return -1;
			}
			want = r->tr->want != 0 ? r->tr->want : SKS_READ;
		}
		r->dry = 0;
		if (into == NULL && !r->blocks)
			sks_buf_shrink(&r->buf, r->pool);
		if (await(r, task, p, want, into == NULL && r->ahead.run != NULL) == -1) {
			if (errno != ETIMEDOUT) {
				r->dry = 1; /* what ended the wait may look like an end of input */
				return -1;
			}
			expired = 1;
		}
		got = (ssize_t)(sks_buf_length(&r->buf) - had);
		if (got > 0) { /* it was read for us */
			p->begun = 1;
			count(task, got);
			return got;
		}
	}
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
	struct patience p = { 0 };
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
		got = get(r, &p, NULL, 0);
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

/* One frame for all of it: see flush_at_once() in wfile.c. */
__attribute__((flatten)) ssize_t
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
	    task->lines >= SKS_FAIR_LINES)
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
	struct patience p = { 0 };
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
			p.phase = UNSET;
		}
		take_turn(r, sks_task_current());
		got = get(r, &p, NULL, 0);
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
read_some(struct sks_rfile *r, struct patience *p, void *buf, size_t n)
{
	ssize_t got;

	if (sks_buf_length(&r->buf) == 0) {
		if (n >= DIRECT_SIZE && !sks_transport_is_datagram(r->tr)) {
			got = get(r, p, buf, n);
			if (got > 0)
				r->taken += (uint64_t)got;
			return got;
		}
		got = get(r, p, NULL, 0);
		if (got <= 0)
			return got;
	}
	return (ssize_t)take(r, buf, n);
}

ssize_t
sks_read(struct sks_rfile *r, void *buf, size_t n)
{
	struct patience p = { 0 };
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
	struct patience p = { 0 };
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
			p.phase = UNSET;
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
	struct patience p = { 0 };

	if (n > sks_max(r->max_line, PEEK_MAX)) {
		errno = EMSGSIZE;
		return -1;
	}
	while (sks_buf_length(&r->buf) < n) {
		ssize_t got = get(r, &p, NULL, 0);

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
pass(struct sks_rfile *r, struct patience *p, struct sks_wfile *w, size_t max)
{
	size_t have = sks_buf_length(&r->buf);
	int rc;

	if (have == 0) {
		struct sks_wfile *twin = r->twin;
		ssize_t got;

		r->twin = w; /* whose failed flush must end this wait */
		got = get(r, p, NULL, 0);
		r->twin = twin;
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
	struct patience p = { 0 };
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
	struct patience p = { 0 };
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
			p.phase = UNSET;
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
sks_rfile_set_timeout(struct sks_rfile *r, int timeout_ms)
{
	r->read_ms = timeout_ms != 0 ? timeout_ms : r->defaults->read_ms;
}

void
sks_rfile_set_idle(struct sks_rfile *r, int idle_ms)
{
	r->idle_ms = idle_ms != 0 ? idle_ms : r->defaults->idle_ms;
}
