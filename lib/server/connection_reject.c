/* SPDX-License-Identifier: MIT */
/*
 * Clients that are refused before they are served: each cause is counted, and has at most one line
 * of the log in a second. Those that are rejected are sent a text.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/connection.h"
#include "server/hook.h"

#include <errno.h>
#include <string.h>

static void
turn_away(struct sks_worker *worker, int fd)
{
	sks_count(worker->service, refused, 1);
	sks_counter_add(&worker->service->shared->ended[SKS_ENDED_REFUSED], 1);
	sks_sys_close(fd);
	sks_worker_release(worker);
}

void
sks_connection_refuse(struct sks_worker *worker, int fd)
{
	sks_count(worker->service, rejected_memory, 1);
	sks_log_limited(&worker->service->shared->refusals[SKS_REFUSED_MEMORY], 1,
	    SKS_LOG_HANDLER(worker->service->handler.name), SKS_LOG_ERROR, ENOMEM,
	    "no memory for a connection");
	turn_away(worker, fd);
}

static void
count(struct sks_call *call, int why)
{
	const struct sks_service *service = call->service;
	struct sks_log_origin origin = sks_call_origin(call);

	switch (why) {
	case SKS_REJECTED_PEER:
		sks_count(service, rejected_peer, 1);
		sks_log_limited(&service->shared->refusals[SKS_REFUSED_PEER], 1, &origin,
		    SKS_LOG_WARN, 0, "rejected: it has %d connections",
		    service->options.max_per_peer);
		break;
	case SKS_REJECTED_RATE:
		sks_count(service, rejected_rate, 1);
		sks_log_limited(&service->shared->refusals[SKS_REFUSED_RATE], 1, &origin,
		    SKS_LOG_WARN, 0, "rejected: it has had %d new connections in a second",
		    service->options.rate_per_peer);
		break;
	case SKS_REJECTED_FILES:
		sks_count(service, rejected_files, 1);
		sks_log_limited(&service->shared->refusals[SKS_REFUSED_FILES], 1, &origin,
		    SKS_LOG_WARN, EMFILE, "rejected: %m");
		break;
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

void
sks_connection_tell_rejected(struct sks_worker *worker, struct sks_call *call, int is_tls, int why)
{
	const char *text;

	count(call, why);
	text = sks_hook_reject(worker->loop, call, why);
	send_rejection(worker, call->req.fd, is_tls ? NULL : text);
}

/* Hooks see the handler's state as of any other connection. 0, or -1: ENOMEM. */
static int
make_state(struct sks_call *call)
{
	const struct sks_options *o = &call->service->options;
	size_t n = call->service->handler.state_size;

	if (n == 0 || (o->on_reject == NULL && o->on_end == NULL))
		return 0;
	call->req.state = sks_sys_calloc(1, n);
	return call->req.state != NULL ? 0 : -1;
}

void
sks_connection_reject(struct sks_worker *worker, const struct sks_newcomer *client, int why)
{
	struct sks_call call = {
		.service = client->service,
		.req = { .fd = client->fd, .peer = &client->peer.any, .peer_len = client->len,
		    .server = client->service->server, .data = client->service->options.data },
		.listener = client->entry.address,
		.began_ns = sks_clock_ns(),
	};

	if (make_state(&call) == 0) {
		sks_connection_tell_rejected(worker, &call, client->entry.is_tls, why);
		sks_call_end(&call, SKS_ENDED_REFUSED);
		sks_hook_end(worker->loop, &call);
	} else
		count(&call, why);
	sks_call_free_parts(&call);
	sks_sys_free(call.req.state);
	turn_away(worker, client->fd);
}
