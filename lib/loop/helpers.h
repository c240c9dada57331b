/* SPDX-License-Identifier: MIT */
/*
 * helpers.h - helper threads for what blocks, so that a loop need not.
 *
 * There are two pools for the whole process, not one for each loop: how much blocking work a
 * machine bears does not grow with the number of loops. They are two because look-ups of
 * names depend on somebody else's server. When that is dead, tasks that look up a name must
 * not take the threads of those that do not.
 *
 * A thread is made when work finds none idle, is kept idle for ten seconds, and has signals
 * blocked. When the last user of the pools has released them their threads are joined. Users
 * are the loops, and plain threads while they wait for work. Work that its owner has detached
 * is not waited for: its thread ends by itself when the work is done. (It could not be ended
 * before that, as it may hold locks of the C library.)
 *
 * All calls may be made on any thread.
 */
#ifndef SKS_LOOP_HELPERS_H
#define SKS_LOOP_HELPERS_H

#include "base/list.h"

struct sks_helpers;

extern struct sks_helpers sks_helpers_offload; /* 32 threads; 1024 works may wait for one */
extern struct sks_helpers sks_helpers_resolve; /* 64 threads; no work waits */

#define SKS_HELPERS_LOOKUPS 64

struct sks_work {
	struct sks_list link;
	void (*run)(struct sks_work *);  /* on a thread of the pool */
	void (*done)(struct sks_work *); /* after run, on the same thread; may free the work */
	int detached;                    /* the pool's */
};

/* Around the time in which the caller may submit work. The last release joins the threads. */
void sks_helpers_retain(void);
void sks_helpers_release(void);

/* Has the work done. 0, or -1: EAGAIN (too much work waits, or there can be no thread); ENOMEM. */
int sks_helpers_submit(struct sks_helpers *pool, struct sks_work *work);

/* 1: the work had not begun, and never will; done is not called. 0: it has begun. */
int sks_helpers_cancel(struct sks_helpers *pool, struct sks_work *work);

/* Nobody waits for the work any more. Its done must not have been called yet. */
void sks_helpers_detach(struct sks_helpers *pool, struct sks_work *work);

#endif
