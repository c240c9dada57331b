/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one loop of a server, with the requests that live on it.
 *
 * The first worker runs in the host's thread; it has the listeners and hands
 * what it takes to the worker with the fewest requests. With reuse_port each
 * worker has a listener of its own for the port, and keeps what it takes.
 * Each worker but the first has a thread, from the first run of the server until it is
 * freed. An order says what a worker has to do: a number that its own thread acts upon.
 */
#ifndef SKS_SERVER_WORKER_H
#define SKS_SERVER_WORKER_H

#include "server/executor.h"
#include "server/reserve.h"
#include "server/service.h"

/* The orders say what a worker does with its requests; each includes those before it. */
enum sks_order {
	SKS_ORDER_SERVE,
	SKS_ORDER_DRAIN,  /* parked connections end */
	SKS_ORDER_CANCEL, /* what runs is cancelled, what is queued ends */
	SKS_ORDER_CLOSE,  /* what is parked or lingers is closed as it is, now and later */
	SKS_ORDER_KILL,   /* what runs is killed, where that harms nothing else: child processes */
	SKS_ORDER_ABORT   /* everything ends now, then the loop stops */
};

#define SKS_ORDERS (SKS_ORDER_ABORT + 1U)

struct sks_worker {
	struct sks_worker *next;   /* of its server's; the last one's is the first */
	struct sks_loop *loop;
	struct sks_executor *executor;
	struct sks_service *service;
	atomic_int open;           /* its requests of all kinds, also those on their way to it */
	struct sks_list parked;    /* connections between exchanges */
	struct sks_list lingering; /* connections being flushed and closed */
	struct sks_list listeners; /* on its loop */
	struct sks_reserve reserve;
	atomic_int accepts;        /* it may take requests from them; only its own thread sets 0 */
	atomic_int parked_count;   /* these two are changed by its own thread only */
	atomic_int lingering_count;
	atomic_uint order;         /* of the n-th run: n * SKS_ORDERS + the enum sks_order */
	struct event look;         /* of server/eviction, as are the next two */
	atomic_int asked_for_place; /* from so many workers; written by other threads */
	atomic_int asked_for_task;
	unsigned int obeyed;       /* the last order acted upon, likewise */
	int has_thread;
	pthread_t thread;
	void (*released)(struct sks_worker *); /* a request is gone; set by the owner */
	void (*woken)(struct sks_worker *);    /* after each wake-up of the loop; likewise */
	void *owner;
};

/* Makes loop and executor; base is as for sks_loop_new(). 0, or -1: then it is to be freed, too. */
int sks_worker_init(struct sks_worker *worker, struct sks_service *service,
    struct event_base *base);

/* Frees what a worker has, without open requests. A worker of zeroes has nothing. */
void sks_worker_free(struct sks_worker *worker);

/* Gives the worker a thread, unless it has one. 0, or -1: EAGAIN, ENOMEM. */
int sks_worker_start(struct sks_worker *worker);

/*
 * Returns 1 on a thread that sks_worker_start() has made for a worker of this service. Any thread.
 */
int sks_worker_is_here(const struct sks_service *service);

/* Waits for the worker's thread, which ends after SKS_ORDER_ABORT. */
void sks_worker_join(struct sks_worker *worker);

/* Returns the last order that the worker has acted upon. On its own thread. */
static inline enum sks_order
sks_worker_obeyed(const struct sks_worker *worker)
{
	return (enum sks_order)(worker->obeyed % SKS_ORDERS);
}

/* Gives the worker an order. On its own thread it acts at once; from others it is woken for it. */
void sks_worker_order(struct sks_worker *worker, enum sks_order order);

/* Counts a request that is on its way to the worker, and has a place already. */
static inline void
sks_worker_take(struct sks_worker *worker)
{
	atomic_fetch_add(&worker->open, 1);
	atomic_store_explicit(&worker->service->shared->has_taken, 1, memory_order_relaxed);
}

/* Frees the place of a request that has left the worker. */
static inline void
sks_worker_release(struct sks_worker *worker)
{
	atomic_fetch_sub(&worker->open, 1);
	atomic_fetch_sub(&worker->service->shared->places, 1);
	if (atomic_load_explicit(&worker->service->shared->evicting, memory_order_relaxed) != 0)
		atomic_store(&worker->service->shared->evicting, 0);
	worker->released(worker);
}

#endif
