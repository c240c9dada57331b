/* SPDX-License-Identifier: MIT */
/*
 * socketserver/channel.h - a bounded queue between tasks: fibers of one loop
 * or of several, and threads.
 *
 * Python: queue.Queue(maxsize), with close() as Queue.shutdown().
 *
 * Items are copied in and out, in order. A send that finds the channel full
 * and a receive that finds it empty wait, each in the order of asking. Not
 * between processes: each child has a copy of its own.
 */
#ifndef SOCKETSERVER_CHANNEL_H
#define SOCKETSERVER_CHANNEL_H

#include <socketserver/export.h>
#include <stddef.h>

SKS_BEGIN_DECLS

struct sks_channel;

/*
 * A channel for capacity items (1 or more) of item_size bytes (1 or more).
 * NULL: EINVAL, ENOMEM.
 */
SKS_API struct sks_channel *sks_channel_new(size_t item_size, size_t capacity);

/* NULL is fine. Nobody may use it any more; items left in it are lost. */
SKS_API void sks_channel_free(struct sks_channel *channel);

/*
 * Puts a copy of *item in, waiting while it is full. 0, or -1 and nothing was
 * put in: EPIPE once it is closed, ETIMEDOUT and ECANCELED as for every wait,
 * ENOMEM; EMFILE or ENFILE on a thread.
 */
SKS_API int sks_channel_send(struct sks_channel *channel, const void *item) SKS_MUST_CHECK;

/*
 * Takes the oldest item, waiting while there is none. 1: *item has it. 0: the
 * channel is closed and empty. -1: as above.
 */
SKS_API int sks_channel_recv(struct sks_channel *channel, void *item) SKS_MUST_CHECK;

/*
 * No more items: sends answer EPIPE, also those that wait; receives get what is
 * there, then 0. From any thread, never waits; again it changes nothing.
 */
SKS_API void sks_channel_close(struct sks_channel *channel);

SKS_END_DECLS

#endif
