/* SPDX-License-Identifier: MIT */
/*
 * echo (RFC 862): sends back what it gets, over streams and datagrams.
 *
 * A stream has no lines here: each piece is sent back as it came, so that any
 * bytes and an input without end take no memory. Between two pieces the
 * connection is parked and costs a few hundred bytes.
 */
#include "datagram.h"

#include <socketserver.h>

static int
echo(struct sks_request *req)
{
	ssize_t n;

	if (!admit(req))
		return SKS_DONE;
	if (sks_is_datagram(req))
		return sks_copy(req->rfile, req->wfile, -1);
	n = sks_pass(req->rfile, req->wfile);
	return n > 0 ? SKS_KEEP : sks_end(req->rfile);
}

SKS_PLUGIN(
    .name = "echo",
    .summary = "sends back what it gets (RFC 862)",
    .handler = { .handle = echo, .client_first = 1 },
    .port = PORT_ECHO);
