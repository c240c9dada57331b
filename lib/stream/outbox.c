/* SPDX-License-Identifier: MIT */
/*
 * The loop, the task and those who post may be several threads, so what all of them
 * look at is under a lock, which is never held across a wait. Most connections have no
 * outbox at all.
 *
 * A connection whose task is a thread always has one, which is hardly ever used. So that
 * it costs no lock at each flush, one atomic variable says all that a flush needs to
 * know. NOT_EMPTY is set before the lock is given back, and then no task begins to send
 * without the lock. A task that has begun before finds NOT_EMPTY when it releases its claim.
 */
#include "stream/outbox.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/tools.h"

#include <errno.h>

#define CLAIMED 1   /* the task sends, the loop does not */
#define NOT_EMPTY 2 /* there are bytes, or an error */

static void
lock(struct sks_outbox *box)
{
	sks_tell_acquire(box); /* it may come from another thread by an atomic pointer */
	pthread_mutex_lock(&box->lock);
}

static void
unlock(struct sks_outbox *box)
{
	pthread_mutex_unlock(&box->lock);
}

static int
has_bytes(const struct sks_outbox *box)
{
	return sks_unsent_length(&box->unsent) > 0;
}

/* Under the lock, after each change of unsent or error. */
static void
update_state(struct sks_outbox *box)
{
	if (box->error != 0 || has_bytes(box))
		atomic_fetch_or(&box->state, NOT_EMPTY);
	else
		atomic_fetch_and(&box->state, ~NOT_EMPTY);
}

static int
is_claimed(struct sks_outbox *box)
{
	return (atomic_load(&box->state) & CLAIMED) != 0;
}

/* Under the lock, after a wait for room, if there was one: what the peer has taken meanwhile. */
static void
note_wait(struct sks_outbox *box, int has_room)
{
	size_t taken;

	if (box->wait_began == 0)
		return;
	taken = sks_pace_taken(box->tr.fd, box->untaken, has_room, SKS_WRITE_STEP);
	if (box->pace.rate != 0)
		sks_pace_note(&box->pace, sks_clock_ms() - box->wait_began, taken);
	box->wait_began = 0;
	box->step += taken;
	if (box->step >= SKS_WRITE_STEP) {
		box->step = 0;
		box->step_began = 0;
	}
}

/* Under the lock. */
static int64_t
deadline_of(const struct sks_outbox *box)
{
	return box->step_began == 0 || box->timeout_ms < 0 ? SKS_NEVER :
		box->step_began + box->timeout_ms;
}

/* Under the lock. */
static int
has_time(const struct sks_outbox *box)
{
	return !sks_pace_is_spent(&box->pace) && sks_clock_left(deadline_of(box)) != 0;
}

/* Under the lock. A peer that is too slow is cut: close(2) drops what the kernel still has. */
static void
fail(struct sks_outbox *box, int error)
{
	box->error = error;
	box->pace.is_slow = error == ETIMEDOUT && sks_pace_is_spent(&box->pace);
	if (box->pace.is_slow)
		sks_transport_cut(box->tr.fd);
	sks_unsent_release(&box->unsent, box->pool);
	update_state(box);
	/* A task that reads on this connection learns of it by an end of input. */
	sks_sys_shutdown(box->tr.fd, SHUT_RDWR);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sks_outbox *box = arg;
	int has_room = (what & EV_WRITE) != 0, is_over;

	(void)fd;
	if (sks_loop_refuse_copy(box->loop))
		return;
	lock(box);
	note_wait(box, has_room);
	is_over = !has_room && !is_claimed(box) && (!has_bytes(box) || !has_time(box));
	if (is_over && has_bytes(box))
		fail(box, ETIMEDOUT);
	unlock(box);
	if (is_over)
		box->done(box->arg);
	else
		sks_outbox_send(box);
}

static void
run_job(struct sks_job *job)
{
	sks_outbox_send(sks_container_of(job, struct sks_outbox, job));
}

/* The fields that never change; its task may use the others just now. */
static void
copy_transport(struct sks_transport *to, const struct sks_transport *tr)
{
	*to = (struct sks_transport){ .ops = tr->ops, .traffic = tr->traffic, .flow = tr->flow,
		.fd = tr->fd };
}

