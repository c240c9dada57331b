/* SPDX-License-Identifier: MIT */
/*
 * service.h - what all requests of a server share: its handler, its options
 * with every default filled in, and its counters.
 */
#ifndef SKS_SERVER_SERVICE_H
#define SKS_SERVER_SERVICE_H

#include "base/log.h"
#include "stream/stream.h"
#include "stream/transport.h"

#include <socketserver/server.h>
#include <stdatomic.h>

/*
 * In memory that child processes share: what they tell and are told; and what
 * the parent counts for each request, as no fork copies this page.
 */
struct sks_shared {
	struct sks_traffic traffic;
	atomic_int draining;
	atomic_int stop;   /* shutdowns asked for: 1, or 2 for at once */
	atomic_int places; /* of max_connections that are taken: requests of all workers,
	                      and what they are just accepting */
	_Atomic uint64_t accepted; /* these two are members of struct sks_stats */
	_Atomic uint64_t finished;
};

struct sks_service {
	struct sks_handler handler;
	char name[64];              /* what handler.name points to */
	struct sks_options options; /* no zero stands for a default any more */
	struct sks_times times;
	struct sks_server *server;  /* NULL: served without one */
	atomic_int hurry;            /* being freed: finish has no time */
	struct sks_log_limit errors; /* of the default on_error */
	struct sks_log_limit blocks;

	/* The other members of struct sks_stats, from several threads. */
	_Atomic uint64_t lingering;
	_Atomic uint64_t failed;
	_Atomic uint64_t refused;
	_Atomic uint64_t datagrams;
	_Atomic uint64_t truncated;
	_Atomic uint64_t dropped;
	_Atomic uint64_t blocked;
	struct sks_shared *shared;
};

static inline void
sks_count(_Atomic uint64_t *counter, int change)
{
	atomic_fetch_add_explicit(counter, (uint64_t)(int64_t)change, memory_order_relaxed);
}

/* One that only this thread changes: no lock is needed. */
static inline void
sks_count_alone(atomic_int *counter, int change)
{
	atomic_store_explicit(counter,
	    atomic_load_explicit(counter, memory_order_relaxed) + change, memory_order_relaxed);
}

/*
 * Copies handler and options as their callers know them and fills in the
 * defaults; options may be NULL. -1: EINVAL or E2BIG, after one line in the log, or
 * ENOMEM.
 */
int sks_service_init(struct sks_service *service, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size);

/* Fine for a service of zeroes, or one whose init failed. */
void sks_service_end(struct sks_service *service);

#endif
