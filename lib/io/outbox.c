/* SPDX-License-Identifier: MIT */
#include "io/outbox.h"

#include "base/sys.h"

#include <errno.h>
#include <string.h>

static void
fail(struct sks_outbox *box, int error)
{
	box->error = error;
	sks_buf_release(&box->buf, &box->loop->bufs);
	/* Whoever reads on this connection learns of it by an end of input. */
	sks_sys_shutdown(box->tr->fd, SHUT_RDWR);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sks_outbox *box = arg;

	(void)fd;
	if (box->claimed)
		return;
	if (what & EV_WRITE)
		sks_outbox_send(box);
	else {
		fail(box, ETIMEDOUT);
		box->idle(box->arg);
	}
}

static void
run_job(struct sks_job *job)
{
	struct sks_outbox *box = sks_container_of(job, struct sks_outbox, job);

	if (!box->claimed)
		sks_outbox_send(box);
}

struct sks_outbox *
sks_outbox_new(struct sks_loop *loop, struct sks_transport *tr, size_t max, int timeout_ms,
    void (*idle)(void *arg), void *arg)
{
	struct sks_outbox *box = sks_sys_calloc(1, sizeof(*box));

	if (box == NULL)
		return NULL;
	box->loop = loop;
	box->tr = tr;
	box->max = max;
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
	sks_buf_release(&box->buf, &box->loop->bufs);
	sks_sys_free(box);
}

static int
append(struct sks_outbox *box, struct sks_buf *to, const void *bytes, size_t n)
{
	if (n == 0)
		return 0;
	if (sks_buf_reserve(to, &box->loop->bufs, n) == -1)
		return -1;
	memcpy(to->base + to->end, bytes, n);
	to->end += n;
	return 0;
}

static void
send_soon(struct sks_outbox *box)
{
	if (!box->claimed && sks_list_empty(&box->job.link) &&
	    !event_pending(&box->ev, EV_WRITE, NULL))
		sks_loop_defer(box->loop, &box->job);
}

int
sks_outbox_put(struct sks_outbox *box, const void *bytes, size_t n)
{
	if (box->error != 0) {
		errno = ENOTCONN;
		return -1;
	}
	if (n > box->max || sks_buf_length(&box->buf) > box->max - n) {
		errno = ENOBUFS;
		return -1;
	}
	if (append(box, &box->buf, bytes, n) == -1)
		return -1;
	if (n > 0)
		send_soon(box);
	return 0;
}

int
sks_outbox_take(struct sks_outbox *box, struct sks_buf *rest, int first)
{
	struct sks_buf *to = first ? rest : &box->buf;
	struct sks_buf *from = first ? &box->buf : rest;

	if (sks_buf_length(from) > 0 &&
	    append(box, to, from->base + from->start, sks_buf_length(from)) == -1)
		return -1;
	sks_buf_release(from, &box->loop->bufs);
	if (first) {
		box->buf = *rest;
		*rest = (struct sks_buf){ 0 };
	}
	return 0;
}

void
sks_outbox_claim(struct sks_outbox *box)
{
	box->claimed = 1;
}

void
sks_outbox_release(struct sks_outbox *box)
{
	box->claimed = 0;
	if (sks_buf_length(&box->buf) > 0)
		send_soon(box);
}

void
sks_outbox_send(struct sks_outbox *box)
{
	while (sks_buf_length(&box->buf) > 0) {
		struct iovec iov = { box->buf.base + box->buf.start, sks_buf_length(&box->buf) };
		ssize_t sent = box->tr->ops->write(box->tr, &iov, 1);

		if (sent >= 0) {
			sks_buf_consume(&box->buf, (size_t)sent);
			continue;
		}
		if (errno == EAGAIN && sks_loop_add(box->loop, &box->ev, box->timeout_ms) == 0)
			return;
		fail(box, errno);
	}
	sks_buf_release(&box->buf, &box->loop->bufs);
	box->idle(box->arg);
}