struct sks_outbox *
sks_outbox_new(struct sks_loop *loop, struct sks_buf_pool *pool, const struct sks_transport *tr,
    int timeout_ms, int min_rate, void (*done)(void *arg), void *arg)
{
	struct sks_outbox *box = sks_sys_calloc(1, sizeof(*box));

	if (box == NULL)
		return NULL;
	pthread_mutex_init(&box->lock, NULL);
	box->loop = loop;
	box->pool = pool;
	copy_transport(&box->tr, tr);
	box->timeout_ms = timeout_ms;
	sks_pace_init(&box->pace, min_rate);
	box->done = done;
	box->arg = arg;
	box->job.run = run_job;
	sks_list_init(&box->job.link);
	sks_event_assign(&box->ev, loop->base, tr->fd, EV_WRITE, on_writable, box);
	sks_tell_release(box);
	return box;
}

void
sks_outbox_set_transport(struct sks_outbox *box, const struct sks_transport *tr)
{
	lock(box);
	copy_transport(&box->tr, tr);
	unlock(box);
}

void
sks_outbox_set_timeout(struct sks_outbox *box, int timeout_ms)
{
	lock(box);
	box->timeout_ms = timeout_ms;
	unlock(box);
}

void
sks_outbox_note_waits(struct sks_outbox *box, struct sks_peer_wait *wait)
{
	lock(box);
	box->tr.peer_wait = wait;
	unlock(box);
}

void
sks_outbox_end(struct sks_outbox *box)
{
	if (box == NULL)
		return;
	sks_event_end(&box->ev);
	sks_list_remove(&box->job.link);
	lock(box);
	sks_unsent_release(&box->unsent, box->pool);
	unlock(box);
}

void
sks_outbox_free(struct sks_outbox *box)
{
	if (box == NULL)
		return;
	pthread_mutex_destroy(&box->lock);
	sks_sys_free(box);
}

int
sks_outbox_is_empty(struct sks_outbox *box)
{
	return box == NULL || !(atomic_load(&box->state) & NOT_EMPTY) || box->error != 0;
}

int
sks_outbox_error(struct sks_outbox *box)
{
	return box != NULL ? box->error : 0;
}

int
sks_outbox_is_slow(const struct sks_outbox *box)
{
	return box != NULL && box->pace.is_slow;
}

/* Under the lock: may n bytes more wait? 0, or -1 as sks_outbox_put(). */
static int
check_room(const struct sks_outbox *box, size_t n, size_t max)
{
	if (box->error != 0) {
		errno = ENOTCONN;
		return -1;
	}
	if (n > max || sks_unsent_length(&box->unsent) > max - n ||
	    sks_memory_is_full(box->memory)) {
		errno = ENOBUFS;
		return -1;
	}
	return 0;
}

/* On the loop: sends as soon as the running callback or fiber lets go, unless it is claimed. */
static void
send_soon(struct sks_outbox *box)
{
	int due;

	lock(box);
	due = !is_claimed(box) && has_bytes(box);
	unlock(box);
	if (due && sks_list_empty(&box->job.link) && !event_pending(&box->ev, EV_WRITE, NULL))
		sks_loop_defer(box->loop, &box->job);
}

void
sks_outbox_notify(struct sks_outbox *box)
{
	if (!atomic_exchange(&box->notified, 1))
		sks_loop_post(box->loop, &box->notice);
}

/* From any thread: has the loop send. */
static void
schedule(struct sks_outbox *box)
{
	if (sks_loop_is_here(box->loop))
		send_soon(box);
	else
		sks_outbox_notify(box);
}

/* Adds a block, or n bytes where it is NULL. */
static int
put(struct sks_outbox *box, struct sks_block *block, const void *bytes, size_t n, size_t max)
{
	struct sks_buf_pool *pool = sks_loop_is_here(box->loop) ? box->pool : NULL;
	int rc;

	lock(box);
	rc = check_room(box, n, max);
	if (rc == 0)
		rc = block != NULL ? sks_unsent_add_block(&box->unsent, pool, block) :
				     sks_unsent_add(&box->unsent, pool, bytes, n);
	update_state(box);
	unlock(box);
	if (rc == 0)
		schedule(box);
	return rc;
}

int
sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n, size_t max)
{
	return put(box, NULL, bytes, n, max);
}

