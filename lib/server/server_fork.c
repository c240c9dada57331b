/* SPDX-License-Identifier: MIT */
/*
 * A server in a child process that its host has forked.
 *
 * What it listens on is the child's as well as the parent's. All else is the parent's
 * alone: its requests, its threads and child processes, the page of its counters, and
 * its loops, as the kernel's epoll sets and eventfds are shared. So the server is a
 * copy, which is idle whatever the parent's server did. The first call that needs loops
 * makes new ones, in the same way as for a new server. The old ones are freed without a
 * change to anything in the kernel but the descriptors of the child.
 *
 * This is done when it is needed, not in a function of pthread_atfork(3): most children
 * never serve, and such a function has no way to report that it has failed.
 *
 * The memory of requests that ran when the process was forked is lost, since their
 * stacks may refer to anything.
 */
#include "base/sys.h"
#include "server/accept.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>
#include <string.h>

/* Closes what belongs to requests, and moves the listeners to a list. */
static void
leave_worker(struct sks_server *server, struct sks_worker *worker, struct sks_list *listeners)
{
	sks_loop_claim(worker->loop, server->state != SKS_IDLE);
	sks_loop_run_inbox(worker->loop); /* a listener may be on its way in it */
	sks_list_each (link, &worker->listeners)
		sks_accept_detach(sks_listener_of(link));
	sks_list_move_all(listeners, &worker->listeners);
	sks_connection_close_others(worker, NULL);
	sks_executor_forget(worker->executor);
}

/* Takes the server out of its old loops. Its listeners are in the list then. */
static void
leave(struct sks_server *server, struct sks_list *listeners)
{
	int i;

	sks_list_init(listeners);
	for (i = 0; i < server->service.options.workers; i++)
		leave_worker(server, &server->workers[i], listeners);
	sks_event_end(&server->limit);
	sks_event_end(&server->tick);
}

/* Begins with new counters, which are this process's only, also for the other services. */
static void
use_counts(struct sks_server *server, const struct sks_service *fresh)
{
	struct sks_service *service = &server->service;

	sks_service_end_counts(service);
	service->shared = fresh->shared;
	service->peers = fresh->peers;
	memset(service->counters, 0, sizeof(*service->counters));
	sks_list_each (link, &server->services)
		sks_service_share_counts(sks_list_entry(link, struct sks_service, link), service);
}

/* Gives each listener to the new worker that has the place of its old one. */
static void
attach(struct sks_server *server, struct sks_list *listeners, const struct sks_worker *old)
{
	struct sks_list *link;

	while ((link = sks_list_pop(listeners)) != NULL) {
		struct sks_listener *l = sks_listener_of(link);
		struct sks_worker *worker = &server->workers[l->worker - old];

		sks_accept_attach(l, worker, &server->admission);
		sks_list_append(&worker->listeners, link);
		if (l->type == SOCK_DGRAM)
			sks_replies_add_listener(&server->service.shared->replies, l->fd);
	}
}

static void
move_to(struct sks_server *server, struct sks_worker *workers, const struct sks_service *fresh)
{
	struct sks_worker *old = server->workers;
	struct sks_list listeners;

	leave(server, &listeners);
	use_counts(server, fresh);
	sks_server_set_state(server, SKS_IDLE);
	server->dispatching = 0;
	server->runs = (struct sks_runs){ 0 };
	sks_runs_init(&server->runs);
	atomic_store(&server->drain_ms, SKS_DEFAULT);
	sks_server_use_workers(server, workers);
	attach(server, &listeners, old);
	sks_server_free_workers(server, old);
	/* A signal handler that has asked the copy to stop meanwhile means the new workers, too. */
	if (atomic_exchange(&server->stop_copy, 0))
		atomic_store(&server->service.shared->stop, 1);
}

/* The calling task runs a handler of the server: then it has the handler's name. */
static int
is_in_handler(struct sks_server *server)
{
	const char *name = sks_task_current()->origin.handler;

	sks_list_each (link, &server->services)
		if (name == sks_list_entry(link, struct sks_service, link)->handler.name)
			return 1;
	return name == server->service.handler.name;
}

/* The caller is within a request or a run, whose stack refers to what would be made anew. */
static int
is_inside(struct sks_server *server)
{
	return is_in_handler(server) ||
	    (server->dispatching && sks_loop_is_here(sks_server_first(server)->loop));
}

int
sks_server_adopt(struct sks_server *server)
{
	struct sks_service fresh = { .options = server->service.options };
	struct sks_worker *workers = NULL;
	int error;

	if (!sks_server_is_copy(server))
		return 0;
	if (is_inside(server)) {
		errno = EALREADY;
		return -1;
	}
	if (sks_service_begin_counts(&fresh) == 0)
		workers = sks_server_new_workers(server);
	if (workers == NULL) {
		error = errno;
		sks_service_end_counts(&fresh);
		errno = error;
		return -1;
	}
	move_to(server, workers, &fresh);
	return 0;
}

void
sks_server_free_copy(struct sks_server *server)
{
	struct sks_list listeners;

	leave(server, &listeners);
	sks_listeners_close(&listeners);
	sks_server_free_workers(server, server->workers);
}
