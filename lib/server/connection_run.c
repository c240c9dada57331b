/* SPDX-License-Identifier: MIT */
/*
 * The exchanges of a connection, on a task.
 *
 * Streams and their buffers are on the task's stack and exist during an exchange;
 * between two exchanges only unread input is kept.
 */
#include "server/connection.h"

#include "loop/wait.h"
#include "stream/ahead.h"
#include "stream/fill.h"
#include "stream/tls.h"

void
sks_connection_attach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	const struct sks_service *service = c->call.service;

	sks_rfile_init(r, &c->transport, &c->times, &service->times, service->options.max_line);
	sks_wfile_init(w, &c->transport, &c->times, &service->times, service->options.max_output);
	r->pool = w->pool = sks_task_current()->bufs;
	r->ahead.most = service->options.max_input;
	r->ahead.log = &service->shared->errors;
	sks_stream_bound(r, w, service->memory);
	r->peer_wfile = w;
	w->peer_rfile = r;
	r->watch = &c->watch;
	r->buf = c->in;
	c->in = (struct sks_buf){ 0 };
	r->drained = sks_buf_length(&r->buf) > 0; /* the loop has just emptied the socket */
	r->taken = c->taken;
	r->eof = c->wire == SKS_WIRE_INPUT_ENDED;
	r->error = c->error;
	w->outbox = &c->outbox;
	c->call.req.rfile = r;
	c->call.req.wfile = w;
}

/*
 * Counts a peer that was cut for min_rate. One that does not take its output is reset; one that
 * does not send may still read the last word of the handler.
 */
static void
note_slow(struct sks_connection *c, const struct sks_rfile *r, const struct sks_wfile *w)
{
	if (!r->pace.is_slow && !w->pace.is_slow)
		return;
	sks_count_shared(c->call.service, too_slow, 1);
	if (w->pace.is_slow)
		(void)sks_transport_cut(c->transport.fd);
}

void
sks_connection_detach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	sks_rfile_restore(r);
	sks_ahead_end(r);
	c->call.heard = sks_call_has_heard(&c->call) != 0;
	c->times = (struct sks_times){ r->idle_ms, r->read_ms, w->write_ms };
	if (r->eof && sks_buf_length(&r->buf) == 0)
		sks_connection_lose_wire(c, SKS_WIRE_INPUT_ENDED);
	if (r->error != 0 || w->error != 0 || sks_peer_wait_is_evicted(c->call.peer_wait))
		sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
	note_slow(c, r, w);
	c->taken = r->taken;
	sks_buf_shrink(&r->buf, r->pool);
	c->in = r->buf;
	sks_wfile_close(w);
	c->call.req.rfile = NULL;
	c->call.req.wfile = NULL;
}

/* Decides whether handle may be called again on this task, which other calls may wait for. */
static int
may_go_on(const struct sks_connection *c, const struct sks_rfile *r, const struct sks_wfile *w)
{
	return sks_call_is_fed(&c->call) && r->error == 0 && w->error == 0 &&
	    !sks_task_is_cancelled(sks_task_current()) &&
	    !sks_executor_is_contended(c->call.executor);
}

/* Shakes hands, if that is due. Returns 1 when there is an exchange to be had on this task. */
static int
shake_hands_first(struct sks_connection *c, struct sks_rfile *r)
{
	if (c->next != SKS_NEXT_HANDSHAKE)
		return 1;
	if (sks_connection_shake_hands(c) == -1) {
		c->next = SKS_NEXT_NOTHING;
		return 0;
	}
	c->next = SKS_NEXT_HANDLE;
	if (!c->call.service->handler.client_first)
		return 1;
	sks_fill_preread(&r->preread); /* mostly it has said something by now */
	return sks_buf_length(&r->buf) > 0;
}

/* Returns what the last call of handle has returned; SKS_DONE where it is not called at all. */
static int
exchange(struct sks_connection *c, const struct sks_rfile *r, const struct sks_wfile *w)
{
	int rc;

	if (c->next == SKS_NEXT_FINISH ||
	    (c->next == SKS_NEXT_READ && !sks_call_get_more(&c->call)))
		return SKS_DONE;
	do {
		rc = sks_call_exchange(&c->call);
	} while (rc == SKS_KEEP && may_go_on(c, r, w));
	return rc;
}

/* Decides whether there may be another exchange, on another task. */
static int
may_stay(const struct sks_connection *c, const struct sks_rfile *r)
{
	if (r->error != 0 || sks_task_is_cancelled(sks_task_current()))
		return 0;
	if (sks_call_is_fed(&c->call))
		return 1;
	return !r->eof && (!sks_draining(&c->call.req) || !sks_call_has_heard(&c->call));
}

static void
finish(struct sks_connection *c, struct sks_wfile *w)
{
	sks_call_finish(&c->call);
	if (sks_transport_is_tls(&c->transport))
		(void)sks_connection_need_outbox(c); /* its loop may have to wait to say the end */
	if (c->wire != SKS_WIRE_BROKEN && sks_connection_leave_output(c, w) == -1)
		sks_call_log_unsent(&c->call, w->error);
}

/* Has the exchanges of this task, and sets what comes next. */
static void
run(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	int rc = exchange(c, r, w);

	if (rc == SKS_KEEP && may_stay(c, r) && sks_connection_leave_output(c, w) == 0) {
		int is_unfed = sks_buf_length(&r->buf) > 0 && !sks_call_is_fed(&c->call);

		c->next = is_unfed ? SKS_NEXT_READ : SKS_NEXT_HANDLE;
	} else {
		finish(c, w);
		c->next = SKS_NEXT_NOTHING;
	}
}

void
sks_connection_run(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);
	_Alignas(64) struct sks_rfile r;
	_Alignas(64) struct sks_wfile w;

	sks_connection_attach(c, &r, &w);
	if (shake_hands_first(c, &r))
		run(c, &r, &w);
	sks_connection_detach(c, &r, &w);
}
