/* SPDX-License-Identifier: MIT */
/*
 * A server's life: made, serving, draining, idle again, freed.
 *
 * A shutdown is a store and a write to the loop's eventfd, so that it can be
 * asked for anywhere; all that follows from it happens on the loop's thread,
 * in the order of the states in server.h.
 */
#include "server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "io/wait.h"
#include "server/accept.h"
#include "server/conn.h"
#include "server/datagram.h"
#include "server/stop_signals.h"

#include <errno.h>
#include <string.h>

static struct sks_listener *
listener_of(struct sks_list *link)
{
	return sks_list_entry(link, struct sks_listener, link);
}

static int
is_full(struct sks_listener *l)
{
	struct sks_server *server = l->worker->owner;

	return server->worker.open >= server->service.options.max_connections ||
	    (l->quota != NULL && *l->quota <= 0) || server->state != SKS_SERVING ||
	    (l->type == SOCK_DGRAM && sks_executor_is_full(server->worker.executor));
}

static void
stop_listening(struct sks_server *server)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, &server->listeners)
		sks_accept_stop(listener_of(link));
}

/* Also after a pause: room has become free. */
static int
start_listening(struct sks_server *server)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, &server->listeners)
		if (sks_accept_start(listener_of(link)) == -1)
			return -1;
	return 0;
}

/* -- the end of a run -- */

static void
become_idle(struct sks_server *server, int error)
{
	event_del(&server->limit);
	event_del(&server->tick);
	event_del(&server->worker.loop->wake);
	stop_listening(server);
	server->state = SKS_IDLE;
	server->result = error;
	atomic_store(&server->service.draining, 0);
	atomic_store(&server->stop, 0);
	if (server->dispatching)
		sks_loop_stop(server->worker.loop);
	if (server->service.options.on_stop != NULL)
		server->service.options.on_stop(server, server->service.options.data);
}

static void
check_empty(struct sks_server *server)
{
	if (server->worker.open > 0)
		return;
	if (server->state == SKS_DRAINING || server->state == SKS_CANCELLED ||
	    (server->state == SKS_SERVING && server->dispatching && server->quota == 0))
		become_idle(server, server->result);
}

static void
set_limit(struct sks_server *server, int ms)
{
	event_del(&server->limit);
	if (ms >= 0)
		(void)sks_loop_add(server->worker.loop, &server->limit, ms);
}

static void
end_queued(struct sks_server *server)
{
	struct sks_list queued;
	struct sks_call *call;

	sks_list_init(&queued);
	while ((call = sks_executor_unqueue(server->worker.executor)) != NULL)
		sks_list_append(&queued, &call->link);
	while (!sks_list_empty(&queued)) {
		call = sks_list_entry(sks_list_pop(&queued), struct sks_call, link);
		if (call->datagram)
			sks_datagram_drop(call);
		else
			sks_conn_end_queued(call);
	}
}

static void
cancel(struct sks_server *server)
{
	server->state = SKS_CANCELLED;
	end_queued(server);
	sks_executor_cancel(server->worker.executor);
	set_limit(server, server->service.options.linger_ms);
	check_empty(server);
}

static void
drain(struct sks_server *server)
{
	server->state = SKS_DRAINING;
	atomic_store(&server->service.draining, 1);
	stop_listening(server);
	sks_conn_end_parked(&server->worker);
	set_limit(server, server->service.options.drain_ms);
	check_empty(server);
}

