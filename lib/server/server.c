/* SPDX-License-Identifier: MIT */
/*
 * How a server is made and freed. server_run.c has its runs, server_state.c how a run
 * comes to its end.
 */
#include "server/server.h"

#include "base/log.h"
#include "base/sys.h"
#include "server/accept.h"
#include "server/options.h"
#include "server/stop_signals.h"

#include <errno.h>
#include <string.h>

struct sks_server *
sks_server_new_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size)
{
	struct sks_server *server = sks_sys_calloc(1, sizeof(*server));
	struct sks_worker *workers;

	if (server == NULL)
		return NULL;
	sks_runs_init(&server->runs);
	sks_list_init(&server->services);
	sks_list_init(&server->addresses);
	atomic_store(&server->drain_ms, SKS_DEFAULT);
	server->service.server = server;
	if (sks_service_init(&server->service, handler, handler_size, options,
		options_size) == -1 ||
	    sks_mode_check(server->service.name, server->service.options.mode,
		server->service.handler.refuses, NULL) == -1)
		goto fail;
	workers = sks_server_new_workers(server);
	if (workers == NULL) {
		sks_fail(NULL, errno, "event loop: %m");
		goto fail;
	}
	sks_server_use_workers(server, workers);
	return server;

fail:
	sks_server_free(server);
	return NULL;
}

/* Ends every request, and the workers' threads. */
static void
abandon(struct sks_server *server)
{
	int i;

	server->service.options.on_stop = NULL;
	atomic_store(&server->service.shared->freeing, 1);
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

static void
free_ready(struct sks_server *server)
{
	int i;

	abandon(server);
	sks_stop_signals_forget(&server->service.shared->stop);
	sks_runs_end(&server->runs);
	sks_watchdog_end(&server->watchdog);
	sks_event_end(&server->limit);
	sks_event_end(&server->tick);
	for (i = 0; i < server->service.options.workers; i++) {
		sks_loop_run_inbox(server->workers[i].loop); /* a listener on its way */
		sks_accept_end(&server->workers[i]);
	}
	sks_server_free_workers(server, server->workers);
}

/* Keeps errno. */
void
sks_server_free(struct sks_server *server)
{
	struct sks_list *link;
	int error = errno;

	if (server == NULL)
		return;
	if (server->is_ready && sks_server_is_copy(server))
		sks_server_free_copy(server);
	else if (server->is_ready)
		free_ready(server);
	while ((link = sks_list_pop(&server->services)) != NULL)
		sks_sys_free(sks_list_entry(link, struct sks_service, link));
	sks_server_free_addresses(server);
	sks_service_end(&server->service);
	sks_sys_free(server);
	errno = error;
}
