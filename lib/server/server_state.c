/* SPDX-License-Identifier: MIT */
/*
 * The states of a server, in the order of the picture in server.h.
 *
 * A shutdown is a store and a write to the loop's eventfd, so that it can be asked for
 * anywhere. All that follows from it happens on the thread of the first worker.
 */
#include "server/server.h"

#include "base/clock.h"
#include "base/probe.h"
#include "server/accept.h"
#include "server/eviction.h"
#include "server/hook.h"

#include <errno.h>

/* What ends by itself, or was killed, is gone in a moment, unless the machine is busy. */
#define CLOSING_MS 1000
#define KILLED_MS 1000

void
sks_server_set_state(struct sks_server *server, enum sks_server_state state)
{
	server->state = state;
	server->admission.is_open = sks_server_is_serving(server) ||
	    (state == SKS_DRAINING && server->is_last);
}

void
sks_server_order_all(struct sks_server *server, enum sks_order order)
{
	int i;

	server->is_ordering = 1;
	for (i = 0; i < server->service.options.workers; i++)
		sks_worker_order(&server->workers[i], order);
	server->is_ordering = 0;
}

/* Returns 1 while another worker accepts, and so may be about to take one more request. */
static int
others_accept(const struct sks_server *server)
{
	int i;

	for (i = 1; i < server->service.options.workers; i++)
		if (atomic_load(&server->workers[i].accepts))
			return 1;
	return 0;
}

void
sks_server_end_run(struct sks_server *server)
{
	pthread_mutex_lock(&server->runs.lock);
	sks_server_set_state(server, SKS_IDLE);
	atomic_store(&server->service.shared->draining, 0);
	atomic_store(&server->service.shared->stop, 0);
	atomic_store(&server->drain_ms, SKS_DEFAULT);
	pthread_mutex_unlock(&server->runs.lock);
}

void
sks_server_become_idle(struct sks_server *server, int error)
{
	event_del(&server->limit);
	event_del(&server->tick);
	sks_loop_shut(sks_server_first(server)->loop);
	sks_accept_stop(sks_server_first(server));
	sks_accept_cut(sks_server_first(server), !sks_server_has_requests(server));
	sks_server_end_report(server, error);
	sks_server_end_run(server);
	server->result = error;
	if (server->service.options.reuse_port) /* they have listeners to stop, too */
		sks_server_wake_others(server, sks_server_first(server));
	if (server->dispatching)
		sks_loop_stop(sks_server_first(server)->loop);
	sks_runs_tell(&server->runs);
	sks_hook_stop(sks_server_first(server)->loop, &server->service);
}

/*
 * Returns the errno of the run that ends. A shutdown may have come while another loop had claimed
 * the request of sks_handle_request(), which it has given back since.
 */
static int
result_of(const struct sks_server *server)
{
	int is_without = server->admission.quota > 0 &&
	    !atomic_load(&server->service.shared->has_taken);

	return server->result == 0 && is_without ? ECANCELED : server->result;
}

static void
check_empty(struct sks_server *server)
{
	/* A quota of 0 may be given back; what was taken has its place until it has ended. */
	int used_up = server->dispatching && server->admission.quota == 0 &&
	    atomic_load(&server->service.shared->has_taken);

	if (server->state == SKS_IDLE || server->is_ordering ||
	    (sks_server_is_serving(server) && !used_up))
		return;
	if (!sks_server_is_serving(server) &&
	    (others_accept(server) || sks_accept_is_finishing(sks_server_first(server))))
		return;
	if (atomic_load(&server->service.shared->places) == 0)
		sks_server_become_idle(server, result_of(server));
}

/* Starts the timer of the limit. Returns -1 when there is no memory for it. */
int
sks_server_set_limit(struct sks_server *server, int ms)
{
	event_del(&server->limit);
	return ms >= 0 ? sks_event_add(&server->limit, ms) : 0;
}

/* Kills, or gives up, what still runs, since it does not end by itself. */
static void
give_up(struct sks_server *server)
{
	int rc;

	sks_server_set_state(server, SKS_KILLED);
	server->result = ETIMEDOUT;
	rc = sks_server_set_limit(server, KILLED_MS);
	sks_server_order_all(server, SKS_ORDER_KILL);
	if (rc == -1 || server->service.options.mode != SKS_PROCESSES)
		sks_server_become_idle(server, ETIMEDOUT);
}

