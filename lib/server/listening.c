/* SPDX-License-Identifier: MIT */
/*
 * What a server takes requests from, and when it does not: its listeners are on
 * its first loop or, with reuse_port, one for each address on every loop.
 */
#include "server/listening.h"

#include "base/log.h"
#include "base/sys.h"
#include "server/accept.h"

#include <errno.h>
#include <string.h>

static struct sks_listener *
listener_of(struct sks_list *link)
{
	return sks_list_entry(link, struct sks_listener, link);
}

/* The worker with the fewest requests. */
static struct sks_worker *
pick(struct sks_listener *l)
{
	struct sks_server *server = l->worker->owner;
	struct sks_worker *best = sks_server_first(server);
	int i, least = atomic_load(&best->executor->open);

	for (i = 1; i < server->service.options.workers; i++) {
		int open = atomic_load(&server->workers[i].executor->open);

		if (open < least) {
			least = open;
			best = &server->workers[i];
		}
	}
	return best;
}

/* With a listener of its own a worker keeps what it takes. */
static struct sks_worker *
pick_own(struct sks_listener *l)
{
	return l->worker;
}

static int
lacks_room(const struct sks_server *server, struct sks_listener *l)
{
	/* Who would have to wait for a task may as well wait in the kernel's queue. */
	return atomic_load(&server->service.shared->places) >= server->service.options.max_connections ||
	    ((l->type == SOCK_DGRAM || !server->service.handler.client_first) &&
		sks_executor_is_full(pick(l)->executor));
}

static int
is_full(struct sks_listener *l)
{
	struct sks_server *server = l->worker->owner;

	if (server->state == SKS_SERVING && server->quota != 0) {
		sks_executor_tidy(l->worker->executor);
		if (!lacks_room(server, l))
			return 0;
		/* Looked at again, in case the last one left before it knew that somebody waits. */
		atomic_store(&server->wants_word, 1);
		if (!lacks_room(server, l))
			return 0;
	}
	sks_executor_hurry(l->worker->executor);
	return 1;
}

/* The listeners on a worker's loop. */
static struct sks_list *
listeners_of(struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;

	return worker == sks_server_first(server) ? &server->listeners : &worker->listeners;
}

void
sks_listening_stop(struct sks_worker *worker)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, listeners_of(worker))
		sks_accept_stop(listener_of(link));
}

int
sks_listening_start(struct sks_worker *worker)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, listeners_of(worker))
		if (sks_accept_start(listener_of(link)) == -1)
			return -1;
	return 0;
}

void
sks_listening_again(struct sks_worker *worker)
{
	if (sks_listening_start(worker) == -1)
		sks_loop_wake(worker->loop);
}

static void
on_listener_failed(struct sks_listener *failed, int error)
{
	struct sks_server *server = failed->worker->owner;

	sks_logf("listener %d: %s", failed->fd, strerror(error));
	server->listen_error = error;
	if (atomic_fetch_sub(&server->alive, 1) == 1)
		sks_loop_wake(sks_server_first(server)->loop); /* it was the last */
}

static void
attach(struct sks_listener *l, struct sks_worker *worker)
{
	struct sks_server *server = worker->owner;

	l->is_full = is_full;
	l->pick = l->shares_port && server->service.options.workers > 1 ? pick_own : pick;
	l->failed = on_listener_failed;
	l->quota = &server->quota;
	sks_accept_attach(l, worker);
	atomic_fetch_add(&server->alive, 1);
}

/* On the loop of the worker that it is for. */
static void
listener_arrives(struct sks_message *message)
{
	struct sks_listener *l = sks_container_of(message, struct sks_listener, arrival);

	sks_list_append(&l->worker->listeners, &l->link);
}

/* One more for each of the other workers. They wait for it in a list until all are there. */
static int
open_twins(struct sks_server *server, const struct sks_list *opened, struct sks_list *twins)
{
	struct sks_list *link, *after;
	struct sks_listener *twin;
	int i;

	sks_list_each (link, after, opened) {
		for (i = 1; listener_of(link)->shares_port && i < server->service.options.workers; i++) {
			twin = sks_listener_twin(listener_of(link), &server->service.options);
			if (twin == NULL)
				return -1;
			twin->worker = &server->workers[i];
			sks_list_append(twins, &twin->link);
		}
	}
	return 0;
}

/* Gives each to its worker, which may be running. */
static void
hand_out(struct sks_server *server, struct sks_list *twins)
{
	struct sks_list *link;

	while ((link = sks_list_pop(twins)) != NULL) {
		struct sks_listener *twin = listener_of(link);

		attach(twin, twin->worker);
		twin->arrival.run = listener_arrives;
		if (twin->worker->has_thread)
			sks_loop_post(twin->worker->loop, &twin->arrival);
		else
			listener_arrives(&twin->arrival);
	}
	if (server->state == SKS_SERVING)
		sks_server_wake_others(server, sks_server_first(server));
}

static void
close_listeners(struct sks_list *listeners)
{
	struct sks_list *link;

	while ((link = sks_list_pop(listeners)) != NULL)
		sks_listener_close(listener_of(link));
}

void
sks_listening_end(struct sks_worker *worker)
{
	sks_listening_stop(worker);
	close_listeners(listeners_of(worker));
}

void
sks_listening_leave(struct sks_worker *worker, int datagrams_stay)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, listeners_of(worker))
		if (listener_of(link)->type == SOCK_STREAM || !datagrams_stay)
			sks_sys_close(listener_of(link)->fd);
}

int
sks_server_listen(struct sks_server *server, const char *address)
{
	struct sks_list opened, twins;
	struct sks_list *link, *after;
	int error;

	sks_list_init(&opened);
	sks_list_init(&twins);
	if (sks_listener_open(address, &server->service.options, &opened) == -1)
		return -1;
	if (open_twins(server, &opened, &twins) == -1) {
		error = errno;
		close_listeners(&twins);
		close_listeners(&opened);
		errno = error;
		return -1;
	}
	sks_list_each (link, after, &opened)
		attach(listener_of(link), sks_server_first(server));
	sks_list_move_all(&server->listeners, &opened);
	hand_out(server, &twins);
	return server->state == SKS_SERVING ? sks_listening_start(sks_server_first(server)) : 0;
}
