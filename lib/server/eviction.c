/* SPDX-License-Identifier: MIT */
/*
 * Chooses the connection that a full server ends while another client waits for a place.
 *
 * The server must have waited for the connection's peer for make_room_ms. Connections whose client
 * has had its answer and does not close are chosen first, then parked ones, and of each kind the
 * one that has been silent the longest: these clients lose nothing but a connection. The task is
 * chosen last that has waited the longest for the rest of its request, or for its peer to take the
 * answer. A handler that computes or waits for something else is left alone, and so is a peer that
 * takes 64 KiB in that time.
 */
#include "server/eviction.h"

#include "base/clock.h"
#include "server/connection.h"

static int64_t
since_of(const struct sks_call *call)
{
	const struct sks_peer_wait *wait = call->peer_wait;

	if (wait == NULL || sks_peer_wait_is_evicted(wait))
		return 0;
	return atomic_load_explicit(&wait->since, memory_order_relaxed);
}

/* Returns the call of a list that waits the longest for its peer, since `until` at least. */
static struct sks_call *
longest_of(struct sks_list *calls, int64_t until)
{
	struct sks_call *longest = NULL;
	struct sks_list *link, *after;

	sks_list_each (link, after, calls) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);
		int64_t since = since_of(call);

		if (since != 0 && since <= until) {
			until = since - 1; /* of several the first */
			longest = call;
		}
	}
	return longest;
}

/* Parked ones stand in the order in which they were parked. */
static struct sks_call *
first_parked(struct sks_list *parked, int64_t until)
{
	struct sks_call *call = sks_list_entry(parked->next, struct sks_call, link);

	return !sks_list_empty(parked) && since_of(call) <= until ? call : NULL;
}

static void
note(struct sks_worker *worker, struct sks_call *call, int64_t now)
{
	struct sks_log_origin origin = sks_call_origin(call);

	sks_count(worker->service, evicted, 1);
	sks_log_limited(&worker->service->shared->evictions, 1, &origin, SKS_LOG_WARN, 0,
	    "ended to make room, having kept us waiting for %lld ms", (long long)(now - since_of(call)));
	atomic_store(&call->peer_wait->is_evicted, 1);
}

enum sks_room
sks_evict(struct sks_worker *worker, int needs_task)
{
	int64_t now = sks_clock_ms(), until = now - worker->service->options.make_room_ms;
	struct sks_call *call = NULL;

	if (!needs_task)
		call = longest_of(&worker->lingering, until);
	if (call == NULL && !needs_task)
		call = first_parked(&worker->parked, until);
	if (call != NULL) {
		note(worker, call, now);
		sks_call_end(call, SKS_ENDED_EVICTED);
		sks_connection_evict(sks_connection_of(call));
		return SKS_ROOM_NOW;
	}
	call = longest_of(&worker->executor->active, until);
	if (call == NULL)
		return SKS_ROOM_NONE;
	note(worker, call, now);
	worker->executor->ops->evict(worker->executor, call);
	return SKS_ROOM_SOON;
}

enum sks_room
sks_evict_on(struct sks_worker *worker, int needs_task)
{
	if (sks_loop_is_here(worker->loop))
		return sks_evict(worker, needs_task);
	atomic_store(&worker->asked_for, needs_task ? SKS_ASKED_FOR_TASK : SKS_ASKED_FOR_PLACE);
	sks_loop_wake(worker->loop);
	return SKS_ROOM_SOON;
}

void
sks_evict_asked(struct sks_worker *worker)
{
	int asked_for = atomic_exchange(&worker->asked_for, SKS_ASKED_FOR_NOTHING);

	if (asked_for != SKS_ASKED_FOR_NOTHING)
		(void)sks_evict(worker, asked_for == SKS_ASKED_FOR_TASK);
}
