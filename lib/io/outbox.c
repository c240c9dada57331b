/* SPDX-License-Identifier: MIT */
/*
 * The loop and the task of a connection may be two threads, so what both look
 * at is under a lock; it is never held across a wait. On fibers it is always
 * free, and most connections have no outbox at all.
 */
#include "io/outbox.h"

#include "base/sys.h"

#include <errno.h>
#include <string.h>

static void
lock(struct sks_outbox *box)
{
	pthread_mutex_lock(&box->lock);
}

static void
unlock(struct sks_outbox *box)
{
	pthread_mutex_unlock(&box->lock);
}

/* Under the lock. */
static void
fail(struct sks_outbox *box, int error)
{
	box->error = error;
	atomic_fetch_sub(box->load, (uint32_t)sks_buf_length(&box->buf));
	sks_buf_release(&box->buf, box->pool);
	/* Whoever reads on this connection learns of it by an end of input. */
	sks_sys_shutdown(box->tr.fd, SHUT_RDWR);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sks_outbox *box = arg;
	int failed;

	(void)fd;
	if (what & EV_WRITE) {
		sks_outbox_send(box);
		return;
	}
	lock(box);
	failed = !box->claimed && sks_buf_length(&box->buf) > 0;
	if (failed)
		fail(box, ETIMEDOUT);
	unlock(box);
	if (failed)
		box->idle(box->arg);
}

static void
run_job(struct sks_job *job)
{
	sks_outbox_send(sks_container_of(job, struct sks_outbox, job));
}

struct sks_outbox *
sks_outbox_new(struct sks_loop *loop, struct sks_buf_pool *pool, struct sks_transport *tr,
    _Atomic uint32_t *load, int timeout_ms, void (*idle)(void *arg), void *arg)
{
	struct sks_outbox *box = sks_sys_calloc(1, sizeof(*box));

	if (box == NULL)
		return NULL;
	pthread_mutex_init(&box->lock, NULL);
	box->loop = loop;
	box->pool = pool;
	box->tr = *tr;
	box->load = load;
	box->timeout_ms = timeout_ms;
	box->idle = idle;
	box->arg = arg;
	box->job.run = run_job;
	sks_list_init(&box->job.link);
	event_assign(&box->ev, loop->base, tr->fd, EV_WRITE, on_writable, box);
	return box;
}

void
sks_outbox_free(struct sks_outbox *box)
{
	if (box == NULL)
		return;
	event_del(&box->ev);
	sks_list_remove(&box->job.link);
	sks_buf_release(&box->buf, box->pool);
	pthread_mutex_destroy(&box->lock);
	sks_sys_free(box);
}

int
sks_outbox_is_empty(struct sks_outbox *box)
{
	int empty;

	if (box == NULL)
		return 1;
	lock(box);
	empty = sks_buf_length(&box->buf) == 0;
	unlock(box);
	return empty;
}

int
sks_outbox_error(struct sks_outbox *box)
{
	int error;

	if (box == NULL)
		return 0;
	lock(box);
	error = box->error;
	unlock(box);
	return error;
}

static int
append(struct sks_outbox *box, struct sks_buf *to, const void *bytes, size_t n)
{
	if (n == 0)
		return 0;
	if (sks_buf_reserve(to, box->pool, n) == -1)
		return -1;
	memcpy(to->base + to->end, bytes, n);
	to->end += n;
	return 0;
}

static int
put(struct sks_outbox *box, const void *bytes, size_t n)
{
	if (box->error != 0) {
		errno = ENOTCONN;
		return -1;
	}
	return append(box, &box->buf, bytes, n);
}

int
sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n)
{
	int rc, claimed;

	lock(box);
	rc = put(box, bytes, n);
	claimed = box->claimed;
	unlock(box);
	if (rc == 0 && !claimed && sks_list_empty(&box->job.link) &&
	    !event_pending(&box->ev, EV_WRITE, NULL))
		sks_loop_defer(box->loop, &box->job);
	return rc;
}

int
sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first)
{
	struct sks_buf *to = first ? rest : &box->buf;
	struct sks_buf *from = first ? &box->buf : rest;
	int rc;

	lock(box);
	atomic_fetch_add(box->load, (uint32_t)sks_buf_length(rest));
	rc = append(box, to, from->base + from->start, sks_buf_length(from));
	if (rc == 0) {
		sks_buf_release(from, box->pool);
		if (first) {
			box->buf = *rest;
			*rest = (struct sks_buf){ 0 };
		}
	} else
		atomic_fetch_sub(box->load, (uint32_t)sks_buf_length(rest));
	unlock(box);
	return rc;
}

void
sks_outbox_claim(struct sks_outbox *box)
{
	lock(box);
	box->claimed = 1;
	unlock(box);
}

/* Under the lock. */
static ssize_t
push(struct sks_outbox *box)
{
	struct iovec iov = { box->buf.base + box->buf.start, sks_buf_length(&box->buf) };
	ssize_t sent = box->tr.ops->write(&box->tr, &iov, 1);

	if (sent > 0) {
		sks_buf_consume(&box->buf, (size_t)sent);
		atomic_fetch_sub(box->load, (uint32_t)sent);
	}
	return sent;
}

ssize_t
sks_outbox_push(struct sks_outbox *box)
{
	ssize_t sent = 0;

	lock(box);
	if (sks_buf_length(&box->buf) > 0)
		sent = push(box);
	unlock(box);
	return sent;
}

void
sks_outbox_release(struct sks_outbox *box)
{
	lock(box);
	box->claimed = 0;
	unlock(box);
}

void
sks_outbox_send(struct sks_outbox *box)
{
	int waits = 0;

	lock(box);
	if (box->claimed) {
		unlock(box);
		return;
	}
	while (!waits && sks_buf_length(&box->buf) > 0) {
		if (push(box) >= 0)
			continue;
		if (errno == EAGAIN && sks_loop_add(&box->ev, box->timeout_ms) == 0)
			waits = 1;
		else
			fail(box, errno);
	}
	if (!waits)
		sks_buf_release(&box->buf, box->pool);
	unlock(box);
	if (!waits)
		box->idle(box->arg);
}
