/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection on its loop: parked, and run again.
 *
 * A parked connection has no task. The loop reads its first bytes itself and only
 * then asks for a task; an end of input, an error or a time-out of a parked
 * connection never starts a handler, only finish, where there is one. Parked ones
 * take part in the groups of loop/watch.c, as fibers that wait do: the loop reads
 * for all of a group before it runs any of them.
 */
#include "server/connection.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "stream/tls.h"

#include <errno.h>
#include <string.h>

void
sks_connection_submit(struct sks_connection *c)
{
	sks_connection_set_state(c, SKS_CONNECTION_RUNNING);
	sks_executor_submit(c->worker->executor, &c->call);
}

/* Notes why one that has no task ends, unless that was noted: its time is over then. */
static void
note_reason(struct sks_connection *c)
{
	int output_error = sks_outbox_error(c->outbox);

	if (c->wire == SKS_WIRE_INPUT_ENDED)
		sks_call_end(&c->call, SKS_ENDED_CLOSED);
	else if (output_error != 0 || c->wire == SKS_WIRE_BROKEN)
		sks_call_end_by(&c->call, output_error != 0 ? output_error : c->error);
	else if (c->call.service->shared->draining)
		sks_call_end(&c->call, c->state == SKS_CONNECTION_PARKED ? SKS_ENDED_DRAIN :
									   SKS_ENDED_CANCELLED);
	else
		sks_call_end(&c->call, c->next == SKS_NEXT_HANDSHAKE ? SKS_ENDED_TIMEOUT :
								       SKS_ENDED_IDLE);
}

void
sks_connection_end(struct sks_connection *c)
{
	note_reason(c);
	if (c->state == SKS_CONNECTION_PARKED && c->wire == SKS_WIRE_OPEN &&
	    c->call.service->shared->draining)
		sks_call_stop(&c->call, SKS_STOP_PARKED);
	if (sks_outbox_error(c->outbox) != 0 || c->next == SKS_NEXT_HANDSHAKE ||
	    c->next == SKS_NEXT_PROXY)
		sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
	if (c->call.state == SKS_CALL_SET_UP && c->call.service->handler.finish != NULL) {
		c->next = SKS_NEXT_FINISH;
		sks_connection_submit(c);
		return;
	}
	sks_memberships_end(&c->call.memberships);
	if (c->wire == SKS_WIRE_BROKEN || (sks_outbox_is_empty(c->outbox) &&
					      sks_transport_say_end(&c->transport) == 0))
		sks_connection_close(c);
	else
		sks_connection_linger(c);
}

void
sks_connection_evict(struct sks_connection *c)
{
	if (c->state == SKS_CONNECTION_DRAINING) {
		sks_connection_close(c);
	} else if (c->state == SKS_CONNECTION_FLUSHING) {
		sks_connection_flushed(c, ECANCELED);
	} else {
		sks_call_end(&c->call, SKS_ENDED_EVICTED);
		if (!sks_outbox_is_empty(c->outbox)) /* its peer does not take what was posted */
			sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
		sks_connection_end(c);
	}
}

/* -- parked -- */

static int
has_input(const struct sks_connection *c)
{
	return sks_buf_length(&c->in) > 0;
}

/* Reads what has come, if anything has. */
static void
receive(struct sks_connection *c)
{
	struct sks_buf_pool *pool = &c->worker->loop->bufs;
	ssize_t n = -1;

	if (sks_buf_reserve(&c->in, pool, SKS_BUF_LARGE) == 0)
		n = c->transport.ops->read(&c->transport, c->in.base, SKS_BUF_LARGE);
	if (n > 0) {
		c->in.end = (size_t)n;
		return;
	}
	if (n == 0)
		sks_connection_lose_wire(c, SKS_WIRE_INPUT_ENDED);
	else if (errno != EAGAIN) {
		sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
		c->error = errno;
	}
	sks_buf_release(&c->in, pool);
}

/* Before on_parked(), as loop/batch.h says. */
static void
preread(struct sks_preread *preread)
{
	receive(sks_container_of(preread, struct sks_connection, preread));
}

static void on_parked(struct sks_watch *watch, enum sks_watch_event event);

/* Waits for input until deadline. Where that is impossible it ends. */
static void
expect_input(struct sks_connection *c, int64_t deadline)
{
	sks_transport_rest(&c->transport);
	if (sks_watch_expect(&c->watch, on_parked, deadline) == -1) {
		if (errno != ETIMEDOUT)
			sks_call_end(&c->call, SKS_ENDED_ERROR);
		sks_connection_end(c);
	}
}

/* Goes on with input that may have come, or parks the connection until the deadline. */
static void
look(struct sks_connection *c, int64_t deadline)
{
	if (c->wire == SKS_WIRE_OPEN && !has_input(c))
		receive(c); /* there was no preread, or it has found nothing */
	if (c->wire != SKS_WIRE_OPEN)
		sks_connection_end(c);
	else if (has_input(c))
		sks_connection_submit(c);
	else
		expect_input(c, deadline);
}

/*
 * Its time is over. What has come by now is answered: where the process was stopped for a while
 * all limits have passed, and the loop learns of that before it learns of the input.
 */
static void
look_once_more(struct sks_connection *c)
{
	if (c->wire == SKS_WIRE_OPEN && !has_input(c))
		receive(c);
	if (c->wire == SKS_WIRE_OPEN && has_input(c))
		sks_connection_submit(c);
	else
		sks_connection_end(c);
}

