/* SPDX-License-Identifier: MIT */
/*
 * How a server is made and freed. server_run.c has its runs, server_state.c how a run
 * comes to its end.
 */
#include "server/server.h"

#include "base/log.h"
#include "base/sys.h"
#include "server/accept.h"
#include "server/connection.h"
#include "server/hook.h"
#include "server/options.h"

#include <errno.h>
#include <string.h>

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sks_server *server = arg;

	(void)fd;
	(void)what;
	sks_hook_tick(sks_server_first(server)->loop, &server->service);
}

static void
on_room(void *arg)
{
	sks_server_on_released(arg);
}

/* Closes what a child process has inherited and must not hold, or clients would wait for its end. */
static void
in_child(void *arg, struct sks_call *call)
{
	struct sks_worker *worker = arg;

	sks_accept_leave(worker, call->datagram);
	sks_connection_close_others(worker, call);
}

/*
 * On threads and in processes handlers may block, as they keep no loop; but hooks do. A
 * server that forks has no other thread: its loop reports by itself.
 */
static void
watch_loops(struct sks_server *server)
{
	const struct sks_options *o = &server->service.options;
	int has_hooks = o->verify != NULL || o->on_reject != NULL || o->on_tick != NULL ||
	    o->on_stop != NULL;
	int i;

	sks_watchdog_init(&server->watchdog, o->block_warn_ms);
	if (o->block_warn_ms == SKS_OFF || o->mode == SKS_PROCESSES ||
	    (o->mode == SKS_THREADS && !has_hooks))
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
		worker->released = sks_server_on_released;
		worker->woken = i == 0 ? sks_server_on_woken : sks_server_on_other_woken;
		worker->executor->on_room = on_room;
		worker->executor->in_child = in_child;
		worker->executor->arg = worker;
	}
	watch_loops(server);
	base = sks_server_first(server)->loop->base;
	sks_event_assign(&server->limit, base, -1, 0, sks_server_on_limit, server);
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
	sks_runs_init(&server->runs);
	atomic_store(&server->drain_ms, SKS_DEFAULT);
	server->service.server = server;
	if (sks_service_init(&server->service, handler, handler_size, options, options_size) == -1 ||
	    sks_mode_check(server->service.name, server->service.options.mode,
		server->service.handler.refuses, NULL) == -1)
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
		sks_server_set_state(server, SKS_CANCELLED);
	sks_server_order_all(server, SKS_ORDER_ABORT);
	for (i = 1; i < server->service.options.workers; i++)
		sks_worker_join(&server->workers[i]);
	if (server->state != SKS_IDLE)
		sks_server_become_idle(server, 0);
}

void
sks_server_free(struct sks_server *server)
{
	int i;

	if (server == NULL)
		return;
	if (server->is_ready)
		abandon(server);
	sks_runs_end(&server->runs);
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
