/* SPDX-License-Identifier: MIT */
/*
 * counters.h - what a server counts, and the page that it shares with its children.
 *
 * A counter is a member of struct sks_stats: sks_count(service, failed, 1) is all
 * there is to counting it. Those that are counted with sks_count_shared() go on in
 * child processes, as sks_server_stats() says; a child has a copy of the others.
 */
#ifndef SKS_SERVER_COUNTERS_H
#define SKS_SERVER_COUNTERS_H

#include "base/histogram.h"
#include "base/log.h"
#include "server/replies.h"
#include "stream/transport.h"

#include <socketserver/server.h>
#include <stdatomic.h>
#include <stddef.h>

/* One for each member of struct sks_stats, in its order. Any thread may add to them. */
struct sks_counters {
	_Atomic uint64_t n[sizeof(struct sks_stats) / sizeof(uint64_t)];
};

#define SKS_COUNTER(counters, member) \
	(&(counters)->n[offsetof(struct sks_stats, member) / sizeof(uint64_t)])

#define sks_count(service, member, change) \
	sks_counter_add(SKS_COUNTER((service)->counters, member), change)
#define sks_count_shared(service, member, change) \
	sks_counter_add(SKS_COUNTER(&(service)->shared->counters, member), change)

static inline void
sks_counter_add(_Atomic uint64_t *counter, int change)
{
	atomic_fetch_add_explicit(counter, (uint64_t)(int64_t)change, memory_order_relaxed);
}

#define SKS_ENDED_REASONS (SKS_ENDED_EVICTED + 1)

/* The ways in which a request has ended once its server stopped. */
enum sks_stop {
	SKS_STOP_NOTHING, /* it has ended by itself */
	SKS_STOP_PARKED,  /* it was parked, and closed */
	SKS_STOP_CANCELLED,
	SKS_STOP_RESET,   /* its peer did not take what was left for it, or did not close */
	SKS_STOP_KILLED,
	SKS_STOPS
};

/* The causes for which requests are refused. */
enum sks_refusal {
	SKS_REFUSED_PEER,    /* max_per_peer */
	SKS_REFUSED_RATE,    /* rate_per_peer */
	SKS_REFUSED_FILES,   /* no descriptor is free */
	SKS_REFUSED_MEMORY,
	SKS_REFUSED_NO_TASK, /* there is no thread or process for it */
	SKS_REFUSALS
};

/* The part of a service that is in memory that child processes share. */
struct sks_shared {
	struct sks_counters counters;
	struct sks_traffic traffic;  /* bytes_in and bytes_out */
	_Atomic uint64_t ended[SKS_ENDED_REASONS]; /* requests, by SKS_ENDED_... */
	struct sks_histogram exchanges; /* how long each took, */
	atomic_int is_timed;            /* once somebody has asked: clocks cost a few % */
	struct sks_log_limit errors; /* of lines about requests that failed */
	struct sks_log_limit refusals[SKS_REFUSALS]; /* one line a second for each */
	struct sks_log_limit evictions;
	_Atomic int64_t evicting; /* when a task was told to end to make room, or a worker was asked
	                             for some; 0: there was some since */
	struct sks_log_limit blocks; /* of lines about handlers that keep their loop */
	atomic_int freeing; /* finish has no time */
	atomic_int draining;
	atomic_int stop;   /* shutdowns that were asked for: 1, or 2 for at once */
	atomic_int has_taken; /* a request was taken in this run */
	atomic_int places; /* of max_connections that are taken: by the requests of all workers,
	                      and by what they are just accepting */
	atomic_uint stopped[SKS_STOPS]; /* requests that have ended since draining was set */
	atomic_uint ended_well; /* children that have left with 0, as they say themselves */
	struct sks_replies replies;
};

/* Makes counters that are 0. NULL: ENOMEM. */
struct sks_shared *sks_shared_new(void);

/* Frees counters. NULL is fine. */
void sks_shared_free(struct sks_shared *shared);

/* Fills in the counters; what is not counted but looked up is 0. Any thread may call it. */
void sks_counters_read(const struct sks_counters *own, const struct sks_shared *shared,
    struct sks_stats *stats);

#endif
