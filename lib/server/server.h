/* SPDX-License-Identifier: MIT */
/*
 * server.h - the inside of a server (socketserver/server.h).
 */
#ifndef SKS_SERVER_SERVER_H
#define SKS_SERVER_SERVER_H

#include "server/admission.h"
#include "server/worker.h"

/*
 * IDLE ─> SERVING ─> LAME_DUCK ─> DRAINING ─> CANCELLED ─> CLOSING ─> KILLED ─> IDLE
 *
 * A shutdown leads from SERVING to DRAINING, through LAME_DUCK where lame_duck_ms is set. After
 * drain_ms comes CANCELLED, and after linger_ms more CLOSING. When no request is left the server
 * is idle again, in whichever of these states that is. CLOSING is short: connections without a
 * task are closed at once, while child processes and finish hooks, whose limit is over at the same
 * moment, need a little longer. Handlers that still run then are given up. Child processes are
 * killed, and KILLED is the wait for their ends.
 */
enum sks_server_state {
	SKS_IDLE,
	SKS_SERVING,
	SKS_LAME_DUCK,
	SKS_DRAINING,
	SKS_CANCELLED,
	SKS_CLOSING,
	SKS_KILLED
};

/* The runs that are over, for threads that wait for the end of one. */
struct sks_runs {
	pthread_mutex_t lock; /* a server becomes idle under it, too */
	pthread_cond_t over;
	unsigned int n;
	int waiting; /* threads between sks_runs_enter() and sks_runs_leave() */
	int result;  /* errno of the last run; 0 */
	struct sks_drain_report report; /* of the last drain */
};

struct sks_listener;

struct sks_server {
	struct sks_service service;
	struct sks_list services;  /* beside it, of sks_server_listen_with() */
	struct sks_list addresses; /* the texts that its requests refer to, each once */
	struct sks_worker *workers; /* options.workers of them; the first accepts for all */
	struct sks_admission admission;
	struct sks_watchdog watchdog; /* of loops that run handlers */
	atomic_int state;          /* enum sks_server_state; others may ask for it */
	atomic_int is_last;        /* with the run that goes on the listeners end, too */
	int is_ready;              /* workers and timers are there */
	int dispatching;           /* in a call of ours that runs the loop */
	int is_ordering;           /* the run does not end before all workers have the order */
	int is_cut_short;          /* a second signal has cut the time that is left */
	atomic_int drain_ms;       /* of sks_server_drain(); SKS_DEFAULT: that of the options */
	int64_t drained_from;      /* when the drain began; 0: this run has none */
	int64_t drain_until;       /* when the time of the drain is over */
	struct sks_runs runs;
	int result;                /* errno of the run that ends; 0 */
	atomic_uint forks;         /* sks_forks_of_host where its loops were made (server_fork.c) */
	atomic_int stop_copy;      /* a shutdown was asked for while it was a copy */
	struct event limit;        /* drain_ms, linger_ms, or sks_handle_request's time */
	struct event tick;
};

/* Returns the worker whose loop is in the host's thread. */
static inline struct sks_worker *
sks_server_first(const struct sks_server *server)
{
	return &server->workers[0];
}

/* Returns 1 while the server accepts, which it also does while its shutdown is only announced. */
static inline int
sks_server_is_serving(const struct sks_server *server)
{
	return server->state == SKS_SERVING || server->state == SKS_LAME_DUCK;
}

/* Returns 1 while a request is there, also one of an earlier run that was given up. */
static inline int
sks_server_has_requests(const struct sks_server *server)
{
	return atomic_load(&server->service.shared->places) > 0;
}

/* Returns 1 in a child process of the host, whose server is a copy of one of the parent. */
static inline int
sks_server_is_copy(const struct sks_server *server)
{
	return atomic_load(&server->forks) != sks_forks_of_host;
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

/* -- server_run.c -- */

/* Runs the loop until the server is idle. 0, or -1 and why the run has failed. */
int sks_server_dispatch(struct sks_server *server);

/* -- server_report.c -- */

void sks_runs_init(struct sks_runs *runs);

/*
 * From any thread: the report of the last one, in the size that the caller knows; NULL is fine.
 * Returns the errno of the last one, or 0.
 */
int sks_runs_read(struct sks_runs *runs, struct sks_drain_report *report, size_t size);

/*
 * From any thread: the server is not freed until sks_runs_leave(), which returns what
 * sks_runs_read() returns. Returns how many runs are over.
 */
unsigned int sks_runs_enter(struct sks_runs *runs);
int sks_runs_leave(struct sks_runs *runs, struct sks_drain_report *report, size_t size);

/* In between: waits until another run is over than the `before` ones. */
void sks_runs_wait(struct sks_runs *runs, unsigned int before);

/* Waits until nobody is in between any more. */
void sks_runs_end(struct sks_runs *runs);

/* Wakes the threads and fibers that wait for the end of a run. */
void sks_runs_tell(struct sks_runs *runs);

/* On the first worker's thread: a drain begins; a run is over, and error is why, or 0. */
void sks_server_begin_report(struct sks_server *server);
void sks_server_end_report(struct sks_server *server, int error);

/* -- server_workers.c -- */

/* Makes options.workers of them. NULL, and errno. */
struct sks_worker *sks_server_new_workers(struct sks_server *server);
void sks_server_free_workers(struct sks_server *server, struct sks_worker *workers);

/* Makes them the server's, which has none, and is ready to listen and to run then. */
void sks_server_use_workers(struct sks_server *server, struct sks_worker *workers);

/* -- server_info.c -- */

/* Puts the address of a listener into buf as sks_server_listen_address() does. Likewise. */
char *sks_listener_format(const struct sks_listener *listener, char *buf, size_t size);

/* Returns the name of the handler of listener i (0, 1, ...), or NULL: ENOENT. */
const char *sks_server_listener_name(const struct sks_server *server, unsigned int i);

/* -- server_listen.c -- */

void sks_server_free_addresses(struct sks_server *server);

/* -- server_fork.c -- */

/*
 * Before a call that changes or runs the server: where it is a copy it gets loops of its own, and
 * is idle. 0, or -1: EALREADY in a handler, or below a run of the parent; ENOMEM, EMFILE, ENFILE.
 */
int sks_server_adopt(struct sks_server *server);

/* Frees a copy, and closes its descriptors. Nothing else is done to them. */
void sks_server_free_copy(struct sks_server *server);

/* -- server_state.c: on the first worker's thread, except where it says otherwise -- */

void sks_server_set_state(struct sks_server *server, enum sks_server_state state);

/* Gives all workers an order. The caller looks then whether the run is over with it. */
void sks_server_order_all(struct sks_server *server, enum sks_order order);

/* The server is idle, and nothing that was asked of this run is left to the next one. */
void sks_server_end_run(struct sks_server *server);

/* The run is over: 0, or error is why. The on_stop hook is called last. */
void sks_server_become_idle(struct sks_server *server, int error);

/* A shutdown came before the run, which has begun nothing yet, and ends. */
void sks_server_stop_before(struct sks_server *server);

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
