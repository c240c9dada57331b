/* SPDX-License-Identifier: MIT */
/*
 * service.h - what all requests of a server share: its handler, its options
 * with every default filled in, and its counters. An address with a handler of its own
 * has a service beside that of its server.
 */
#ifndef SKS_SERVER_SERVICE_H
#define SKS_SERVER_SERVICE_H

#include "base/network.h"
#include "server/counters.h"
#include "stream/stream.h"

struct sks_service {
	struct sks_handler handler;
	char name[64];              /* what handler.name points to */
	struct sks_options options; /* no zero stands for a default any more */
	struct sks_times times;
	const struct sks_networks *proxies; /* options.proxy_from: own_proxies, */
	struct sks_networks own_proxies; /* or those of the service that this one is beside */
	struct sks_server *server;  /* NULL: served without one */
	struct sks_counters *counters; /* those that a child process has a copy of: own_counters, */
	struct sks_counters own_counters; /* or those of the service that this one is beside */
	struct sks_shared *shared;
	struct sks_peers *peers;    /* NULL: no peer has a limit */
	struct sks_memory_bound *memory; /* NULL: there is no max_memory; else own_memory, */
	struct sks_memory_bound own_memory; /* or that of the service that this one is beside */
	struct sks_list link;       /* of one beside another: in the list of its server */
};

/*
 * Copies handler and options as their callers know them and fills in the
 * defaults; options may be NULL. -1: EINVAL or E2BIG, after one line in the log, or
 * ENOMEM.
 */
int sks_service_init(struct sks_service *service, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size);

/*
 * Makes shared and peers, by the options. 0, or -1 and ENOMEM; sks_service_end_counts() is right in
 * both cases.
 */
int sks_service_begin_counts(struct sks_service *service);
void sks_service_end_counts(struct sks_service *service);

/* Lets a service use the counts of another one, which outlives it. */
void sks_service_share_counts(struct sks_service *service, const struct sks_service *of);

/*
 * A service beside another one, which outlives it: only handler and data are its own. NULL:
 * EINVAL also for a handler that refuses the mode or needs larger stacks than there are, E2BIG,
 * ENOMEM, after one line in the log. Freed by sks_sys_free().
 */
struct sks_service *sks_service_beside(const struct sks_service *service,
    const struct sks_handler *handler, size_t handler_size, void *data);

/*
 * Returns the milliseconds that a finish hook has, and a peer to close: linger_ms, or less in a
 * quick stop.
 */
int sks_service_linger_ms(const struct sks_service *service);

/* Frees what a service has. It may be all zeroes, or one whose init has failed. */
void sks_service_end(struct sks_service *service);

/* Returns 1 when clients that are rejected may be told so, for which a descriptor is in reserve. */
static inline int
sks_service_answers_rejected(const struct sks_service *service)
{
	return service->options.reject_text != NULL || service->options.on_reject != NULL;
}

#endif
