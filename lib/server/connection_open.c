/* SPDX-License-Identifier: MIT */
/*
 * How a connection is made of an accepted descriptor, on the loop of its worker.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "server/connection.h"
#include "server/hook.h"
#include "server/proxied.h"
#include "server/peers.h"

#include <stddef.h>
#include <string.h>

/* Where the handler's state is, behind the peer's address. */
static size_t
state_offset(const struct sks_service *service, size_t peer_len)
{
	size_t align = service->handler.state_size > 0 ? _Alignof(max_align_t) : 1;

	return (sizeof(struct sks_connection) + peer_len + align - 1) / align * align;
}

static struct sks_connection *
new_connection(struct sks_worker *worker, const struct sks_newcomer *client)
{
	struct sks_service *service = client->service;
	size_t state_at = state_offset(service, client->len);
	/* Not by calloc(3), for which glibc has no cache. */
	struct sks_connection *c = sks_sys_malloc(state_at + service->handler.state_size);
	struct sks_request *req;

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	memset((char *)c + state_at, 0, service->handler.state_size);
	c->worker = worker;
	c->transport.ops = &sks_plain_transport;
	c->transport.traffic = &service->shared->traffic;
	c->transport.flow = &c->flow;
	c->transport.peer_wait = &c->peer_wait;
	c->transport.fd = client->fd;
	c->times = service->times;
	if (client->entry.is_tls)
		c->next = SKS_NEXT_HANDSHAKE;
	sks_watch_init(&c->watch, &worker->loop->watches, client->fd);
	sks_list_init(&c->call.link);
	c->call.service = service;
	c->call.ops = &sks_connection_call_ops;
	c->call.flow = &c->flow;
	c->call.peer_wait = &c->peer_wait;
	c->call.listener = client->entry.address;
	c->call.began_ns = sks_clock_ns();
	memcpy(c + 1, &client->peer, client->len);
	req = &c->call.req;
	req->state = (char *)c + state_at;
	req->data = service->options.data;
	req->server = service->server;
	req->peer = (struct sockaddr *)(c + 1);
	req->peer_len = client->len;
	req->fd = client->fd;
	return c;
}

/* Tasks on other threads flush without a lock only where there is an outbox from the beginning. */
static int
make_outbox(struct sks_connection *c)
{
	return c->worker->executor->beside_loop && sks_connection_need_outbox(c) == NULL ? -1 : 0;
}

static void
begin(struct sks_connection *c)
{
	const struct sks_service *service = c->call.service;

	if (!sks_hook_verify(c->worker->loop, &c->call)) {
		sks_count(service, rejected_verify, 1);
		if (!c->call.aborted)
			c->transport.ops->shutdown(&c->transport);
		sks_call_end(&c->call, SKS_ENDED_REFUSED);
		sks_connection_close(c);
	} else if (c->next == SKS_NEXT_HANDSHAKE)
		sks_connection_expect_handshake(c);
	else if (service->handler.client_first)
		sks_connection_expect_first(c);
	else
		sks_connection_submit(c);
}

/* The limits for each peer are for the clients of a proxy, not for the proxy itself. */
static void
begin_proxied(struct sks_connection *c)
{
	struct sks_worker *worker = c->worker;
	struct sks_peers *peers = worker->service->peers;
	const struct sks_request *req = &c->call.req;
	int why = 0;

	if (peers != NULL && !c->call.proxied->header.is_local)
		why = sks_peers_enter(peers, req->peer, req->peer_len, sks_clock_ms(), &c->peer);
	if (why == 0) {
		begin(c);
		return;
	}
	if (why < 0)
		sks_count(worker->service, rejected_memory, 1);
	else
		sks_connection_tell_rejected(worker, &c->call, c->next == SKS_NEXT_HANDSHAKE, why);
	sks_call_end(&c->call, SKS_ENDED_REFUSED);
	sks_connection_close(c);
}

static void
open_here(struct sks_worker *worker, const struct sks_newcomer *client)
{
	struct sks_peers *peers = client->entry.is_proxy ? NULL : worker->service->peers;
	struct sks_peer *one = NULL;
	struct sks_connection *c;
	int why = 0;

	sks_count_shared(worker->service, accepted, 1);
	if (peers != NULL)
		why = sks_peers_enter(peers, &client->peer.any, client->len, sks_clock_ms(), &one);
	if (why > 0) {
		sks_connection_reject(worker, client, why);
		return;
	}
	c = why == 0 ? new_connection(worker, client) : NULL;
	if (c != NULL && make_outbox(c) == 0) {
		c->peer = one;
		if (client->entry.is_proxy)
			sks_connection_expect_proxy(c, begin_proxied);
		else
			begin(c);
		return;
	}
	if (c != NULL)
		sks_connection_free(c);
	sks_peers_leave(peers, one);
	sks_connection_refuse(worker, client->fd);
}

/* A client on its way to the loop of another worker. */
struct arrival {
	struct sks_message message;
	struct sks_worker *worker;
	struct sks_newcomer client;
};

static void
arrive(struct sks_message *message)
{
	struct arrival *a = sks_container_of(message, struct arrival, message);

	open_here(a->worker, &a->client);
	sks_sys_free(a);
}

void
sks_connection_open(struct sks_worker *worker, const struct sks_newcomer *client)
{
	struct arrival *a;

	if (sks_loop_is_here(worker->loop)) {
		open_here(worker, client);
		return;
	}
	a = sks_sys_malloc(sizeof(*a));
	if (a == NULL) {
		sks_connection_refuse(worker, client->fd);
		return;
	}
	a->message.run = arrive;
	a->worker = worker;
	a->client = *client;
	sks_loop_post(worker->loop, &a->message);
}
