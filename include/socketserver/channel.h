/* SPDX-License-Identifier: MIT */
/*
 * socketserver/channel.h - a queue with a bound between tasks: fibers of one loop
 * or of several, and threads.
 *
 * Python: queue.Queue(maxsize), with shutdown() as close.
 *
 * Items are copied into the channel and out of it, in order. A send to a full
 * channel and a receive from an empty one wait, each in the order of asking. A
 * channel is not shared between processes: each child has a copy, for which no task
 * waits.
 *
 * A channel is also a pool, as of connections to a database: whoever needs one receives
 * it, waiting until one is free, and sends it back afterwards, a new one in the place
 * of one that broke. The item is a struct sks_client *.
 */
#ifndef SOCKETSERVER_CHANNEL_H
#define SOCKETSERVER_CHANNEL_H

#include <socketserver/export.h>
#include <stddef.h>

SKS_BEGIN_DECLS

struct sks_channel;

/*
 * Makes a channel for capacity items of item_size bytes, both at least 1.
 * Returns it, or NULL: EINVAL, ENOMEM.
 */
SKS_API struct sks_channel *sks_channel_new(size_t item_size, size_t capacity);

/*
 * Frees a channel, which no task may be using any more. Items in it are lost. NULL
 * is fine.
 */
SKS_API void sks_channel_free(struct sks_channel *channel);

/*
 * Puts a copy of *item in. May wait, while the channel is full.
 * Returns 0, or -1, and nothing was put in: EPIPE when it is closed; ETIMEDOUT,
 * ECANCELED and ENOMEM as all calls that may wait; on a thread EMFILE or ENFILE,
 * since a thread that waits needs a descriptor. Python: put().
 */
SKS_API int sks_channel_send(struct sks_channel *channel, const void *item) SKS_MUST_CHECK;

/*
 * Takes the oldest item into *item. May wait, while there is none.
 * Returns 1; 0 when the channel is closed and empty; or -1, and nothing was taken:
 * ETIMEDOUT, ECANCELED, ENOMEM, and on a thread EMFILE or ENFILE. Python: get().
 */
SKS_API int sks_channel_recv(struct sks_channel *channel, void *item) SKS_MUST_CHECK;

/*
 * The same without waiting: EAGAIN where sks_channel_send() or sks_channel_recv()
 * would wait. sks_channel_trysend() returns 0, or -1: EAGAIN when the channel is full,
 * EPIPE when it is closed. sks_channel_tryrecv() returns 1; 0 when the channel is
 * closed and empty; or -1: EAGAIN when it is empty. Python: put_nowait(),
 * get_nowait().
 */
SKS_API int sks_channel_trysend(struct sks_channel *channel, const void *item) SKS_MUST_CHECK;
SKS_API int sks_channel_tryrecv(struct sks_channel *channel, void *item) SKS_MUST_CHECK;

/*
 * Closes a channel: sends fail with EPIPE from now on, also those that wait, and
 * receives get what is in it and then 0. Closing it again changes nothing. Any
 * task may call it. Python: shutdown().
 */
SKS_API void sks_channel_close(struct sks_channel *channel);

SKS_END_DECLS

#endif
