/* SPDX-License-Identifier: MIT */
/*
 * The workers of a server: how they are made, and what they call.
 */
#include "base/sys.h"
#include "server/accept.h"
#include "server/connection.h"
#include "server/eviction.h"
#include "server/hook.h"
#include "server/server.h"

#include <errno.h>

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sks_server *server = arg;
	struct sks_loop *loop = sks_server_first(server)->loop;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(loop))
		return;
	sks_hook_tick(loop, &server->service);
	(void)sks_loop_refuse_copy(loop); /* the hook may have forked */
}

static void
on_room(void *arg)
{
	sks_server_on_released(arg);
}

static void
on_wait(void *arg)
{
	sks_evict_for_call(arg);
}

/* Closes descriptors that a child process has inherited: clients would wait for the child's end. */
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
	    o->on_stop != NULL || o->on_end != NULL;
	int i;

	sks_watchdog_init(&server->watchdog, o->block_warn_ms);
	if (o->block_warn_ms == SKS_OFF || o->mode == SKS_PROCESSES ||
	    (o->mode == SKS_THREADS && !has_hooks))
		return;
	for (i = 0; i < o->workers; i++)
		sks_watchdog_add(&server->watchdog, &server->workers[i].loop->watched);
}

void
sks_server_free_workers(struct sks_server *server, struct sks_worker *workers)
{
	int i;

	for (i = 0; i < server->service.options.workers; i++)
		sks_worker_free(&workers[i]);
	sks_sys_free(workers);
}

struct sks_worker *
sks_server_new_workers(struct sks_server *server)
{
	const struct sks_options *o = &server->service.options;
	struct sks_worker *workers = sks_sys_calloc((size_t)o->workers, sizeof(*workers));
	int i, error;

	for (i = 0; workers != NULL && i < o->workers; i++) {
		struct sks_worker *worker = &workers[i];

		if (sks_worker_init(worker, &server->service, i == 0 ? o->base : NULL) == -1) {
			error = errno;
			sks_server_free_workers(server, workers);
			errno = error;
			return NULL;
		}
		sks_evict_init(worker);
		worker->next = &workers[(i + 1) % o->workers];
		worker->owner = server;
		worker->released = sks_server_on_released;
		worker->woken = i == 0 ? sks_server_on_woken : sks_server_on_other_woken;
		worker->executor->on_room = on_room;
		worker->executor->on_wait = o->make_room_ms != SKS_OFF ? on_wait : NULL;
		worker->executor->in_child = in_child;
		worker->executor->arg = worker;
	}
	return workers;
}

void
sks_server_use_workers(struct sks_server *server, struct sks_worker *workers)
{
	struct event_base *base = workers[0].loop->base;
	int i;

	/* In a copy of a server that was forked the page of counters is a new one. */
	for (i = 0; i < server->service.options.workers; i++)
		workers[i].loop->watches.is_timed = &server->service.shared->is_timed;
	server->workers = workers;
	server->admission.service = &server->service;
	server->admission.workers = workers;
	watch_loops(server);
	sks_event_assign(&server->limit, base, -1, 0, sks_server_on_limit, server);
	sks_event_assign(&server->tick, base, -1, EV_PERSIST, on_tick, server);
	atomic_store(&server->forks, sks_forks_of_host);
	server->is_ready = 1;
}
