/* SPDX-License-Identifier: MIT */
/*
 * Connections: flushed, closed.
 *
 * What a task leaves unsent its loop sends. And of a finished connection the
 * loop sends what is left, shuts down its half, reads the peer's rest for a
 * while and closes. Closing at once would make the kernel answer unread input
 * with a reset, which can overtake the reply.
 */
#include "server/connection.h"

#include "base/clock.h"
#include "base/sys.h"
#include "server/linger.h"

#include <errno.h>

void
sks_connection_free(struct sks_connection *c)
{
	sks_outbox_free(c->outbox);
	sks_sys_free(c);
}

void
sks_connection_unpark(struct sks_connection *c)
{
	sks_watch_forget(&c->watch);
	c->watch.ahead = NULL;
	c->parked = 0;
	sks_count_alone(&c->worker->parked_count, -1);
}

static void
drop_input(struct sks_connection *c)
{
	struct sks_buf buf = sks_connection_take_input(c);

	sks_buf_release(&buf, &c->worker->loop->bufs);
}

/* Closes the descriptor and drops all that is only for it. */
static void
let_go(struct sks_connection *c)
{
	sks_watch_close(&c->watch);
	sks_outbox_end(c->outbox);
	drop_input(c);
	if (c->transport.fd != -1)
		sks_sys_close(c->transport.fd);
	c->transport.fd = -1;
}

void
sks_connection_hand_over(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);

	sks_watch_close(&c->watch);
	sks_sys_close(c->transport.fd);
	c->transport.fd = -1;
}

void
sks_connection_close(struct sks_connection *c)
{
	struct sks_worker *worker = c->worker;

	if (c->parked)
		sks_connection_unpark(c);
	if (c->lingering)
		sks_count_alone(&worker->lingering_count, -1);
	let_go(c);
	sks_list_remove(&c->call.link);
	c->closed = 1;
	if (c->refused)
		sks_count(worker->service, refused, 1);
	else
		sks_count_shared(worker->service, finished, 1);
	if (!sks_outbox_is_told(c->outbox))
		sks_connection_free(c);
	sks_worker_release(worker);
}

/* -- lingering -- */

static void
on_drain(struct sks_watch *watch, int error)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);
	unsigned char *scratch = sks_loop_scratch(c->worker->loop);

	while (error == 0 && scratch != NULL && c->drained < SKS_LINGER_BYTES) {
		ssize_t n = sks_sys_recv(c->transport.fd, scratch, SKS_LOOP_SCRATCH, MSG_DONTWAIT);

		if (n > 0) {
			c->drained += (int)n;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN &&
		    sks_watch_expect(watch, on_drain, watch->deadline) == 0)
			return;
		break;
	}
	sks_connection_close(c);
}

static void
shut_down(struct sks_connection *c)
{
	struct sks_service *service = c->worker->service;

	c->flushing = 0;
	if (!c->broken && !c->eof) {
		c->transport.ops->shutdown(&c->transport);
		if (sks_watch_expect(&c->watch, on_drain,
			sks_clock_after(service->options.linger_ms)) == 0)
			return;
	}
	sks_connection_close(c);
}

static void
lose(struct sks_connection *c, int error)
{
	sks_call_log_lost(&c->call, error);
	c->broken = 1;
}

/* The outbox is empty, or broken: of interest only to a connection that ends. */
static void
on_outbox_idle(void *arg)
{
	struct sks_connection *c = arg;
	int error;

	if (!c->flushing)
		return;
	error = sks_outbox_error(c->outbox);
	if (error != 0)
		lose(c, error);
	shut_down(c);
}

/* Does its fiber send, or has it sent half a message? */
static int
is_amid_output(const struct sks_connection *c)
{
	const struct sks_wfile *w = c->call.req.wfile;

	return w != NULL && (w->busy || w->partial);
}

/* Somebody posts from elsewhere, or did so before it was closed. */
static void
on_word(struct sks_message *message)
{
	struct sks_outbox *box = sks_container_of(message, struct sks_outbox, word);
	struct sks_connection *c = box->arg;

	if (c->closed)
		sks_connection_free(c);
	else
		sks_outbox_heard(box, !sks_connection_is_threaded(c) && !is_amid_output(c));
}

/*
 * On any thread. Another one than the loop's cannot know what its fiber does,
 * so there it is claimed at first, until the loop has looked.
 */
struct sks_outbox *
sks_connection_need_outbox(struct sks_connection *c)
{
	struct sks_service *service = c->worker->service;
	struct sks_loop *loop = c->worker->loop;
	struct sks_outbox *there = atomic_load(&c->outbox), *box;
	int here = sks_loop_is_here(loop);

	if (there != NULL)
		return there;
	box = sks_outbox_new(loop, sks_connection_is_threaded(c) ? NULL : &loop->bufs,
	    &c->transport, service->options.timeout_ms, on_outbox_idle, c);
	if (box == NULL)
		return NULL;
	box->word.run = on_word;
	if (!here || is_amid_output(c))
		sks_outbox_claim(box);
	if (!atomic_compare_exchange_strong(&c->outbox, &there, box)) {
		sks_outbox_free(box);
		return there;
	}
	if (!here)
		sks_outbox_tell(box);
	return box;
}

void
sks_connection_linger(struct sks_connection *c)
{
	sks_connection_move(c, &c->worker->lingering);
	c->lingering = 1;
	sks_count_alone(&c->worker->lingering_count, 1);
	drop_input(c);
	if (c->broken || sks_outbox_is_empty(c->outbox)) {
		shut_down(c);
		return;
	}
	c->flushing = 1;
	sks_outbox_release(c->outbox);
	sks_outbox_send(c->outbox);
}

int
sks_connection_leave_output(struct sks_connection *c, struct sks_wfile *w)
{
	if (sks_wfile_try_flush(w) == -1)
		return -1;
	if (sks_buf_length(&w->buf) == 0)
		return 0;
	if (c->call.executor->is_resident)
		return sks_flush(w);
	if (sks_connection_need_outbox(c) == NULL ||
	    sks_outbox_take(c->outbox, &w->buf, w->partial) == -1) {
		w->error = ENOMEM;
		return -1;
	}
	w->partial = 0;
	sks_outbox_release(c->outbox);
	return 0;
}

void
sks_connection_submit(struct sks_connection *c)
{
	sks_list_remove(&c->call.link); /* the executor's from here on */
	sks_executor_submit(c->worker->executor, &c->call);
}

void
sks_connection_end(struct sks_connection *c)
{
	if (c->parked)
		sks_connection_unpark(c);
	if (sks_outbox_error(c->outbox) != 0)
		c->broken = 1;
	if (c->call.set_up && c->worker->service->handler.finish != NULL) {
		c->only_finish = 1;
		sks_connection_submit(c);
		return;
	}
	c->refused = !c->call.set_up;
	if (c->broken || sks_outbox_is_empty(c->outbox))
		sks_connection_close(c);
	else
		sks_connection_linger(c);
}

