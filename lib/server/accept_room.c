/* SPDX-License-Identifier: MIT */
/*
 * A client waits for a full server: whether another one has to go for it, or memory is looked for.
 */
#include "base/sys.h"
#include "server/accept.h"
#include "server/eviction.h"

#define MEMORY_MS 100 /* between two looks for memory */

int
sks_accept_may_evict(const struct sks_listener *l)
{
	return l->service->options.make_room_ms != SKS_OFF && l->type == SOCK_STREAM &&
	    l->admission->is_open;
}

int
sks_accept_is_wanted(const struct sks_listener *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return sks_sys_poll(&p, 1, 0) == 1;
}

/*
 * Asks all workers for a place or a descriptor. Where a task is lacking, a worker that keeps what
 * it takes has no use for the tasks of others.
 */
static enum sks_room
ask_workers(struct sks_listener *l, int needs_task)
{
	if (needs_task && l->keeps)
		return sks_evict(l->worker, 1);
	return sks_evict_one_of(sks_admission_next_crowded(l->admission), l->service->options.workers,
	    needs_task);
}

/* A place that another loop has claimed with reuse_port may be free again in a moment. */
int
sks_accept_evict(struct sks_listener *l)
{
	int lacks_places = sks_admission_lacks_places(l->admission);

	if (lacks_places && sks_admission_is_amid_claim(l->admission))
		return 0;
	return ask_workers(l, !lacks_places) == SKS_ROOM_NOW;
}

void
sks_accept_free_descriptor(struct sks_listener *l)
{
	(void)ask_workers(l, 0);
}

/*
 * There is no worker for the next one. The end of a request goes on, but memory is given back at
 * other times, too: a timer looks for it. It does so even if the memory is no longer full, because
 * another thread may have given some back since the worker was looked for.
 */
void
sks_accept_look_for_memory(struct sks_listener *l)
{
	if (l->service->memory == NULL)
		return;
	if (sks_memory_is_full(l->service->memory))
		sks_buf_pool_drain(&l->worker->loop->bufs);
	(void)sks_event_add(&l->retry, MEMORY_MS);
}
