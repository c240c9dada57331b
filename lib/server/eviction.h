/* SPDX-License-Identifier: MIT */
/*
 * eviction.h - a full server ends a connection that it waits for, to make room for a client that
 * waits for it (make_room_ms).
 *
 * A client waits in the kernel's queue, for a listener that has paused; or its call waits in the
 * executor's. A worker has one timer for both, by which it looks again.
 *
 * The functions run on the worker's thread, except where they say otherwise.
 */
#ifndef SKS_SERVER_EVICTION_H
#define SKS_SERVER_EVICTION_H

#include "server/worker.h"

enum sks_room {
	SKS_ROOM_NONE, /* nobody has been waited for so long */
	SKS_ROOM_SOON, /* one was told to end, or a worker was asked, now or a moment ago */
	SKS_ROOM_NOW   /* one has ended */
};

/*
 * The milliseconds between two looks of a worker; and for how long a task that was told to end, or
 * a worker that was asked, is waited for before another one is. Only tests change these.
 */
extern int sks_evict_look_ms;
extern int sks_evict_end_ms;

/* Prepares the timer of a worker. */
void sks_evict_init(struct sks_worker *worker);

/*
 * Has worker->woken called soon, since a listener of the worker has paused: then the listener looks
 * again whether a client waits.
 */
void sks_evict_look_again(struct sks_worker *worker);

/* Returns 1 until worker->woken is called so. */
int sks_evict_is_to_look(const struct sks_worker *worker);

/*
 * A call waits for its turn: ends one of this worker that has a task, and looks again soon, for as
 * long as a call waits.
 */
void sks_evict_for_call(struct sks_worker *worker);

/*
 * Ends the connection of this worker that keeps it waiting the longest. What is lacking is a place
 * or a descriptor; or, with needs_task, a task: then only those that have one are looked at.
 */
enum sks_room sks_evict(struct sks_worker *worker, int needs_task);

/*
 * From any worker's thread: asks n workers, from this one on, until one of them has a connection to
 * end. A worker on another thread goes on with those behind it (SKS_ROOM_SOON).
 */
enum sks_room sks_evict_one_of(struct sks_worker *worker, int n, int needs_task);

/* The worker's loop was woken: does what others have asked for. */
void sks_evict_asked(struct sks_worker *worker);

#endif
