/* SPDX-License-Identifier: MIT */
/*
 * A connection in a child process: its one task keeps it until it is closed, and
 * waits between two exchanges, as the loop belongs to the parent.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "loop/wait.h"
#include "server/connection.h"
#include "server/process_child.h"
#include "stream/tls.h"

#include <errno.h>

/* Waits for input, as a connection that is parked. 1, or 0: none has come, or the server stops. */
static int
rest(struct sks_call *call, const struct sks_rfile *r)
{
	int rc;

	sks_peer_wait_note(call->peer_wait, sks_clock_coarse_ms());
	rc = sks_process_child_rest(call->req.fd, call->executor->draining->fd,
	    sks_clock_after(r->idle_ms));
	sks_peer_wait_note(call->peer_wait, 0);
	return rc;
}

/*
 * Waits for input. Returns 1; or 0 when none comes, or the server stops: then only a request counts
 * that is there already, and a new client has grace_ms.
 */
static int
wait_for_bytes(struct sks_call *call, const struct sks_rfile *r)
{
	int fd = call->req.fd, grace_ms;

	if (r->has_ahead)
		return 1;
	sks_transport_rest(r->tr);
	if (sks_transport_has_input(r->tr))
		return 1;
	if (!sks_draining(&call->req) && rest(call, r))
		return 1;
	grace_ms = sks_call_has_heard(call) ? 0 : call->service->options.grace_ms;
	return sks_draining(&call->req) &&
	    sks_wait_readable(fd, NULL, NULL, sks_clock_after(grace_ms)) == 0;
}

/* Waits, between two exchanges, for more input. 0: there is none, and the reason is noted. */
static int
wait_for_input(struct sks_call *call, const struct sks_rfile *r, struct sks_wfile *w)
{
	if (!r->eof && sks_flush(w) == 0) {
		if (wait_for_bytes(call, r))
			return sks_call_get_more(call);
		if (!sks_draining(&call->req) && !sks_call_was_cancelled(call))
			sks_call_end(call, SKS_ENDED_IDLE);
	}
	sks_call_end_between(call);
	return 0;
}

/*
 * What was between two exchanges can be closed as it is, unless finish has written something.
 * Otherwise close(2) might answer unread input by a reset, which the peer reads before the reply.
 */
static int
has_to_linger(const struct sks_call *call, const struct sks_rfile *r, int last)
{
	return last != SKS_KEEP || call->service->handler.finish != NULL ||
	    sks_buf_length(&r->buf) > 0;
}

/* Shakes hands, if that is due. Returns 1 when there is an exchange to be had. */
static int
shake_hands_first(struct sks_connection *c, const struct sks_rfile *r, struct sks_wfile *w)
{
	if (c->next != SKS_NEXT_HANDSHAKE)
		return 1;
	c->next = SKS_NEXT_HANDLE;
	return sks_connection_shake_hands(c) == 0 &&
	    (!c->call.service->handler.client_first || wait_for_input(&c->call, r, w));
}

/* Has all exchanges of the connection. Returns what the last call of handle returned. */
static int
exchange_all(struct sks_call *call, const struct sks_rfile *r, struct sks_wfile *w)
{
	int rc;

	do {
		rc = sks_call_exchange(call);
	} while (rc == SKS_KEEP && (sks_call_is_fed(call) || wait_for_input(call, r, w)));
	if (rc == SKS_KEEP && !r->eof && sks_draining(&call->req))
		sks_call_stop(call, SKS_STOP_PARKED);
	sks_call_finish(call);
	return rc;
}

/* Says our end, and waits for the peer's. */
static void
linger(struct sks_call *call, const struct sks_rfile *r, int last)
{
	struct sks_transport *tr = &sks_connection_of(call)->transport;
	int linger_ms = sks_service_linger_ms(call->service);

	sks_transport_say_end_waiting(tr, sks_clock_after(linger_ms));
	if (sks_eof(r) || !has_to_linger(call, r, last))
		return;
	sks_peer_wait_note(call->peer_wait, sks_clock_coarse_ms());
	sks_linger(tr, linger_ms);
	sks_peer_wait_note(call->peer_wait, 0);
	if (sks_task_current()->wait_end == SKS_WAIT_CANCELLED)
		sks_call_stop(call, SKS_STOP_RESET);
}

void
sks_connection_run_resident(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);
	int rc = SKS_DONE;
	struct sks_rfile r;
	struct sks_wfile w;

	c->transport.peer_wait = call->peer_wait; /* the parent sees it, too */
	sks_connection_attach(c, &r, &w);
	if (shake_hands_first(c, &r, &w))
		rc = exchange_all(call, &r, &w);
	sks_process_child_end_handler(sks_task_current(), call->executor->closing, call->peer_wait);
	if (sks_flush(&w) == -1)
		sks_call_log_unsent(call, errno); /* w.error does not tell of a cancel */
	if (r.error == 0 && w.error == 0 && c->wire != SKS_WIRE_BROKEN &&
	    !sks_peer_wait_is_evicted(call->peer_wait))
		linger(call, &r, rc);
	sks_connection_detach(c, &r, &w);
}

void
sks_connection_hand_over(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);

	sks_connection_set_state(c, SKS_CONNECTION_AWAY);
	sks_watch_close(&c->watch);
	sks_sys_close(c->transport.fd);
	c->transport.fd = call->req.fd = -1;
	sks_buf_release(&c->in, &c->worker->loop->bufs);
}

static void
close_others(struct sks_list *calls, const struct sks_call *mine)
{
	sks_list_each (link, calls) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);

		if (call == mine)
			continue;
		if (!call->datagram && sks_connection_of(call)->transport.fd != -1)
			sks_sys_close(call->req.fd);
		sks_memberships_end(&call->memberships);
	}
}

void
sks_connection_close_others(struct sks_worker *worker, const struct sks_call *call)
{
	close_others(&worker->parked, call);
	close_others(&worker->executor->queue, call);
	close_others(&worker->executor->active, call);
	close_others(&worker->lingering, call);
}
