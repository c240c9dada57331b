/* SPDX-License-Identifier: MIT */
/*
 * A server's life: made, serving, draining, idle again, freed.
 *
 * A shutdown is a store and a write to the loop's eventfd, so that it can be
 * asked for anywhere; all that follows from it happens on the loop's thread,
 * in the order of the states in server.h.
 */
#include "server/server.h"

#include "base/log.h"
#include "base/sys.h"
#include "server/accept.h"
#include "server/connection.h"
#include "server/stop_signals.h"

#include <errno.h>
#include <string.h>

#define CLOSING_MS 200
/* A killed child is gone in a moment, unless it hangs in the kernel. */
#define KILLED_MS 1000

static void
set_state(struct sks_server *server, enum sks_server_state state)
{
	server->state = state;
	server->admission.is_open = state == SKS_SERVING;
}

static void
order_all(struct sks_server *server, enum sks_order order)
{
	int i;

	for (i = 0; i < server->service.options.workers; i++)
		sks_worker_order(&server->workers[i], order);
}

/* May another worker have one more in its hands, although nothing is open? */
static int
others_accept(const struct sks_server *server)
{
	int i;

	for (i = 1; i < server->service.options.workers; i++)
		if (atomic_load(&server->workers[i].accepts))
			return 1;
	return 0;
}

/* -- the end of a run -- */

static void
become_idle(struct sks_server *server, int error)
{
	event_del(&server->limit);
	event_del(&server->tick);
	sks_loop_shut(sks_server_first(server)->loop);
	sks_accept_stop(sks_server_first(server));
	set_state(server, SKS_IDLE);
	server->result = error;
	if (server->service.options.reuse_port) /* they have listeners to stop, too */
		sks_server_wake_others(server, sks_server_first(server));
	atomic_store(&server->service.shared->draining, 0);
	atomic_store(&server->service.shared->stop, 0);
	if (server->dispatching)
		sks_loop_stop(sks_server_first(server)->loop);
	if (server->service.options.on_stop != NULL)
		server->service.options.on_stop(server, server->service.options.data);
}

static void
check_empty(struct sks_server *server)
{
	/* Looked at in this order: see sks_admission_claim(). */
	int used_up = server->dispatching && server->admission.quota == 0;

	if (server->state == SKS_IDLE || (server->state == SKS_SERVING && !used_up))
		return;
	if (server->state != SKS_SERVING && others_accept(server))
		return;
	if (atomic_load(&server->service.shared->places) == 0)
		become_idle(server, server->result);
}

/* 0, or -1: there is no memory for a timer. */
static int
set_limit(struct sks_server *server, int ms)
{
	event_del(&server->limit);
	return ms >= 0 ? sks_loop_add(&server->limit, ms) : 0;
}

/* What still runs does not end by itself. */
static void
give_up(struct sks_server *server)
{
	int rc;

	set_state(server, SKS_KILLED);
	server->result = ETIMEDOUT;
	rc = set_limit(server, KILLED_MS);
	order_all(server, SKS_ORDER_KILL);
	if (rc == -1 || server->service.options.mode != SKS_PROCESSES)
		become_idle(server, ETIMEDOUT);
}

/* The last of the time is over. */
static void
close_all(struct sks_server *server)
{
	int rc;

	set_state(server, SKS_CLOSING);
	rc = set_limit(server, CLOSING_MS);
	order_all(server, SKS_ORDER_CLOSE);
	if (rc == -1 && server->state == SKS_CLOSING)
		give_up(server);
}

static void
cancel(struct sks_server *server)
{
	int rc;

	set_state(server, SKS_CANCELLED);
	order_all(server, SKS_ORDER_CANCEL);
	rc = set_limit(server, server->service.options.linger_ms);
	check_empty(server);
	if (rc == -1 && server->state == SKS_CANCELLED)
		close_all(server);
}

static void
drain(struct sks_server *server)
{
	int rc;

	set_state(server, SKS_DRAINING);
	atomic_store(&server->service.shared->draining, 1);
	sks_accept_stop(sks_server_first(server));
	rc = set_limit(server, server->service.options.drain_ms);
	order_all(server, SKS_ORDER_DRAIN);
	check_empty(server);
	if (rc == -1 && server->state == SKS_DRAINING)
		cancel(server); /* better short than for ever */
}

/* The first worker's loop was woken: by a shutdown, or by the others' word. */
static void
on_woken(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;
	int stop = atomic_load(&server->service.shared->stop);

	if (stop >= 1 && server->state == SKS_SERVING) {
		if (server->admission.quota > 0)
			server->result = ECANCELED; /* of sks_handle_request */
		drain(server);
	}
	if (server->state == SKS_SERVING && server->admission.alive == 0) {
		server->result = server->admission.error;
		drain(server);
	}
	if (server->state == SKS_SERVING)
		sks_accept_restart(worker);
	check_empty(server);
	if (stop >= 2 && server->state == SKS_DRAINING)
		cancel(server);
}

