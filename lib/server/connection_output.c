/* SPDX-License-Identifier: MIT */
/*
 * What the loop sends for a connection: the output that its task has left, and what
 * was posted to it. Both are in its outbox.
 */
#include "base/sys.h"
#include "server/connection.h"
#include "stream/flush.h"

#include <errno.h>

/* The outbox is empty, or broken. Only a connection that ends waits for that. */
static void
on_outbox_done(void *arg)
{
	struct sks_connection *c = arg;

	if (c->state == SKS_CONNECTION_FLUSHING)
		sks_connection_flushed(c, sks_outbox_error(c->outbox));
}

/*
 * Returns 1 while the loop must not send: the handler's fiber sends, it has sent a part of a
 * message, or the handshake has yet to come, before which nothing goes out in the clear.
 */
static int
is_amid_output(const struct sks_connection *c)
{
	const struct sks_wfile *w = c->call.req.wfile;

	return c->next == SKS_NEXT_HANDSHAKE || (w != NULL && (w->busy || w->partial));
}

/* Another thread has posted, perhaps before the connection was closed. */
static void
on_notice(struct sks_message *message)
{
	struct sks_outbox *box = sks_container_of(message, struct sks_outbox, notice);
	struct sks_connection *c = box->arg;

	if (c->state == SKS_CONNECTION_CLOSED)
		sks_connection_free(c);
	else
		sks_outbox_on_notice(box, !c->worker->executor->beside_loop && !is_amid_output(c));
}

/*
 * Another thread than the loop's cannot know what its fiber does, so there the new
 * outbox is claimed at first, until the loop has looked.
 */
struct sks_outbox *
sks_connection_need_outbox(struct sks_connection *c)
{
	struct sks_loop *loop = c->worker->loop;
	struct sks_outbox *there = atomic_load(&c->outbox), *box;
	int here = sks_loop_is_here(loop);

	if (there != NULL)
		return there;
	box = sks_outbox_new(loop, c->worker->executor->beside_loop ? NULL : &loop->bufs,
	    &c->transport, c->call.service->options.timeout_ms,
	    c->call.service->times.min_rate, on_outbox_done, c);
	if (box == NULL)
		return NULL;
	box->memory = c->call.service->memory;
	box->notice.run = on_notice;
	if (!here || is_amid_output(c))
		sks_outbox_claim(box);
	if (!atomic_compare_exchange_strong(&c->outbox, &there, box)) {
		sks_outbox_free(box);
		return there;
	}
	if (!here)
		sks_outbox_notify(box);
	return box;
}

int
sks_connection_leave_output(struct sks_connection *c, struct sks_wfile *w)
{
	if (c->outbox == NULL && sks_buf_length(&w->buf) == 0 && w->error == 0)
		return 0; /* it was flushed before the last wait, as mostly */
	if (sks_wfile_try_flush(w) == -1)
		return -1;
	if (sks_buf_length(&w->buf) == 0)
		return 0;
	if (sks_connection_need_outbox(c) == NULL ||
	    sks_outbox_take(c->outbox, &w->buf, w->partial) == -1) {
		w->error = ENOMEM;
		return -1;
	}
	w->partial = 0;
	sks_outbox_set_timeout(c->outbox, w->write_ms);
	sks_outbox_release(c->outbox);
	return 0;
}
