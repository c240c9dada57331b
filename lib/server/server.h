/* SPDX-License-Identifier: MIT */
/*
 * server.h - the inside of a server (socketserver/server.h).
 */
#ifndef SKS_SERVER_SERVER_H
#define SKS_SERVER_SERVER_H

#include "server/admission.h"
#include "server/worker.h"

/*
 * IDLE ─> SERVING ─> DRAINING ─> CANCELLED ─> CLOSING ─> KILLED ─> IDLE
 * A shutdown leads from SERVING to DRAINING, drain_ms on to CANCELLED, and linger_ms
 * more to CLOSING. When no request is left the server is idle again, in whichever of
 * these states that is. CLOSING is short: connections without a task are closed at once,
 * child processes and finish hooks, whose limit is over at the same moment, need a little
 * longer. What still runs then is given up. With processes it is killed, and KILLED is
 * the wait for that.
 */
enum sks_server_state {
	SKS_IDLE,
	SKS_SERVING,
	SKS_DRAINING,
	SKS_CANCELLED,
	SKS_CLOSING,
	SKS_KILLED
};

struct sks_server {
	struct sks_service service;
	struct sks_worker *workers; /* options.workers of them; the first accepts for all */
	struct sks_admission admission;
	struct sks_watchdog watchdog; /* of loops that run handlers */
	atomic_int state;          /* enum sks_server_state; others may ask for it */
	atomic_int is_last;        /* with the run that goes on the listeners end, too */
	int is_ready;              /* workers and timers are there */
	int dispatching;           /* in a call of ours that runs the loop */
	int is_hurried;            /* a second signal has cut the time that is left */
	int result;                /* errno of the run that ends; 0 */
	struct event limit;        /* drain_ms, linger_ms, or sks_handle_request's time */
	struct event tick;
};

/* The one whose loop is in the host's thread. */
static inline struct sks_worker *
sks_server_first(const struct sks_server *server)
{
	return &server->workers[0];
}

/* Wakes the loops of all workers but `me`, which may be NULL. From any thread. */
static inline void
sks_server_wake_others(struct sks_server *server, const struct sks_worker *me)
{
	int i;

	for (i = 0; i < server->service.options.workers; i++)
		if (&server->workers[i] != me)
			sks_loop_wake(server->workers[i].loop);
}

/* -- server_state.c: on the first worker's thread, except where it says otherwise -- */

void sks_server_set_state(struct sks_server *server, enum sks_server_state state);
void sks_server_order_all(struct sks_server *server, enum sks_order order);

/* The run is over: 0, or error is why. The on_stop hook is called last. */
void sks_server_become_idle(struct sks_server *server, int error);

/* The state ends by itself after ms; SKS_OFF: it does not. 0, or -1: no memory for a timer. */
int sks_server_set_limit(struct sks_server *server, int ms);
void sks_server_on_limit(evutil_socket_t fd, short what, void *server);

/* The first worker's loop was woken: by a shutdown, or by another worker. */
void sks_server_on_woken(struct sks_worker *worker);

/* Another worker's loop was woken, on its thread. */
void sks_server_on_other_woken(struct sks_worker *worker);

/* A request is gone, or a task: on the thread of any worker. */
void sks_server_on_released(struct sks_worker *worker);

#endif
