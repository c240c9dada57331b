/* SPDX-License-Identifier: MIT */
/*
 * The handshake of a connection that came to an address of TLS, on its task, before setup.
 * It has had no task while the client said nothing; the time limit counts from the accept.
 */
#include "server/connection.h"
#include "stream/tls.h"

#include <errno.h>
#include <string.h>

static void
report(const struct sks_connection *c, const char *why)
{
	sks_count_shared(c->call.service, handshakes_failed, 1);
	sks_call_log_handshake(&c->call, why);
}

/* Lets the outbox send: what was posted meanwhile goes out encrypted, or not at all. */
static void
free_outbox(struct sks_connection *c)
{
	struct sks_outbox *box = atomic_load(&c->outbox);

	if (box == NULL)
		return;
	sks_outbox_set_transport(box, &c->transport);
	sks_outbox_release(box);
}

/* A peer that speaks no TLS, or is refused, should read the alert that says so; others are gone. */
static int
may_read_alert(int error)
{
	return error == EPROTO || error == EKEYREJECTED;
}

int
sks_connection_shake_hands(struct sks_connection *c)
{
	int64_t deadline = c->watch.deadline; /* of its first bytes, too */
	char why[SKS_TLS_WHY];
	int rc;

	if (sks_tls_attach(&c->transport, c->call.service->options.tls, NULL, NULL, 0) == -1) {
		report(c, strerror(errno));
		sks_call_end(&c->call, SKS_ENDED_ERROR);
		sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
		return -1;
	}
	rc = sks_tls_handshake(&c->transport, &c->watch, deadline, why);
	if (rc == 0) {
		sks_count_shared(c->call.service, handshakes, 1);
		c->call.tls = sks_tls_version(c->call.req.rfile);
	} else {
		int error = errno;

		sks_call_end_by(&c->call, error);
		report(c, why);
		if (!may_read_alert(error))
			sks_connection_lose_wire(c, SKS_WIRE_BROKEN);
	}
	free_outbox(c);
	return rc;
}
