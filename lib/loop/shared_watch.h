/* SPDX-License-Identifier: MIT */
/*
 * shared_watch.h - the watch of a socket that belongs to no loop.
 *
 * A server's connection lives and dies on its loop, and so does its watch. A
 * client may be kept in a handler's data, used on several loops and in threads,
 * and closed when all of them are gone. Its socket becomes the guest of the loop
 * whose fiber first waits for its input, and stays there, watched, until it is
 * closed or that loop goes. Whoever else waits for it does so without a watch
 * (two calls of epoll_ctl(2) for each wait), which is right everywhere.
 *
 * Leaving is the hard part, as it may happen on any thread while the loop runs.
 * The descriptor is taken out of the loop's set at once, before it is closed;
 * the memory, which may stand in the batch that the loop serves just then, is
 * freed by the loop.
 *
 * Not for a forked child to leave: the set is shared with its parent.
 */
#ifndef SKS_LOOP_SHARED_WATCH_H
#define SKS_LOOP_SHARED_WATCH_H

#include "base/list.h"
#include "loop/watch.h"

#include <stdatomic.h>

struct sks_guest;

/* Those of one loop. */
struct sks_guests {
	struct sks_watch_set *watches;
	struct sks_list here;
	struct sks_list gone;   /* left on other threads; their memory is to be freed */
	atomic_int some_gone;
};

void sks_guests_init(struct sks_guests *guests, struct sks_watch_set *watches);

/* On the loop's thread, while nothing of a batch is left to be served. */
void sks_guests_reap(struct sks_guests *guests);

/* Before its watches end: guests become nobody's, and may be another loop's later. */
void sks_guests_end(struct sks_guests *guests);

/*
 * Returns the watch with which a fiber may wait for input of fd. NULL: another loop
 * has the guest, a fiber waits on it already, or there is no memory. mine are the
 * guests of the calling fiber's loop (sks_loop_guests()); NULL where no fiber calls,
 * and then NULL is returned. *at is the socket's, NULL at first, and is for one
 * reader at a time.
 */
struct sks_watch *sks_guest_watch(struct sks_guest **at, int fd, struct sks_guests *mine);

/* From any thread, always before fd is closed or given away. mine as above. */
void sks_guest_leave(struct sks_guest **at, const struct sks_guests *mine);

#endif