/*
 * Another worker's loop was woken: as the state has changed, or there is room.
 * It says that it accepts before it looks at the state, so that either it
 * sees the end of the run, or that end waits for it.
 */
static void
on_other_woken(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;

	if (sks_list_empty(&worker->listeners))
		return;
	atomic_store(&worker->accepts, 1);
	if (server->state == SKS_SERVING) {
		sks_accept_restart(worker);
		return;
	}
	sks_accept_stop(worker);
	atomic_store(&worker->accepts, 0);
	if (server->state != SKS_IDLE)
		sks_loop_wake(sks_server_first(server)->loop);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct sks_server *server = arg;

	(void)fd;
	(void)what;
	switch (atomic_load(&server->state)) {
	case SKS_IDLE:
		break;
	case SKS_SERVING: /* sks_handle_request: nothing came */
		if (server->admission.quota > 0)
			become_idle(server, ETIMEDOUT);
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
		become_idle(server, ETIMEDOUT);
		break;
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sks_server *server = arg;

	(void)fd;
	(void)what;
	server->service.options.on_tick(server, server->service.options.data);
}

/*
 * Does a listener wait for an end, or the server for the last one? A drain may begin
 * between two of these looks, but then it finds this end itself.
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
static void
on_released(struct sks_worker *worker)
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
	if (here && server->state == SKS_SERVING)
		sks_accept_restart(worker);
	if (worker == first)
		check_empty(server);
}

static void
on_room(void *arg)
{
	on_released(arg);
}

/* -- a run -- */

static int
start_workers(struct sks_server *server)
{
	int i;

	for (i = 1; i < server->service.options.workers; i++)
		if (sks_worker_start(&server->workers[i]) == -1)
			return -1;
	return 0;
}

/* Arms everything. 0, or -1 and idle as before. */
static int
begin(struct sks_server *server, int quota)
{
	struct sks_loop *loop = sks_server_first(server)->loop;
	const struct sks_options *o = &server->service.options;

	if (server->state != SKS_IDLE) {
		errno = EALREADY;
		return -1;
	}
	if (server->admission.alive == 0) {
		errno = EINVAL;
		return -1;
	}
	sks_loop_enter(loop);
	if (sks_loop_open(loop) == -1)
		return -1;
	server->admission.quota = quota;
	server->result = 0;
	set_state(server, SKS_SERVING);
	order_all(server, SKS_ORDER_SERVE);
	if (atomic_load(&server->service.shared->stop) != 0) { /* asked before it began: not one request */
		on_woken(sks_server_first(server));
		return 0;
	}
	if (start_workers(server) == -1 ||
	    (o->on_tick != NULL && o->tick_ms > 0 &&
		sks_loop_add(&server->tick, o->tick_ms) == -1) ||
	    sks_accept_start(sks_server_first(server)) == -1) {
		int error = errno;

		sks_accept_stop(sks_server_first(server));
		sks_loop_shut(loop);
		event_del(&server->tick);
		set_state(server, SKS_IDLE);
		errno = error;
		return -1;
	}
	(void)sks_watchdog_start(&server->watchdog); /* without it, loops report afterwards */
	sks_loop_wake(loop); /* for a shutdown that came meanwhile */
	if (o->reuse_port)
		sks_server_wake_others(server, sks_server_first(server)); /* to listen, too */
	return 0;
}

/* Runs the loop until the server is idle. */
static int
dispatch(struct sks_server *server)
{
	struct sks_loop *loop = sks_server_first(server)->loop;
	int rc = 0;

	server->dispatching = 1;
	while (server->state != SKS_IDLE && rc == 0)
		rc = sks_loop_run(loop);
	server->dispatching = 0;
	if (rc == -1) {
		become_idle(server, EIO);
		sks_logf("event loop: failed");
	}
	errno = server->result;
	return server->result == 0 ? 0 : -1;
}

int
sks_serve_forever(struct sks_server *server)
{
	int rc, error, stop_signals = server->service.options.stop_signals;

	if (begin(server, -1) == -1)
		return -1;
	if (stop_signals && sks_stop_signals_add(&server->service.shared->stop,
				sks_server_first(server)->loop) == -1) {
		error = errno;
		sks_server_shutdown(server);
		dispatch(server);
		errno = error;
		return -1;
	}
	rc = dispatch(server);
	error = errno;
	if (stop_signals)
		sks_stop_signals_remove(&server->service.shared->stop);
	errno = error;
	return rc;
}

int
sks_handle_request(struct sks_server *server, int timeout_ms)
{
	if (sks_limit_check(timeout_ms) == -1 || begin(server, 1) == -1)
		return -1;
	if (server->state == SKS_SERVING && set_limit(server, timeout_ms) == -1) {
		int error = errno;

		server->admission.quota = 0; /* before one is taken */
		sks_server_shutdown(server);
		dispatch(server);
		errno = error;
		return -1;
	}
	return dispatch(server);
}

int
sks_server_start(struct sks_server *server)
{
	if (server->service.options.base == NULL) {
		errno = EINVAL;
		return -1;
	}
	return begin(server, -1);
}

void
sks_server_shutdown(struct sks_server *server)
{
	int none = 0;

	atomic_compare_exchange_strong(&server->service.shared->stop, &none, 1);
	sks_loop_wake(sks_server_first(server)->loop);
}

int
sks_server_is_running(const struct sks_server *server)
{
	return server->state != SKS_IDLE;
}

/* -- making and freeing -- */

/* What a child process has inherited and must not hold: clients would wait for its end. */
static void
in_child(void *arg, struct sks_call *call)
{
	struct sks_worker *worker = arg;

	sks_accept_leave(worker, call->datagram);
	sks_connection_close_others(worker, call);
}

/* Threads and processes may block: their handlers keep no loop. */
static void
watch_loops(struct sks_server *server)
{
	const struct sks_options *o = &server->service.options;
	int i;

	sks_watchdog_init(&server->watchdog, o->block_warn_ms);
	if (o->block_warn_ms == SKS_OFF || (o->mode != SKS_FIBERS && o->mode != SKS_SERIAL))
		return;
	for (i = 0; i < o->workers; i++)
		sks_watchdog_add(&server->watchdog, &server->workers[i].loop->watched);
}

static int
init_workers(struct sks_server *server)
{
	const struct sks_options *o = &server->service.options;
	struct event_base *base;
	int i;

	server->workers = sks_sys_calloc((size_t)o->workers, sizeof(*server->workers));
	if (server->workers == NULL)
		return -1;
	server->admission.service = &server->service;
	server->admission.workers = server->workers;
	for (i = 0; i < o->workers; i++) {
		struct sks_worker *worker = &server->workers[i];

		if (sks_worker_init(worker, &server->service, i == 0 ? o->base : NULL) == -1)
			return -1;
		worker->owner = server;
		worker->released = on_released;
		worker->woken = i == 0 ? on_woken : on_other_woken;
		worker->executor->on_room = on_room;
		worker->executor->in_child = in_child;
		worker->executor->arg = worker;
	}
	watch_loops(server);
	base = sks_server_first(server)->loop->base;
	sks_event_assign(&server->limit, base, -1, 0, on_limit, server);
	sks_event_assign(&server->tick, base, -1, EV_PERSIST, on_tick, server);
	server->is_ready = 1;
	return 0;
}

struct sks_server *
sks_server_new_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size)
{
	struct sks_server *server = sks_sys_calloc(1, sizeof(*server));
	int error;

	if (server == NULL)
		return NULL;
	server->service.server = server;
	if (sks_service_init(&server->service, handler, handler_size, options, options_size) == -1)
		goto fail;
	if (init_workers(server) == -1) {
		error = errno;
		sks_logf("event loop: %s", strerror(error));
		errno = error;
		goto fail;
	}
	return server;

fail:
	error = errno;
	sks_server_free(server);
	errno = error;
	return NULL;
}

