/* SPDX-License-Identifier: MIT */
/*
 * A run of a server, from its start until it is idle again.
 */
#include "server/server.h"

#include "base/log.h"
#include "server/accept.h"
#include "server/stop_signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static void on_copy(void *arg);

/* Logs why there is nothing to serve on. Returns -1 with EINVAL. */
static int
fail_without_listener(struct sks_server *server)
{
	return sks_fail(SKS_LOG_HANDLER(server->service.handler.name), EINVAL, "serve: %s",
	    server->is_last ?
		"the last shutdown has closed the addresses (options.close_listeners)" :
		"there is no address: call sks_server_listen() first");
}

/* Returns 0 when a run may begin; or -1 and errno. */
static int
check_idle(struct sks_server *server)
{
	if (sks_server_adopt(server) == -1)
		return -1;
	if (server->state != SKS_IDLE) {
		errno = EALREADY;
		return -1;
	}
	return server->admission.alive > 0 ? 0 : fail_without_listener(server);
}

/* Opens the loop of the first worker, which this thread runs. 0, or -1. */
static int
open_loop(struct sks_server *server, struct sks_loop *loop)
{
	sks_loop_enter(loop);
	if (server->service.options.base != NULL) {
		loop->on_copy = on_copy;
		loop->on_copy_arg = server;
	}
	return sks_loop_open(loop);
}

/* Starts the other workers, the tick and the first worker's listeners. 0, or -1. */
static int
start_all(struct sks_server *server)
{
	const struct sks_options *o = &server->service.options;
	int i;

	for (i = 1; i < o->workers; i++)
		if (sks_worker_start(&server->workers[i]) == -1)
			return -1;
	if (o->on_tick != NULL && o->tick_ms > 0 && sks_event_add(&server->tick, o->tick_ms) == -1)
		return -1;
	return sks_accept_start(sks_server_first(server));
}

/*
 * The run is over, or has not begun. mask is that of sks_stop_signals_begin(); NULL: the run
 * catches no signals.
 */
static void
leave_signals(struct sks_server *server, const sigset_t *mask)
{
	if (mask != NULL)
		sks_stop_signals_end(&server->service.shared->stop, mask);
}

/* Takes back what start_all(), catch_signals() and open_loop() have done. Keeps errno. */
static void
undo(struct sks_server *server, const sigset_t *mask)
{
	int error = errno;

	leave_signals(server, mask);
	sks_accept_stop(sks_server_first(server));
	sks_loop_shut(sks_server_first(server)->loop);
	event_del(&server->tick);
	sks_server_end_report(server, error);
	sks_server_end_run(server);
	sks_runs_tell(&server->runs);
	errno = error;
}

/*
 * The run is stopped by signals. They are caught before anything listens: who was answered may send
 * one at once. Fills mask. 0; or -1, and the loop is shut.
 */
static int
catch_signals(struct sks_server *server, sigset_t *mask)
{
	struct sks_loop *loop = sks_server_first(server)->loop;

	if (sks_stop_signals_begin(&server->service.shared->stop, loop, mask) == 0)
		return 0;
	sks_loop_shut(loop);
	return -1;
}

/*
 * Begins a run. quota is the number of requests that it takes; -1: any. mask is where the mask of
 * this thread's signals is kept during a run that is stopped by signals; else NULL. 0, or -1 and
 * idle.
 */
static int
begin(struct sks_server *server, int quota, sigset_t *mask)
{
	const struct sks_options *o = &server->service.options;
	int was_stopped;

	if (check_idle(server) == -1 || open_loop(server, sks_server_first(server)->loop) == -1)
		return -1;
	was_stopped = atomic_load(&server->service.shared->stop) != 0;
	if (mask != NULL && catch_signals(server, mask) == -1)
		return -1;
	server->admission.quota = quota;
	atomic_store(&server->service.shared->has_taken, 0);
	server->result = 0;
	server->is_last = 0;
	server->is_cut_short = 0;
	server->drained_from = 0;
	sks_server_set_state(server, SKS_SERVING);
	sks_server_order_all(server, SKS_ORDER_SERVE);
	if (was_stopped) { /* before the run; a signal that comes now has the backlog served */
		sks_server_stop_before(server);
		return 0;
	}
	server->is_last = quota == -1 && o->close_listeners != SKS_OFF;
	if (start_all(server) == -1) {
		undo(server, mask);
		return -1;
	}
	(void)sks_watchdog_start(&server->watchdog); /* without it, loops report afterwards */
	sks_loop_wake(sks_server_first(server)->loop); /* for a shutdown that came meanwhile */
	if (o->reuse_port)
		sks_server_wake_others(server, sks_server_first(server)); /* to listen, too */
	return 0;
}

