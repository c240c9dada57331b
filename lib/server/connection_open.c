/* SPDX-License-Identifier: MIT */
/*
 * How a connection is made of an accepted descriptor, on the loop of its worker.
 */
#include "base/clock.h"
#include "base/log.h"
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
new_connection(struct sks_worker *worker, struct sks_service *service, int fd,
    const struct sks_entry *entry, const struct sockaddr *peer, socklen_t len)
{
	size_t state_at = state_offset(service, len);
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
	c->transport.fd = fd;
	c->times = service->times;
	if (entry->is_tls)
		c->next = SKS_NEXT_HANDSHAKE;
	sks_watch_init(&c->watch, &worker->loop->watches, fd);
	sks_list_init(&c->call.link);
	c->call.service = service;
	c->call.ops = &sks_connection_call_ops;
	c->call.flow = &c->flow;
	c->call.listener = entry->address;
	c->call.began_ns = sks_clock_ns();
	memcpy(c + 1, peer, len);
	req = &c->call.req;
	req->state = (char *)c + state_at;
	req->data = service->options.data;
	req->server = service->server;
	req->peer = (struct sockaddr *)(c + 1);
	req->peer_len = len;
	req->fd = fd;
	return c;
}

/* Tasks on other threads flush without a lock only where there is an outbox from the beginning. */
static int
lacks_outbox(struct sks_connection *c)
{
	return c->worker->executor->beside_loop && sks_connection_need_outbox(c) == NULL;
}

static void
turn_away(struct sks_worker *worker, int fd)
{
	sks_count(worker->service, refused, 1);
	sks_sys_close(fd);
	sks_worker_release(worker);
}

/* There is no memory for a connection. */
static void
refuse(struct sks_worker *worker, int fd)
{
	sks_log_limited(&worker->service->shared->errors, SKS_LOG_LINES,
	    SKS_LOG_HANDLER(worker->service->handler.name), SKS_LOG_ERROR, ENOMEM,
	    "no memory for a connection");
	turn_away(worker, fd);
}

/* Logs a client that was rejected, at most one line a second for each cause. */
static void
log_rejected(struct sks_call *call, int why)
{
	const struct sks_service *service = call->service;
	struct sks_log_origin origin = sks_call_origin(call);

	if (why == SKS_REJECTED_PEER) {
		sks_count(call->service, rejected_peer, 1);
		sks_log_limited(&service->shared->peers, 1, &origin, SKS_LOG_WARN, 0,
		    "rejected: it has %d connections", service->options.max_per_peer);
	} else {
		sks_count(call->service, rejected_rate, 1);
		sks_log_limited(&service->shared->rates, 1, &origin, SKS_LOG_WARN, 0,
		    "rejected: it has had %d new connections in a second", service->options.rate_per_peer);
	}
}

/* Drops what the client has sent, or close(2) would answer it with a reset, not with the text. */
static void
send_rejection(struct sks_worker *worker, int fd, const char *text)
{
	unsigned char *scratch = sks_loop_scratch(worker->loop);

	if (text != NULL)
		(void)sks_sys_send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	if (scratch != NULL)
		(void)sks_sys_recv(fd, scratch, SKS_LOOP_SCRATCH, MSG_DONTWAIT);
}

/* A client of TLS, who expects a handshake, is sent no text. */
static void
reject(struct sks_worker *worker, struct sks_service *service, int fd, int is_tls,
    const struct sockaddr *peer, socklen_t len, int why)
{
	struct sks_call call = { .service = service, .req = { .fd = fd, .peer = peer,
		.peer_len = len, .server = service->server, .data = service->options.data } };

	const char *text;

	log_rejected(&call, why);
	text = sks_hook_reject(worker->loop, &call, why);
	send_rejection(worker, fd, is_tls ? NULL : text);
	turn_away(worker, fd);
}