static void
on_wake(void *arg)
{
	struct sks_server *server = arg;
	int stop = atomic_load(&server->stop);

	if (stop >= 1 && server->state == SKS_SERVING) {
		if (server->quota > 0)
			server->result = ECANCELED; /* of sks_handle_request */
		drain(server);
	}
	if (stop >= 2 && server->state == SKS_DRAINING)
		cancel(server);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct sks_server *server = arg;

	(void)fd;
	(void)what;
	switch (server->state) {
	case SKS_IDLE:
		break;
	case SKS_SERVING: /* sks_handle_request: nothing came */
		if (server->quota > 0)
			become_idle(server, ETIMEDOUT);
		break;
	case SKS_DRAINING:
		cancel(server);
		break;
	case SKS_CANCELLED:
		sks_conn_abort_idle(&server->worker);
		if (server->state == SKS_CANCELLED)
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

/* A request is gone: there is room for another one, or it was the last. */
static void
on_released(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;

	if (server->state == SKS_SERVING)
		(void)start_listening(server);
	check_empty(server);
}

static void
on_room(void *arg)
{
	struct sks_server *server = arg;

	if (server->state == SKS_SERVING)
		(void)start_listening(server);
}

static void
on_listener_failed(struct sks_listener *failed, int error)
{
	struct sks_server *server = failed->worker->owner;
	struct sks_list *link, *after;

	sks_logf("listener %d: %s", failed->fd, strerror(error));
	sks_list_each (link, after, &server->listeners)
		if (!listener_of(link)->dead)
			return;
	server->result = error;
	drain(server);
}

/* -- a run -- */

/* Arms everything. 0, or -1 and idle as before. */
static int
begin(struct sks_server *server, int quota)
{
	struct sks_loop *loop = server->worker.loop;
	const struct sks_options *o = &server->service.options;
	struct sks_list *link, *after;
	int alive = 0;

	sks_list_each (link, after, &server->listeners) {
		listener_of(link)->quota = quota > 0 ? &server->quota : NULL;
		alive += !listener_of(link)->dead;
	}
	if (alive == 0 || server->state != SKS_IDLE) {
		errno = alive == 0 ? EINVAL : EALREADY;
		return -1;
	}
	sks_loop_enter(loop);
	server->quota = quota;
	server->result = 0;
	server->state = SKS_SERVING;
	if (atomic_load(&server->stop) != 0) { /* asked before it began: not one request */
		on_wake(server);
		return 0;
	}
	if (sks_loop_add(loop, &loop->wake, -1) == -1 ||
	    (o->on_tick != NULL && o->tick_ms > 0 &&
		sks_loop_add(loop, &server->tick, o->tick_ms) == -1) ||
	    start_listening(server) == -1) {
		int error = errno;

		stop_listening(server);
		event_del(&loop->wake);
		event_del(&server->tick);
		server->state = SKS_IDLE;
		errno = error;
		return -1;
	}
	sks_loop_wake(loop); /* for a shutdown that came meanwhile */
	return 0;
}

/* Runs the loop until the server is idle. */
static int
dispatch(struct sks_server *server)
{
	struct sks_loop *loop = server->worker.loop;
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
	if (stop_signals && sks_stop_signals_add(&server->stop, server->worker.loop) == -1) {
		error = errno;
		sks_server_shutdown(server);
		dispatch(server);
		errno = error;
		return -1;
	}
	rc = dispatch(server);
	error = errno;
	if (stop_signals)
		sks_stop_signals_remove(&server->stop);
	errno = error;
	return rc;
}

int
sks_handle_request(struct sks_server *server, int timeout_ms)
{
	if (begin(server, 1) == -1)
		return -1;
	if (server->state == SKS_SERVING)
		set_limit(server, timeout_ms > 0 ? timeout_ms : -1);
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

	atomic_compare_exchange_strong(&server->stop, &none, 1);
	sks_loop_wake(server->worker.loop);
}

int
sks_server_is_running(const struct sks_server *server)
{
	return server->state != SKS_IDLE;
}

/* -- making and freeing -- */

static int
init_worker(struct sks_server *server)
{
	struct sks_worker *worker = &server->worker;
	const struct sks_options *o = &server->service.options;

	sks_list_init(&worker->parked);
	sks_list_init(&worker->busy);
	sks_list_init(&worker->lingering);
	worker->service = &server->service;
	worker->owner = server;
	worker->released = on_released;
	worker->loop = sks_loop_new(o->base);
	if (worker->loop == NULL)
		return -1;
	sks_loop_interval(worker->loop, o->idle_ms);
	sks_loop_interval(worker->loop, o->timeout_ms);
	sks_loop_interval(worker->loop, o->linger_ms);
	worker->loop->on_wake = on_wake;
	worker->loop->on_wake_arg = server;
	event_assign(&server->limit, worker->loop->base, -1, 0, on_limit, server);
	event_assign(&server->tick, worker->loop->base, -1, EV_PERSIST, on_tick, server);
	worker->executor = sks_fiber_executor_new(worker->loop, &server->service);
	if (worker->executor == NULL)
		return -1;
	worker->executor->on_room = on_room;
	worker->executor->arg = server;
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
	sks_list_init(&server->listeners);
	server->service.server = server;
	if (sks_service_init(&server->service, handler, handler_size, options, options_size) == -1)
		goto fail;
	if (server->service.options.mode > SKS_SERIAL || server->service.options.workers > 1) {
		sks_logf("options: threads, processes and workers are not in this version");
		errno = ENOTSUP;
		goto fail;
	}
	if (init_worker(server) == -1) {
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

int
sks_server_listen(struct sks_server *server, const char *address)
{
	struct sks_list opened;
	struct sks_list *link, *after;

	sks_list_init(&opened);
	if (sks_listener_open(address, &server->service.options, &opened) == -1)
		return -1;
	sks_list_each (link, after, &opened) {
		struct sks_listener *l = listener_of(link);

		l->is_full = is_full;
		l->failed = on_listener_failed;
		sks_accept_attach(l, &server->worker);
	}
	sks_list_move_all(&server->listeners, &opened);
	return server->state == SKS_SERVING ? start_listening(server) : 0;
}

/* Every request comes to its end now: its waits answer ECANCELED, in finish ETIMEDOUT. */
static void
abandon(struct sks_server *server)
{
	struct sks_worker *worker = &server->worker;

	server->service.options.linger_ms = 0;
	server->state = SKS_CANCELLED;
	atomic_store(&server->service.draining, 1);
	sks_conn_end_parked(worker);
	while (worker->open > 0) {
		end_queued(server);
		sks_executor_abort(worker->executor);
		sks_loop_settle(worker->loop);
		sks_conn_abort_idle(worker);
	}
}

void
sks_server_free(struct sks_server *server)
{
	struct sks_list *link;

	if (server == NULL)
		return;
	if (server->worker.executor != NULL) {
		server->service.options.on_stop = NULL;
		if (server->worker.open > 0)
			abandon(server);
		if (server->state != SKS_IDLE)
			become_idle(server, 0);
	}
	while ((link = sks_list_pop(&server->listeners)) != NULL) {
		sks_accept_stop(listener_of(link));
		sks_listener_close(listener_of(link));
	}
	sks_executor_free(server->worker.executor);
	sks_loop_free(server->worker.loop);
	sks_sys_free(server);
}
