/* SPDX-License-Identifier: MIT */
/*
 * The end of a connection.
 *
 * The loop sends what its task has left, shuts down our half, reads the peer's rest
 * for a while and closes. To close at once would make the kernel answer unread input
 * with a reset, which can overtake the reply.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "loop/wait.h"
#include "server/connection.h"
#include "server/hook.h"
#include "server/peers.h"

#include <errno.h>

#define DROPPED_MOST 65536 /* bytes of the peer's rest */

void
sks_connection_free(struct sks_connection *c)
{
	sks_outbox_free(c->outbox);
	sks_call_free_parts(&c->call);
	sks_sys_free(c);
}

static void
drop_input(struct sks_connection *c)
{
	sks_buf_release(&c->in, &c->worker->loop->bufs);
}

/* Its loop has cut it for min_rate. (sks_connection_detach() sees what its task has cut.) */
static void
note_slow(struct sks_connection *c)
{
	sks_count_shared(c->call.service, too_slow, 1);
	sks_call_log_slow(&c->call);
}

void
sks_connection_close(struct sks_connection *c)
{
	struct sks_worker *worker = c->worker;
	int was_served = c->call.state != SKS_CALL_NEW || c->state == SKS_CONNECTION_AWAY;

	sks_memberships_end(&c->call.memberships);
	sks_connection_set_state(c, SKS_CONNECTION_CLOSED);
	sks_watch_close(&c->watch);
	if (sks_outbox_is_slow(c->outbox))
		note_slow(c);
	sks_outbox_end(c->outbox);
	drop_input(c);
	sks_transport_end(&c->transport);
	sks_hook_end(worker->loop, &c->call);
	if (c->transport.fd != -1)
		sks_sys_close(c->transport.fd);
	c->transport.fd = -1;
	if (was_served)
		sks_count_shared(worker->service, finished, 1);
	else {
		sks_call_log_left(&c->call);
		sks_count(worker->service, refused, 1);
	}
	sks_call_count_end(&c->call);
	sks_peers_leave(worker->service->peers, c->peer);
	if (!sks_outbox_is_notified(c->outbox))
		sks_connection_free(c);
	sks_worker_release(worker);
}

/*
 * Drops the input that has come, up to `most` bytes in all. 1: more may come. 0: the input has
 * ended, is broken, or is longer than that.
 */
static int
drop_rest(struct sks_connection *c, size_t most)
{
	unsigned char *scratch = sks_loop_scratch(c->worker->loop);

	while (scratch != NULL && c->dropped < most) {
		ssize_t n = sks_sys_recv(c->transport.fd, scratch, SKS_LOOP_SCRATCH, MSG_DONTWAIT);

		if (n > 0)
			c->dropped += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return n == -1 && errno == EAGAIN;
	}
	return 0;
}

static void
on_drain(struct sks_watch *watch, enum sks_watch_event event)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);

	if (event != SKS_WATCH_INPUT || !drop_rest(c, DROPPED_MOST) ||
	    sks_watch_expect(watch, on_drain, watch->deadline) == -1)
		sks_connection_close(c);
}

static void
begin_flushing(struct sks_connection *c)
{
	sks_connection_set_state(c, SKS_CONNECTION_FLUSHING);
	sks_outbox_note_waits(c->outbox, &c->peer_wait);
}

/* The socket has no room for our end of TLS: the loop waits for it. 0: that is impossible. */
static int
say_end_later(struct sks_connection *c)
{
	struct sks_outbox *box = c->outbox;

	if (box == NULL)
		return 0;
	begin_flushing(c);
	return sks_outbox_await_room(box) == 0;
}

static void
drain(struct sks_connection *c)
{
	if (c->wire != SKS_WIRE_BROKEN && sks_transport_say_end(&c->transport) == -1 &&
	    say_end_later(c))
		return;
	if (c->wire == SKS_WIRE_OPEN) {
		int64_t deadline = sks_clock_after(sks_service_linger_ms(c->call.service));

		sks_connection_set_state(c, SKS_CONNECTION_DRAINING);
		c->dropped = 0;
		c->transport.ops->shutdown(&c->transport);
		if (sks_watch_expect(&c->watch, on_drain, deadline) == 0)
			return;
	}
	sks_connection_close(c);
}

void
sks_connection_flushed(struct sks_connection *c, int error)
{
	if (error != 0) {
		if (!sks_outbox_is_slow(c->outbox))
			sks_call_log_lost(&c->call, error);
		sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
	}
	drain(c);
}

/* The peer may not read before it has sent all, so its rest is dropped while ours is sent. */
static void
on_flushing_input(struct sks_watch *watch, enum sks_watch_event event)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);

	(void)event;
	if (drop_rest(c, c->call.service->options.max_input))
		(void)sks_watch_expect(watch, on_flushing_input, SKS_NEVER);
}

void
sks_connection_linger(struct sks_connection *c)
{
	drop_input(c);
	if (sks_worker_obeyed(c->worker) >= SKS_ORDER_CLOSE) {
		sks_connection_close(c);
		return;
	}
	if (c->wire == SKS_WIRE_BROKEN || sks_outbox_is_empty(c->outbox)) {
		drain(c);
		return;
	}
	begin_flushing(c);
	if (c->wire == SKS_WIRE_OPEN)
		(void)sks_watch_expect(&c->watch, on_flushing_input, SKS_NEVER);
	sks_outbox_release(c->outbox);
	sks_outbox_send(c->outbox);
}

void
sks_linger(struct sks_transport *tr, int linger_ms)
{
	int64_t deadline = sks_clock_after(linger_ms);
	unsigned char drop[1024];
	ssize_t dropped = 0;

	tr->ops->shutdown(tr);
	while (dropped < DROPPED_MOST) {
		ssize_t n = sks_sys_recv(tr->fd, drop, sizeof(drop), MSG_DONTWAIT);

		if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
			return;
		if (n == -1 && errno == EAGAIN &&
		    sks_wait_readable(tr->fd, NULL, NULL, deadline) == -1)
			return;
		if (n > 0)
			dropped += n;
	}
}
