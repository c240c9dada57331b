/* SPDX-License-Identifier: MIT */
/*
 * The header of a proxy, which comes before all else on an address of "proxy:".
 *
 * Its loop reads it, so a client whose header comes slowly has no task, no stack and no process,
 * and verify is called on the loop, as ever, with the client's own address. A look (MSG_PEEK)
 * comes before each read, so that no byte behind the header is read: all of these stay in the
 * socket for TLS or the handler.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/connection.h"
#include "server/proxied.h"

#include <errno.h>
#include <string.h>

int sks_proxy_header_ms = 5000;

static void
refuse(struct sks_connection *c, const char *why)
{
	struct sks_service *service = c->call.service;
	struct sks_log_origin origin = sks_call_origin(&c->call);

	sks_call_end(&c->call, why != NULL ? SKS_ENDED_REFUSED : SKS_ENDED_CLOSED);
	if (why != NULL)
		sks_log_limited(&service->shared->errors, SKS_LOG_LINES, &origin, SKS_LOG_WARN, 0,
		    "PROXY header: %s", why);
	sks_connection_close(c);
}

/* Takes n bytes that a look has shown. 0, or -1 and errno. */
static int
take(struct sks_connection *c, size_t n)
{
	struct sks_proxied *p = c->call.proxied;

	while (n > 0) {
		ssize_t got = sks_sys_recv(c->transport.fd, p->bytes + p->have, n, MSG_DONTWAIT);

		if (got > 0) {
			p->have += (size_t)got;
			n -= (size_t)got;
		} else if (got == 0 || errno != EINTR)
			return -1;
	}
	return 0;
}

/*
 * Looks at the bytes that have come behind those that were read, *n of them, and parses the
 * header as far as it has come. Where it is BAD, *why is a sentence for the log, or NULL.
 */
static enum sks_proxy_progress
look(struct sks_connection *c, size_t *n, const char **why)
{
	struct sks_proxied *p = c->call.proxied;
	ssize_t got;

	*n = 0;
	*why = NULL; /* a health check may leave before its first byte: that needs no line */
	do {
		got = sks_sys_recv(c->transport.fd, p->bytes + p->have,
		    SKS_PROXY_HEADER_MOST - p->have, MSG_PEEK | MSG_DONTWAIT);
	} while (got == -1 && errno == EINTR);
	if (got == -1 && errno == EAGAIN)
		return SKS_PROXY_MORE;
	if (got <= 0) {
		if (p->have > 0)
			*why = got == 0 ? "it ends early" : strerror(errno);
		return SKS_PROXY_BAD;
	}
	*n = (size_t)got;
	return sks_proxy_header_parse(p->bytes, p->have + *n, &p->header, why);
}

/* Reads what has come of the header. */
static enum sks_proxy_progress
read_header(struct sks_connection *c, const char **why)
{
	struct sks_proxied *p = c->call.proxied;
	enum sks_proxy_progress progress;
	size_t n;

	do {
		progress = look(c, &n, why);
		if (progress == SKS_PROXY_DONE)
			n = p->header.length - p->have;
		if (progress != SKS_PROXY_BAD && take(c, n) == -1) {
			*why = strerror(errno);
			return SKS_PROXY_BAD;
		}
	} while (progress == SKS_PROXY_MORE && n > 0);
	return progress;
}

/* Keeps no more memory than the header needs. Without memory for that it keeps what it has. */
static void
shrink(struct sks_connection *c)
{
	struct sks_proxied *p = c->call.proxied;
	struct sks_proxied *exact = sks_sys_malloc(sizeof(*exact) + p->have);

	if (exact == NULL)
		return;
	memcpy(exact, p, sizeof(*exact) + p->have);
	sks_sys_free(p);
	c->call.proxied = exact;
}

/* The header is complete: the connection begins, with the client's address. */
static void
begin_behind_header(struct sks_connection *c)
{
	struct sks_request *req = &c->call.req;
	struct sks_proxied *p;

	shrink(c);
	p = c->call.proxied;
	if (!p->header.is_local) {
		req->peer = &p->header.source.u.any;
		req->peer_len = p->header.source.len;
	}
	c->next = (enum sks_connection_next)p->next;
	p->begin(c);
}

static void on_header(struct sks_watch *watch, enum sks_watch_event event);

/* Waits for more of the header, unless its time was over when this came. */
static void
expect_more(struct sks_connection *c)
{
	if (sks_watch_expect(&c->watch, on_header, c->watch.deadline) == 0)
		return;
	if (errno == ETIMEDOUT)
		on_header(&c->watch, SKS_WATCH_EXPIRED);
	else
		refuse(c, strerror(errno));
}

static void
on_header(struct sks_watch *watch, enum sks_watch_event event)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);
	const char *why = "none has come in time";
	enum sks_proxy_progress progress = SKS_PROXY_BAD;

	if (event == SKS_WATCH_INPUT)
		progress = read_header(c, &why);
	else
		sks_call_end(&c->call, c->call.service->shared->draining ? SKS_ENDED_DRAIN :
									   SKS_ENDED_TIMEOUT);
	if (progress == SKS_PROXY_DONE)
		begin_behind_header(c);
	else if (progress == SKS_PROXY_BAD)
		refuse(c, why);
	else
		expect_more(c);
}

void
sks_connection_expect_proxy(struct sks_connection *c, void (*begin)(struct sks_connection *))
{
	struct sks_request *req = &c->call.req;
	struct sks_proxied *p;

	if (!sks_networks_have(c->call.service->proxies, req->peer, req->peer_len)) {
		refuse(c, "not from a proxy of proxy_from");
		return;
	}
	p = sks_sys_malloc(sizeof(*p) + SKS_PROXY_HEADER_MOST);
	if (p == NULL) {
		refuse(c, strerror(errno));
		return;
	}
	memset(p, 0, sizeof(*p));
	p->begin = begin;
	p->next = (int)c->next;
	p->proxy = req->peer;
	p->proxy_len = req->peer_len;
	c->call.proxied = p;
	c->next = SKS_NEXT_PROXY;
	sks_connection_set_state(c, SKS_CONNECTION_PARKED);
	if (sks_watch_expect(&c->watch, on_header, sks_clock_after(sks_proxy_header_ms)) == -1)
		refuse(c, strerror(errno));
}

void
sks_connection_limit_proxy(struct sks_connection *c)
{
	int64_t grace = sks_clock_after(c->call.service->options.grace_ms);

	if (sks_watch_expect(&c->watch, on_header, sks_min64(c->watch.deadline, grace)) == -1) {
		sks_call_end(&c->call, SKS_ENDED_DRAIN);
		refuse(c, NULL);
	}
}