/* Ends every request, and the workers' threads. */
static void
abandon(struct sks_server *server)
{
	int i;

	server->service.options.on_stop = NULL;
	atomic_store(&server->service.freeing, 1);
	sks_loop_enter(sks_server_first(server)->loop);
	atomic_store(&server->service.shared->draining, 1);
	if (server->state != SKS_IDLE)
		set_state(server, SKS_CANCELLED);
	order_all(server, SKS_ORDER_ABORT);
	for (i = 1; i < server->service.options.workers; i++)
		sks_worker_join(&server->workers[i]);
	if (server->state != SKS_IDLE)
		become_idle(server, 0);
}

void
sks_server_free(struct sks_server *server)
{
	int i;

	if (server == NULL)
		return;
	if (server->is_ready)
		abandon(server);
	sks_watchdog_end(&server->watchdog);
	sks_event_end(&server->limit);
	sks_event_end(&server->tick);
	for (i = 0; server->is_ready && i < server->service.options.workers; i++) {
		sks_loop_run_inbox(server->workers[i].loop); /* a listener on its way */
		sks_accept_end(&server->workers[i]);
	}
	for (i = 0; server->workers != NULL && i < server->service.options.workers; i++)
		sks_worker_free(&server->workers[i]);
	sks_sys_free(server->workers);
	sks_service_end(&server->service);
	sks_sys_free(server);
}
