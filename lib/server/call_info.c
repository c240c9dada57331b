/* SPDX-License-Identifier: MIT */
/*
 * What is told of a request: sks_request_info(), sks_draining(), and the handler's own note.
 */
#include "server/call.h"

#include "base/clock.h"
#include "base/sys.h"

#include <string.h>

void
sks_call_info(const struct sks_call *call, struct sks_info *info)
{
	const struct sks_flow *flow = call->flow;
	int64_t first = flow != NULL ? atomic_load(&flow->first_ns) : 0;

	*info = (struct sks_info){
		.reason = call->ended,
		.exchanges = call->exchanges,
		.began_ns = (uint64_t)call->began_ns,
		.duration_ns = (uint64_t)(sks_clock_ns() - call->began_ns),
		.first_ns = first != 0 ? (uint64_t)sks_max64(first - call->began_ns, 1) : 0,
		.bytes_in = flow != NULL ? atomic_load(&flow->in) : 0,
		.bytes_out = flow != NULL ? atomic_load(&flow->out) : 0,
		.handler = call->service->handler.name,
		.listener = call->listener,
		.tls_version = call->tls,
		.note = call->note,
	};
}

int
sks_request_info_abi(const struct sks_request *req, struct sks_info *info, size_t size)
{
	struct sks_info now;

	sks_call_info(sks_call_of(req), &now);
	memset(info, 0, size);
	memcpy(info, &now, sks_min(size, sizeof(now)));
	return 0;
}

int
sks_draining(const struct sks_request *req)
{
	return atomic_load(&sks_call_of(req)->service->shared->draining) != 0;
}

int
sks_set_note(struct sks_request *req, const char *text)
{
	struct sks_call *call = sks_call_of(req);
	char *note = NULL;
	size_t n;

	if (text != NULL) {
		n = strnlen(text, SKS_NOTE_MOST);
		note = sks_sys_malloc(n + 1);
		if (note == NULL)
			return -1;
		memcpy(note, text, n);
		note[n] = '\0';
	}
	sks_sys_free(call->note);
	call->note = note;
	return 0;
}

void
sks_call_free_parts(struct sks_call *call)
{
	sks_sys_free(call->note);
	sks_sys_free(call->proxied);
}
