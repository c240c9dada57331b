/* SPDX-License-Identifier: MIT */
/*
 * Posts: bytes for another connection, from any thread.
 *
 * They go at once into its outbox, which its own loop sends between two flushes of its
 * handler. So the call that posts fails when there is too much output or no memory. A message
 * with a copy of the bytes could fail at its end, where no call is left that could return it.
 */
#include "server/connection.h"
#include "server/post.h"

#include <errno.h>

/* Returns the outbox of a request. NULL: ENOTSUP when it can have none, or ENOMEM. */
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
