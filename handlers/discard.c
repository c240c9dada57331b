/* SPDX-License-Identifier: MIT */
/*
 * discard (RFC 863): reads everything and answers nothing. A datagram needs
 * nothing done to it; a stream is read in pieces and parked in between.
 */
#include "ports.h"

#include <socketserver.h>

static int
discard(struct sks_request *req)
{
	char piece[4096];
	ssize_t n;

	if (sks_is_datagram(req))
		return SKS_DONE;
	n = sks_read(req->rfile, piece, sizeof(piece));
	return n > 0 ? SKS_KEEP : sks_end(req->rfile);
}

SKS_PLUGIN(
    .name = "discard",
    .summary = "reads everything and answers nothing (RFC 863)",
    .handler = { .handle = discard, .client_first = 1 },
    .port = PORT_DISCARD);