/* In a child: the host has made its base anew, so it goes on as the parent's server does. */
static void
on_copy(void *arg)
{
	struct sks_server *server = arg;
	int was_running = server->state != SKS_IDLE;

	if (sks_server_adopt(server) == 0 && was_running && begin(server, -1, NULL) == -1)
		sks_fail(SKS_LOG_HANDLER(server->service.handler.name), errno, "serve: %m");
}

/*
 * Runs the loop until the server is idle. A host that leaves its loop wants that, too. In a child
 * that a handler or a hook has forked, and that comes back here, the loop is the parent's.
 */
int
sks_server_dispatch(struct sks_server *server)
{
	struct sks_loop *loop = sks_server_first(server)->loop;
	unsigned int before = server->runs.n; /* on_stop may begin another run */
	int rc = 0;

	server->dispatching = 1;
	while (server->state != SKS_IDLE && server->runs.n == before && rc == 0 &&
	    !sks_loop_is_copy(loop)) {
		rc = sks_loop_run(loop);
		if (rc == 0 && sks_loop_was_left(loop))
			sks_server_shutdown(server);
	}
	server->dispatching = 0;
	if (sks_loop_is_copy(loop)) {
		errno = ECHILD;
		return -1;
	}
	if (rc == -1 && server->runs.n == before) {
		sks_server_become_idle(server, EIO);
		sks_fail(NULL, EIO, "event loop: failed");
	}
	errno = sks_runs_read(&server->runs, NULL, 0); /* server->result may be of the next run */
	return errno == 0 ? 0 : -1;
}

/* Ends a run that has just begun, as it lacks something. Returns -1, and keeps errno. */
static int
give_up(struct sks_server *server)
{
	int error = errno;

	sks_server_shutdown(server);
	(void)sks_server_dispatch(server);
	errno = error;
	return -1;
}

int
sks_serve_forever(struct sks_server *server)
{
	sigset_t before, *mask = server->service.options.stop_signals ? &before : NULL;
	int rc, error;

	if (begin(server, -1, mask) == -1)
		return -1;
	rc = sks_server_dispatch(server);
	error = errno;
	leave_signals(server, mask);
	errno = error;
	return rc;
}

int
sks_handle_request(struct sks_server *server, int timeout_ms)
{
	if (sks_limit_check(timeout_ms) == -1 || begin(server, 1, NULL) == -1)
		return -1;
	if (server->state == SKS_SERVING && sks_server_set_limit(server, timeout_ms) == -1) {
		server->admission.quota = 0; /* before one is taken */
		return give_up(server);
	}
	return sks_server_dispatch(server);
}

int
sks_server_start(struct sks_server *server)
{
	if (server->service.options.base == NULL) {
		errno = EINVAL;
		return -1;
	}
	return begin(server, -1, NULL);
}

void
sks_server_shutdown(struct sks_server *server)
{
	int none = 0;

	if (sks_server_is_copy(server)) { /* the parent goes on */
		atomic_store(&server->stop_copy, 1);
		return;
	}
	atomic_compare_exchange_strong(&server->service.shared->stop, &none, 1);
	sks_loop_wake(sks_server_first(server)->loop);
}

int
sks_server_is_ready(const struct sks_server *server)
{
	return !sks_server_is_copy(server) && server->state == SKS_SERVING &&
	    atomic_load(&server->service.shared->stop) == 0;
}

int
sks_server_is_running(const struct sks_server *server)
{
	return !sks_server_is_copy(server) && server->state != SKS_IDLE;
}
