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
#include "server/post.h"

#include <errno.h>

/* The outbox of a request. NULL: ENOTSUP, as it has none, or ENOMEM. */
static struct sks_outbox *
outbox_of(struct sks_request *req)
{
	struct sks_call *call = sks_call_of(req);

	if (call->datagram || req->server == NULL ||
	    call->service->options.mode == SKS_PROCESSES) {
		errno = ENOTSUP;
		return NULL;
	}
	return sks_connection_need_outbox(sks_connection_of(call));
}

int
sks_post(struct sks_request *req, const void *buf, size_t n)
{
	struct sks_outbox *box = outbox_of(req);

	if (box == NULL)
		return -1;
	return sks_outbox_put(box, buf, n, sks_call_of(req)->service->options.max_output);
}

int
sks_post_block(struct sks_request *req, struct sks_block *block)
{
	struct sks_outbox *box = outbox_of(req);

	if (box == NULL)
		return -1;
	return sks_outbox_put_block(box, block, sks_call_of(req)->service->options.max_output);
}
