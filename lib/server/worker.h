/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one loop of a server, with the requests that live on it.
 *
 * Listeners give it descriptors and datagrams; connections and datagrams are
 * its members. It only counts and lists; what they do is in their own files.
 */
#ifndef SKS_SERVER_WORKER_H
#define SKS_SERVER_WORKER_H

#include "server/executor.h"
#include "server/service.h"

struct sks_worker {
	struct sks_loop *loop;
	struct sks_executor *executor;
	struct sks_service *service;
	struct sks_list parked;    /* connections between exchanges */
	struct sks_list busy;      /* connections queued or in their handler */
	struct sks_list lingering; /* connections being flushed and closed */
	int open;                  /* requests of all kinds */
	void (*released)(struct sks_worker *); /* one of them is gone; set by the owner */
	void *owner;
};

#endif