static void
on_parked(struct sks_watch *watch, enum sks_watch_event event)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);

	if (event == SKS_WATCH_EXPIRED)
		look_once_more(c);
	else
		look(c, watch->deadline);
}

/* Once the server stops, a connection is parked for its first request alone. */
static int64_t
until_when(const struct sks_connection *c)
{
	const struct sks_service *service = c->call.service;
	int64_t idle = sks_clock_after(c->times.idle_ms);

	return !service->shared->draining ? idle :
		sks_min64(idle, sks_clock_after(service->options.grace_ms));
}

static void
park(struct sks_connection *c)
{
	int64_t deadline = until_when(c);

	sks_connection_set_state(c, SKS_CONNECTION_PARKED);
	if (!has_input(c)) { /* where handle has left some its task reads on */
		c->preread.read = preread;
		c->watch.preread = &c->preread;
	}
	if (sks_transport_has_input(&c->transport))
		look(c, deadline);
	else
		expect_input(c, deadline);
}

/*
 * Mostly the client has spoken before it was accepted, even if it is far away: then a
 * look saves a wait. That is an eighth of our instructions for a connection of one line.
 */
void
sks_connection_expect_first(struct sks_connection *c)
{
	receive(c);
	if (c->wire != SKS_WIRE_OPEN)
		sks_connection_end(c);
	else if (has_input(c))
		sks_connection_submit(c);
	else
		park(c);
}

/*
 * A peer that leaves before its first byte, as a health check does, needs no task and no log line.
 */
static int
has_bytes(const struct sks_connection *c)
{
	char byte;

	return sks_sys_recv(c->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void
on_handshake(struct sks_watch *watch, enum sks_watch_event event)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);

	if (event == SKS_WATCH_INPUT && has_bytes(c))
		sks_connection_submit(c);
	else {
		if (event == SKS_WATCH_INPUT)
			sks_call_end(&c->call, SKS_ENDED_CLOSED);
		sks_connection_end(c);
	}
}

/* Waits for the handshake; once the server stops, no longer than for a first request. */
static void
expect_handshake(struct sks_connection *c, int64_t deadline)
{
	if (c->call.service->shared->draining)
		deadline = sks_min64(deadline, until_when(c));
	if (sks_watch_expect(&c->watch, on_handshake, deadline) == -1)
		sks_connection_end(c);
}

void
sks_connection_expect_handshake(struct sks_connection *c)
{
	sks_connection_set_state(c, SKS_CONNECTION_PARKED);
	expect_handshake(c, sks_tls_deadline(c->call.service->options.tls));
}

/* -- a task has ended -- */

/* The executor could not run it. If finish is due it runs here, where it must not wait. */
static void
end_without_task(struct sks_connection *c)
{
	struct sks_call *call = &c->call;

	sks_call_log_not_run(call);
	sks_call_end(call, call->state == SKS_CALL_NEW ? SKS_ENDED_REFUSED : SKS_ENDED_ERROR);
	if (call->state == SKS_CALL_SET_UP) {
		c->next = SKS_NEXT_FINISH;
		call->must_not_wait = 1;
		sks_connection_run(call);
	}
	sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
	sks_connection_close(c);
}

static void
wait_for_next_exchange(struct sks_connection *c)
{
	if (c->call.service->shared->draining && sks_call_has_heard(&c->call)) {
		sks_connection_end(c);
		return;
	}
	if (!sks_outbox_is_empty(c->outbox))
		sks_outbox_send(c->outbox);
	park(c);
}

static void
ended(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);

	if (call->start_error != 0)
		end_without_task(c);
	else if (c->state == SKS_CONNECTION_AWAY)
		sks_connection_close(c);
	else if (c->next == SKS_NEXT_NOTHING)
		sks_connection_linger(c);
	else if (c->next == SKS_NEXT_HANDLE && has_input(c))
		sks_connection_submit(c);
	else
		wait_for_next_exchange(c);
}

/*
 * The server stops, and the client has not learned it yet. So what has come already is
 * answered, and a client that has never spoken may be just about to: it connected to be
 * served, while one that has had an answer knows that it may find the connection closed.
 */
static void
leave(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);
	int has_left = has_input(c); /* by handle, which wants more */

	if (c->next == SKS_NEXT_PROXY) {
		sks_connection_limit_proxy(c);
		return;
	}
	if (c->next == SKS_NEXT_HANDSHAKE) {
		expect_handshake(c, c->watch.deadline);
		return;
	}
	if (!has_left && c->wire == SKS_WIRE_OPEN)
		receive(c);
	if (!has_left && has_input(c))
		sks_connection_submit(c);
	else if (c->wire != SKS_WIRE_OPEN || sks_call_has_heard(call))
		sks_connection_end(c);
	else
		expect_input(c, sks_min64(c->watch.deadline, until_when(c)));
}

static void
end(struct sks_call *call)
{
	sks_connection_end(sks_connection_of(call));
}

static void
close_as_it_is(struct sks_call *call)
{
	sks_call_stop(call, SKS_STOP_RESET);
	sks_call_end(call, SKS_ENDED_DRAIN);
	sks_connection_close(sks_connection_of(call));
}

const struct sks_call_ops sks_connection_call_ops = {
	.run = sks_connection_run,
	.run_resident = sks_connection_run_resident,
	.ended = ended,
	.handed_over = sks_connection_hand_over,
	.leave = leave,
	.end = end,
	.close = close_as_it_is,
};