/* The time of finish hooks is over as well: goes on to CLOSING. */
static void
close_all(struct sks_server *server)
{
	int rc;

	sks_server_set_state(server, SKS_CLOSING);
	rc = sks_server_set_limit(server, CLOSING_MS);
	sks_server_order_all(server, SKS_ORDER_CLOSE);
	check_empty(server);
	if (rc == -1 && server->state == SKS_CLOSING)
		give_up(server);
}

/* A signal has come after the shutdown was asked for. */
static int
is_to_stop_at_once(const struct sks_server *server)
{
	return atomic_load(&server->service.shared->stop) >= 2;
}

static void
cancel(struct sks_server *server)
{
	int rc;

	server->is_cut_short = is_to_stop_at_once(server);
	sks_server_set_state(server, SKS_CANCELLED);
	sks_accept_cut(sks_server_first(server), 0);
	sks_server_order_all(server, SKS_ORDER_CANCEL);
	rc = sks_server_set_limit(server, sks_service_linger_ms(&server->service));
	check_empty(server);
	if (rc == -1 && server->state == SKS_CANCELLED)
		close_all(server);
}

/* Returns the time that sks_server_drain() has asked for, else that of the options. */
static int
drain_ms(struct sks_server *server)
{
	int ms = atomic_exchange(&server->drain_ms, SKS_DEFAULT);

	return ms != SKS_DEFAULT ? ms : server->service.options.drain_ms;
}

/* sks_server_drain() may ask for less time when the drain has begun already. */
static void
shorten_drain(struct sks_server *server)
{
	int ms = atomic_exchange(&server->drain_ms, SKS_DEFAULT);

	if (ms == SKS_DEFAULT || sks_clock_after(ms) >= server->drain_until)
		return;
	server->drain_until = sks_clock_after(ms);
	if (sks_server_set_limit(server, ms) == -1)
		cancel(server);
}

/*
 * Each worker has to say that its listeners are through, also one that has not begun to accept
 * yet: clients may be in their queues.
 */
static void
expect_others(struct sks_server *server)
{
	int i;

	for (i = 1; i < server->service.options.workers; i++)
		atomic_store(&server->workers[i].accepts, 1);
}

static void
drain(struct sks_server *server)
{
	int ms = drain_ms(server), rc;

	SKS_PROBE1(drain, ms);
	sks_server_begin_report(server);
	sks_server_set_state(server, SKS_DRAINING);
	atomic_store(&server->service.shared->draining, 1);
	if (server->is_last) {
		sks_accept_finish(sks_server_first(server));
		expect_others(server);
	} else {
		sks_accept_stop(sks_server_first(server));
		sks_accept_cut(sks_server_first(server), 0); /* those that were to end anyway */
	}
	server->drain_until = sks_clock_after(ms);
	rc = sks_server_set_limit(server, ms);
	sks_server_order_all(server, SKS_ORDER_DRAIN);
	check_empty(server);
	if (rc == -1 && server->state == SKS_DRAINING)
		cancel(server); /* better short than for ever */
}

/* The shutdown is announced first, where the options say so. */
static void
begin_to_stop(struct sks_server *server)
{
	int ms = server->service.options.lame_duck_ms;

	if (server->admission.quota > 0)
		server->result = ECANCELED; /* of sks_handle_request */
	if (ms > 0 && server->admission.quota == -1 && sks_server_set_limit(server, ms) == 0)
		sks_server_set_state(server, SKS_LAME_DUCK);
	else
		drain(server);
}

void
sks_server_stop_before(struct sks_server *server)
{
	if (server->admission.quota > 0)
		server->result = ECANCELED;
	drain(server);
}

/*
 * Ends the wait for lame_duck_ms or drain_ms, and limits that for linger_ms: see
 * sks_service_linger_ms().
 */
static void
stop_at_once(struct sks_server *server)
{
	if (server->state == SKS_LAME_DUCK)
		drain(server);
	if (server->state == SKS_DRAINING)
		cancel(server);
	if (server->state != SKS_CANCELLED || server->is_cut_short)
		return;
	server->is_cut_short = 1;
	if (sks_server_set_limit(server, sks_service_linger_ms(&server->service)) == -1)
		close_all(server);
}

