/* SPDX-License-Identifier: MIT */
/*
 * Posts: bytes for another connection, from any thread.
 *
 * They go into its outbox at once, which its own loop sends between two flushes
 * of its handler. So who posts too much, or where there is no memory, is told;
 * a message with a copy of the bytes could find neither room nor memory at its
 * end, where nobody is left to be told.
 */
#include "server/connection.h"

#include <errno.h>

int
sks_post(struct sks_request *req, const void *buf, size_t n)
{
	struct sks_call *call = sks_call_of(req);
	struct sks_outbox *box;

	if (call->datagram || req->server == NULL ||
	    call->service->options.mode == SKS_PROCESSES) {
		errno = ENOTSUP;
		return -1;
	}
	box = sks_connection_need_outbox(sks_connection_of(call));
	if (box == NULL)
		return -1;
	return sks_outbox_put(box, buf, n, call->service->options.max_output);
}
