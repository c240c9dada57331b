/* SPDX-License-Identifier: MIT */
/*
 * admission.h - whether a server takes one more request, and which worker gets it.
 *
 * A listener claims a place before it takes a request from the kernel, as the
 * listeners of other workers may be accepting at the same time. The request keeps
 * the place until it has ended (sks_worker_release()), so there are never more
 * than options.max_connections of them.
 *
 * All functions may be called on any worker's thread.
 */
#ifndef SKS_SERVER_ADMISSION_H
#define SKS_SERVER_ADMISSION_H

#include "server/worker.h"

struct sks_admission {
	struct sks_service *service;
	struct sks_worker *workers; /* service->options.workers of them */
	atomic_int is_open;         /* the server is serving; otherwise nothing is taken */
	atomic_int quota;           /* requests that sks_handle_request() may still take; -1: any */
	atomic_int is_waiting;      /* a listener has paused: the next end of a request wakes it */
	atomic_int alive;           /* listeners of all workers that have not failed */
	atomic_int error;           /* errno of the listener that failed last */
	atomic_uint turn;           /* of the worker that is asked next to make room */
};

/*
 * Returns the worker for the next request: own, or where own is NULL the one with
 * the fewest requests. NULL: the listener has to pause, and the next end of a request
 * wakes it, unless the server takes nothing at all. needs_task: the request runs at once, so
 * a worker whose executor is full is no choice: the kernel's queue holds it.
 */
struct sks_worker *sks_admission_find_worker(struct sks_admission *admission,
    struct sks_worker *own, int needs_task);

/* There is no worker for the next request. Returns the one that makes room first: each in turn. */
struct sks_worker *sks_admission_next_crowded(struct sks_admission *admission);

/* Returns 1 when all places are taken: what is lacking is no task. */
int sks_admission_lacks_places(const struct sks_admission *admission);

/*
 * Returns 1 when a listener has claimed a place for what it is about to take. That may be nothing,
 * and it gives the place back then.
 */
int sks_admission_is_amid_claim(const struct sks_admission *admission);

/*
 * Claims a place and one of the quota for a request that a listener on `worker`
 * is about to take. 1, or 0: there is none.
 */
int sks_admission_claim(struct sks_admission *admission, struct sks_worker *worker);

/* Gives back what was claimed: no request came, or none that is served. */
void sks_admission_unclaim(struct sks_admission *admission, struct sks_worker *worker);

/* A listener pauses: the next end of a request wakes it. */
void sks_admission_wait(struct sks_admission *admission);

/* Returns 1 when a listener has paused: the caller has to wake it, and nobody else will. */
int sks_admission_stop_waiting(struct sks_admission *admission);

/* A listener takes nothing any more: with the last one the server stops. */
void sks_admission_end_listener(struct sks_admission *admission);

/* A listener has failed, and takes nothing any more. */
void sks_admission_lose_listener(struct sks_admission *admission, int error);

#endif
