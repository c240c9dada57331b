/* SPDX-License-Identifier: MIT */
/*
 * Posts: bytes for another connection, from any thread.
 *
 * The connection's own loop puts them into its outbox, which is sent between
 * two flushes of its handler. A post from elsewhere travels there as a message
 * with a copy of the bytes; room for them is taken before, so that who posts
 * too much is told at once.
 */
#include "base/sys.h"
#include "base/util.h"
#include "server/conn.h"

#include <errno.h>
#include <string.h>

struct post {
	struct sks_message message;
	struct sks_call *call;
	size_t n;
	unsigned char bytes[];
};

/* Room for n bytes, or -1 and ENOBUFS. */
static int
reserve(struct sks_call *call, size_t n)
{
	size_t max = sks_min(call->service->options.max_output, UINT32_MAX / 2);
	_Atomic uint32_t *load = sks_conn_load(call);

	if (n <= max && atomic_fetch_add(load, (uint32_t)n) <= max - n)
		return 0;
	if (n <= max)
		atomic_fetch_sub(load, (uint32_t)n);
	errno = ENOBUFS;
	return -1;
}

static void
give_back(struct sks_call *call, size_t n)
{
	atomic_fetch_sub(sks_conn_load(call), (uint32_t)n);
}

static int
post_here(struct sks_call *call, const void *buf, size_t n)
{
	if (sks_conn_put(call, buf, n) == 0)
		return 0;
	give_back(call, n);
	return -1;
}

static void
deliver(struct sks_message *message)
{
	struct post *post = sks_container_of(message, struct post, message);
	struct sks_call *call = post->call;

	(void)post_here(call, post->bytes, post->n); /* the connection is ending: as if it had */
	sks_sys_free(post);
	sks_conn_drop(call);
}

static int
post_there(struct sks_call *call, const void *buf, size_t n)
{
	struct post *post = sks_sys_malloc(sizeof(*post) + n);

	if (post == NULL) {
		give_back(call, n);
		return -1;
	}
	post->message.run = deliver;
	post->call = call;
	post->n = n;
	memcpy(post->bytes, buf, n);
	sks_conn_hold(call);
	sks_loop_post(sks_conn_loop(call), &post->message);
	return 0;
}

int
sks_post(struct sks_request *req, const void *buf, size_t n)
{
	struct sks_call *call = sks_call_of(req);

	if (call->datagram || req->server == NULL ||
	    call->service->options.mode == SKS_PROCESSES) {
		errno = ENOTSUP;
		return -1;
	}
	if (reserve(call, n) == -1)
		return -1;
	if (sks_loop_is_here(sks_conn_loop(call)))
		return post_here(call, buf, n);
	return post_there(call, buf, n);
}