int
sks_outbox_put_block(struct sks_outbox *box, struct sks_block *block, size_t max)
{
	return put(box, block, NULL, block->n, max);
}

void
sks_outbox_on_notice(struct sks_outbox *box, int release)
{
	/* Not a store: what a thread has done that found it set comes before what follows. */
	atomic_exchange(&box->notified, 0);
	if (release)
		atomic_fetch_and(&box->state, ~CLAIMED);
	send_soon(box);
}

int
sks_outbox_is_notified(struct sks_outbox *box)
{
	return box != NULL && box->notified;
}

int
sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first)
{
	int rc;

	lock(box);
	if (first)
		rc = sks_unsent_add_before(&box->unsent, box->pool, rest);
	else
		rc = sks_unsent_add(&box->unsent, box->pool, rest->base + rest->start,
		    sks_buf_length(rest));
	if (rc == 0)
		sks_buf_release(rest, box->pool);
	update_state(box);
	unlock(box);
	return rc;
}

void
sks_outbox_claim(struct sks_outbox *box)
{
	lock(box); /* which the loop holds while it sends */
	box->wait_began = 0; /* the waits are the task's now */
	atomic_fetch_or(&box->state, CLAIMED);
	unlock(box);
}

int
sks_outbox_try_claim(struct sks_outbox *box)
{
	int empty_and_free = 0;

	return atomic_compare_exchange_strong(&box->state, &empty_and_free, CLAIMED);
}

/* Under the lock. */
static ssize_t
push(struct sks_outbox *box)
{
	struct iovec parts[SKS_UNSENT_IOV];
	int n = sks_unsent_parts(&box->unsent, parts);
	ssize_t sent = box->tr.ops->write(&box->tr, parts, n);

	if (sent <= 0)
		return sent;
	sks_unsent_consume(&box->unsent, (size_t)sent);
	if (!has_bytes(box)) {
		box->step = 0;
		box->step_began = 0;
		sks_pace_begin(&box->pace);
	}
	return sent;
}

/* Waits for room, until the deadline. 0, or -1: ETIMEDOUT, or as sks_event_add(). */
static int
await_room(struct sks_outbox *box)
{
	int64_t now = sks_clock_ms(), until;

	if (box->step_began == 0)
		box->step_began = now;
	if (!has_time(box)) {
		errno = ETIMEDOUT;
		return -1;
	}
	until = sks_min64(deadline_of(box), sks_pace_deadline(&box->pace, now));
	if (has_bytes(box))
		until = sks_pace_look(now, until);
	box->wait_began = now;
	box->untaken = sks_pace_untaken(box->tr.fd);
	sks_peer_wait_note(box->tr.peer_wait, box->step_began);
	return sks_event_add(&box->ev, until == SKS_NEVER ? -1 : sks_max64(until - now, 1));
}

int
sks_outbox_await_room(struct sks_outbox *box)
{
	int rc;

	lock(box);
	rc = await_room(box);
	unlock(box);
	return rc;
}

ssize_t
sks_outbox_push(struct sks_outbox *box)
{
	ssize_t sent = 0;

	lock(box);
	if (has_bytes(box))
		sent = push(box);
	update_state(box);
	unlock(box);
	return sent;
}

/* Bytes that were posted since the last push were left to the task that had claimed it. */
static __attribute__((noinline)) void
release_and_send(struct sks_outbox *box)
{
	int left;

	lock(box);
	atomic_fetch_and(&box->state, ~CLAIMED);
	left = has_bytes(box);
	unlock(box);
	if (left)
		schedule(box);
}

void
sks_outbox_release(struct sks_outbox *box)
{
	int claimed_and_empty = CLAIMED;

	if (!atomic_compare_exchange_strong(&box->state, &claimed_and_empty, 0))
		release_and_send(box);
}

void
sks_outbox_send(struct sks_outbox *box)
{
	int waits = 0;

	lock(box);
	if (is_claimed(box)) {
		unlock(box);
		return;
	}
	while (!waits && has_bytes(box)) {
		if (push(box) >= 0)
			continue;
		if (errno == EAGAIN && await_room(box) == 0)
			waits = 1;
		else
			fail(box, errno);
	}
	if (!waits)
		sks_unsent_release(&box->unsent, box->pool);
	update_state(box);
	unlock(box);
	if (!waits)
		box->done(box->arg);
}