/* Acts after a wake-up of the first worker's loop, by a shutdown or by another worker. */
void
sks_server_on_woken(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;

	sks_evict_asked(worker); /* the run may end by it, and on_stop may begin another one */
	if (atomic_load(&server->service.shared->stop) >= 1 && server->state == SKS_SERVING)
		begin_to_stop(server);
	else if (server->state == SKS_DRAINING)
		shorten_drain(server);
	if (sks_server_is_serving(server) && server->admission.alive == 0) {
		server->result = server->admission.error;
		drain(server);
	}
	if (server->admission.is_open)
		sks_accept_restart(worker);
	check_empty(server);
	if (is_to_stop_at_once(server))
		stop_at_once(server);
}

/* The run is over for the listeners of another worker. 1: those in their queues come first. */
static int
other_finishes(const struct sks_server *server, struct sks_worker *worker,
    enum sks_server_state state)
{
	if (!server->is_last)
		sks_accept_stop(worker);
	if (server->is_last && state != SKS_IDLE)
		sks_accept_finish(worker);
	if (!server->is_last || state != SKS_DRAINING)
		sks_accept_cut(worker, state == SKS_IDLE && !sks_server_has_requests(server));
	return sks_accept_is_finishing(worker);
}

/*
 * Another worker's loop was woken: as the state has changed, or there is room.
 * It says that it accepts before it looks at the state, so that either it
 * sees the end of the run, or that end waits for it.
 */
void
sks_server_on_other_woken(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;
	enum sks_server_state state;

	sks_evict_asked(worker);
	if (sks_list_empty(&worker->listeners) && !worker->accepts)
		return;
	atomic_store(&worker->accepts, 1);
	state = (enum sks_server_state)atomic_load(&server->state);
	if (state == SKS_SERVING || state == SKS_LAME_DUCK ||
	    other_finishes(server, worker, state)) {
		sks_accept_restart(worker);
		return;
	}
	atomic_store(&worker->accepts, 0);
	if (state != SKS_IDLE)
		sks_loop_wake(sks_server_first(server)->loop);
}

/*
 * Nothing has come for sks_handle_request() in time. Another loop may have claimed its one request,
 * and gives it back where nothing is served.
 */
static void
end_without_request(struct sks_server *server)
{
	int one = 1;

	if (atomic_compare_exchange_strong(&server->admission.quota, &one, 0))
		sks_server_become_idle(server, ETIMEDOUT);
	else if (one == 0 && !atomic_load(&server->service.shared->has_taken))
		(void)sks_server_set_limit(server, 1);
}

void
sks_server_on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct sks_server *server = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(sks_server_first(server)->loop))
		return;
	switch (atomic_load(&server->state)) {
	case SKS_IDLE:
		break;
	case SKS_SERVING:
		end_without_request(server);
		break;
	case SKS_LAME_DUCK:
		drain(server);
		break;
	case SKS_DRAINING:
		cancel(server);
		break;
	case SKS_CANCELLED:
		close_all(server);
		break;
	case SKS_CLOSING:
		give_up(server);
		break;
	case SKS_KILLED:
		sks_server_become_idle(server, ETIMEDOUT);
		break;
	}
}

/*
 * Returns 1 when a listener waits for the end of a request, or the server for the last one. A
 * drain may begin between two of these looks, but then it finds this end itself.
 */
static int
is_awaited(struct sks_server *server)
{
	return atomic_load(&server->service.shared->draining) || server->admission.quota == 0 ||
	    sks_admission_stop_waiting(&server->admission);
}

/*
 * There may be room for another request, or it was the last. On the thread of
 * any worker, also of the first for another: that of one refused on arrival.
 */
void
sks_server_on_released(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;
	struct sks_worker *first = sks_server_first(server);
	int here = sks_loop_is_here(worker->loop);

	if (!is_awaited(server))
		return;
	if (server->service.options.reuse_port)
		sks_server_wake_others(server, here ? worker : NULL);
	else if (worker != first)
		sks_loop_wake(first->loop);
	if (here && server->admission.is_open)
		sks_accept_restart(worker);
	if (worker == first)
		check_empty(server);
}
