/* SPDX-License-Identifier: MIT */
/*
 * Chooses the connection that a full server ends while another client waits for a place.
 *
 * The server must have waited for the connection's peer for make_room_ms. Connections whose client
 * has had its answer and does not close are chosen first, then parked ones, and of each kind the
 * one that has been silent the longest: these clients lose nothing but a connection. Then comes the
 * one whose handler is through, but whose peer does not take the rest. The task is
 * chosen last that has waited the longest for the rest of its request, or for its peer to take the
 * answer. A handler that computes or waits for something else is left alone, and so is a peer that
 * takes 64 KiB in that time.
 *
 * A task that was told to end takes a while, a child process more than one look of the timer, and so
 * may a worker that was asked. Nobody else is told or asked before the server has the place of a
 * connection back; but whoever takes longer than a second is not waited for.
 */
#include "server/eviction.h"

#include "base/clock.h"
#include "server/connection.h"

int sks_evict_look_ms = 50;
int sks_evict_end_ms = 1000;

static int64_t
since_of(const struct sks_call *call)
{
	const struct sks_peer_wait *wait = call->peer_wait;

	if (wait == NULL || sks_peer_wait_is_evicted(wait))
		return 0;
	return atomic_load_explicit(&wait->since, memory_order_relaxed);
}

/* Calls of datagrams are no connections, but nor do they wait for a peer. */
static int
is_flushed(const struct sks_call *call)
{
	return sks_connection_of(call)->state == SKS_CONNECTION_FLUSHING;
}

/*
 * Returns the call of a list that waits the longest for its peer, since `until` at least; of those
 * that are flushed, or of the others.
 */
static struct sks_call *
longest_of(struct sks_list *calls, int flushed, int64_t until)
{
	struct sks_call *longest = NULL;

	sks_list_each (link, calls) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);
		int64_t since = since_of(call);

		if (since != 0 && since <= until && is_flushed(call) == flushed) {
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

static struct sks_call *
longest_without_task(struct sks_worker *worker, int64_t until)
{
	struct sks_call *call = longest_of(&worker->lingering, 0, until);

	if (call == NULL)
		call = first_parked(&worker->parked, until);
	return call != NULL ? call : longest_of(&worker->lingering, 1, until);
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

/* Notes that a task is told to end, or a worker is asked. Returns 0 when one was a moment ago. */
static int
begin_eviction(struct sks_shared *shared, int64_t now)
{
	int64_t before = atomic_load(&shared->evicting);

	return (before == 0 || now - before >= sks_evict_end_ms) &&
	    atomic_compare_exchange_strong(&shared->evicting, &before, now);
}

enum sks_room
sks_evict(struct sks_worker *worker, int needs_task)
{
	int64_t now = sks_clock_ms(), until = now - worker->service->options.make_room_ms;
	struct sks_call *call = NULL;

	if (!needs_task)
		call = longest_without_task(worker, until);
	if (call != NULL) {
		note(worker, call, now);
		sks_connection_evict(sks_connection_of(call));
		return SKS_ROOM_NOW;
	}
	call = longest_of(&worker->executor->active, 0, until);
	if (call == NULL)
		return SKS_ROOM_NONE;
	if (!begin_eviction(worker->service->shared, now))
		return SKS_ROOM_SOON;
	note(worker, call, now);
	worker->executor->ops->evict(worker->executor, call);
	return SKS_ROOM_SOON;
}

void
sks_evict_look_again(struct sks_worker *worker)
{
	if (!sks_evict_is_to_look(worker)) /* without memory for it the next to wait looks */
		(void)sks_event_add(&worker->look, sks_evict_look_ms);
}

int
sks_evict_is_to_look(const struct sks_worker *worker)
{
	return event_pending(&worker->look, EV_TIMEOUT, NULL);
}

void
sks_evict_for_call(struct sks_worker *worker)
{
	(void)sks_evict(worker, 1);
	sks_evict_look_again(worker);
}

/*
 * Listeners come first: a call that waits starts the timer anew, and they pause until it is over.
 */
static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct sks_worker *worker = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(worker->loop))
		return;
	worker->woken(worker);
	sks_executor_notify_wait(worker->executor);
}

void
sks_evict_init(struct sks_worker *worker)
{
	sks_event_assign(&worker->look, worker->loop->base, -1, 0, on_look, worker);
}

/*
 * Has a worker on another thread look. Its answer is the release of a place or a task, which wakes
 * all that wait. To ask one worker at a time, and not all at once, ends no more connections than
 * are asked for.
 */
static void
ask(struct sks_worker *worker, int n, int needs_task)
{
	atomic_int *asked = needs_task ? &worker->asked_for_task : &worker->asked_for_place;

	if (!begin_eviction(worker->service->shared, sks_clock_ms()))
		return;
	atomic_store(asked, n);
	sks_loop_wake(worker->loop);
}

enum sks_room
sks_evict_one_of(struct sks_worker *worker, int n, int needs_task)
{
	enum sks_room room = SKS_ROOM_NONE;

	for (; n > 0 && room == SKS_ROOM_NONE; worker = worker->next, n--) {
		if (!sks_loop_is_here(worker->loop)) {
			ask(worker, n, needs_task);
			return SKS_ROOM_SOON;
		}
		room = sks_evict(worker, needs_task);
	}
	return room;
}

/* A place that came back meanwhile has woken whoever asked, and will ask again if it must. */
static void
answer(struct sks_worker *worker, int n, int needs_task)
{
	if (n > 0 && atomic_exchange(&worker->service->shared->evicting, 0) != 0)
		(void)sks_evict_one_of(worker, n, needs_task);
}

void
sks_evict_asked(struct sks_worker *worker)
{
	answer(worker, atomic_exchange(&worker->asked_for_place, 0), 0);
	answer(worker, atomic_exchange(&worker->asked_for_task, 0), 1);
}
