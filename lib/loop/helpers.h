/* SPDX-License-Identifier: MIT */
/*
 * helpers.h - helper threads for what blocks, so that a loop need not.
 *
 * There are two pools for the whole process, not one for each loop: how much blocking work a
 * machine bears does not grow with the number of loops. They are two because look-ups of
 * names depend on somebody else's server. When that is dead, tasks that look up a name must
 * not take the threads of those that do not.
 *
 * When the last user of the pools has released them their threads are joined. Users are the
 * loops, and plain threads while they wait for work. Work that its owner has detached is not
 * waited for, since it may hold locks of the C library until it has ended.
 */
#ifndef SKS_LOOP_HELPERS_H
#define SKS_LOOP_HELPERS_H

#include "loop/thread_pool.h"

extern struct sks_thread_pool sks_helpers_offload; /* 32 threads; 1024 works may wait for one */
extern struct sks_thread_pool sks_helpers_resolve; /* 64 threads; no work waits */

#define SKS_HELPERS_LOOKUPS 64

/* Any thread may submit work between its calls of these two. The last release joins the threads. */
void sks_helpers_retain(void);
void sks_helpers_release(void);

#endif
