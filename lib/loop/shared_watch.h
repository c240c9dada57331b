/* SPDX-License-Identifier: MIT */
/*
 * shared_watch.h - the watch of a socket that belongs to no loop.
 *
 * A server's connection lives and dies on its loop, and so does its watch. The socket
 * of a client may be kept in a handler's data, be used on several loops and on
 * threads, and be closed when all of them are gone. Its watch is attached to the loop
 * whose fiber first waits for its input, and stays there until the socket is closed or
 * that loop ends. Tasks elsewhere wait for the same socket without a watch, which
 * takes two calls of epoll_ctl(2) for each wait.
 *
 * Any thread may close the socket while the loop runs. Then the descriptor is taken out
 * of the loop's epoll set at once. The memory of the watch may stand in the list that
 * the loop works through just then, so the loop itself frees it.
 *
 * In a child process they are copies, which leave those of the parent alone (watch.h).
 */
#ifndef SKS_LOOP_SHARED_WATCH_H
#define SKS_LOOP_SHARED_WATCH_H

#include "base/list.h"
#include "loop/watch.h"

#include <stdatomic.h>

struct sks_shared_watch;

/* The shared watches of one loop. */
struct sks_shared_watches {
	struct sks_watch_set *watches;
	struct sks_list attached;
	struct sks_list closed;  /* by other threads; the loop is to free their memory */
	atomic_int some_closed;
};

/* Makes an empty set of them for the loop that has these watches. */
void sks_shared_watches_init(struct sks_shared_watches *all, struct sks_watch_set *watches);

/* Frees those that other threads have closed. On the loop's thread, while it wakes no watch. */
void sks_shared_watches_reap(struct sks_shared_watches *all);

/* The loop ends: detaches them, so that they may be another loop's. Before its watch set ends. */
void sks_shared_watches_end(struct sks_shared_watches *all);

/*
 * Returns the watch with which the current fiber may wait for input of fd. *at is the
 * socket's, NULL at first, and for one reader at a time; mine are those of the fiber's
 * loop (sks_loop_shared_watches()). NULL: mine is NULL, as no fiber calls; the watch is
 * attached to another loop; a fiber waits with it already; or there is no memory.
 */
struct sks_watch *sks_shared_watch_get(struct sks_shared_watch **at, int fd,
    struct sks_shared_watches *mine);

/*
 * Ends the watch of a socket, from any thread, before fd is closed or given away. *at may be NULL.
 * mine are those of the calling fiber's loop, or NULL.
 */
void sks_shared_watch_close(struct sks_shared_watch **at, const struct sks_shared_watches *mine);

#endif