static void
begin(struct sks_connection *c)
{
	const struct sks_service *service = c->call.service;

	if (!sks_hook_verify(c->worker->loop, &c->call)) {
		if (!c->call.aborted)
			c->transport.ops->shutdown(&c->transport);
		sks_call_end(&c->call, SKS_ENDED_REFUSED);
		sks_connection_close(c);
	} else if (!service->handler.client_first && c->next != SKS_NEXT_HANDSHAKE)
		sks_connection_submit(c);
	else if (c->next == SKS_NEXT_HANDSHAKE)
		sks_connection_expect_handshake(c);
	else
		sks_connection_expect_first(c);
}

/* The limits for each peer are for the clients of a proxy, not for the proxy itself. */
static void
begin_proxied(struct sks_connection *c)
{
	struct sks_worker *worker = c->worker;
	struct sks_peers *peers = worker->service->peers;
	const struct sks_request *req = &c->call.req;
	const char *text;
	int why = 0;

	if (peers != NULL && !c->call.proxied->header.is_local)
		why = sks_peers_enter(peers, req->peer, req->peer_len, sks_clock_ms(), &c->peer);
	if (why == 0) {
		begin(c);
		return;
	}
	if (why > 0) {
		log_rejected(&c->call, why);
		text = sks_hook_reject(worker->loop, &c->call, why);
		send_rejection(worker, req->fd, c->next == SKS_NEXT_HANDSHAKE ? NULL : text);
	}
	sks_call_end(&c->call, SKS_ENDED_REFUSED);
	sks_connection_close(c);
}

static void
open_here(struct sks_worker *worker, struct sks_service *service, int fd,
    const struct sks_entry *entry, const struct sockaddr *peer, socklen_t len)
{
	struct sks_peers *peers = entry->is_proxy ? NULL : worker->service->peers;
	struct sks_peer *one = NULL;
	struct sks_connection *c;
	int why = peers != NULL ? sks_peers_enter(peers, peer, len, sks_clock_ms(), &one) : 0;

	sks_count_shared(worker->service, accepted, 1);
	if (why > 0) {
		reject(worker, service, fd, entry->is_tls, peer, len, why);
		return;
	}
	c = why == 0 ? new_connection(worker, service, fd, entry, peer, len) : NULL;
	if (c != NULL && !lacks_outbox(c)) {
		c->peer = one;
		if (entry->is_proxy)
			sks_connection_expect_proxy(c, begin_proxied);
		else
			begin(c);
		return;
	}
	if (c != NULL)
		sks_connection_free(c);
	sks_peers_leave(peers, one);
	refuse(worker, fd);
}

/* A connection on its way to the loop of another worker. */
struct arrival {
	struct sks_message message;
	struct sks_worker *worker;
	struct sks_service *service;
	int fd;
	struct sks_entry entry;
	socklen_t len;
	struct sockaddr_storage peer;
};

static void
arrive(struct sks_message *message)
{
	struct arrival *a = sks_container_of(message, struct arrival, message);

	open_here(a->worker, a->service, a->fd, &a->entry, (struct sockaddr *)&a->peer, a->len);
	sks_sys_free(a);
}

void
sks_connection_open(struct sks_worker *worker, struct sks_service *service, int fd,
    const struct sks_entry *entry, const struct sockaddr *peer, socklen_t len)
{
	struct arrival *a;

	if (sks_loop_is_here(worker->loop)) {
		open_here(worker, service, fd, entry, peer, len);
		return;
	}
	a = sks_sys_malloc(sizeof(*a));
	if (a == NULL) {
		refuse(worker, fd);
		return;
	}
	a->message.run = arrive;
	a->worker = worker;
	a->service = service;
	a->fd = fd;
	a->entry = *entry;
	a->len = (socklen_t)sks_min(len, sizeof(a->peer));
	memcpy(&a->peer, peer, a->len);
	sks_loop_post(worker->loop, &a->message);
}
