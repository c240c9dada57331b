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
	int is_ready;              /* workers and timers are there */
	int dispatching;           /* in a call of ours that runs the loop */
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

static inline void
sks_server_wake_others(struct sks_server *server, const struct sks_worker *me)
{
	int i;

	for (i = 0; i < server->service.options.workers; i++)
		if (&server->workers[i] != me)
			sks_loop_wake(server->workers[i].loop);
}

#endif
