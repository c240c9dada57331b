/* SPDX-License-Identifier: MIT */
/*
 * eviction.h - a full server ends a connection that it waits for, to make room for a client that
 * waits for it (make_room_ms).
 *
 * The functions run on the worker's thread, except where they say otherwise.
 */
#ifndef SKS_SERVER_EVICTION_H
#define SKS_SERVER_EVICTION_H

#include "server/worker.h"

enum sks_room {
	SKS_ROOM_NONE, /* nobody has been waited for so long */
	SKS_ROOM_SOON, /* one was told to end, and will when its handler has returned */
	SKS_ROOM_NOW   /* one has ended */
};

/*
 * Ends the connection of this worker that keeps it waiting the longest. What is lacking is a place
 * or a descriptor; or, with needs_task, a task: then only those that have one are looked at.
 */
enum sks_room sks_evict(struct sks_worker *worker, int needs_task);

/* Does so, on the thread of that worker: from any other one it is done soon (SKS_ROOM_SOON). */
enum sks_room sks_evict_on(struct sks_worker *worker, int needs_task);

/* The worker's loop was woken: does what others have asked for. */
void sks_evict_asked(struct sks_worker *worker);

#endif
