/* SPDX-License-Identifier: MIT */
/*
 * unsent.h - the bytes of an outbox that wait to be sent, in order: first those in a buffer
 * of its own, then pieces.
 *
 * A piece is a part of a block. The block of a post to a group is in the queues of all
 * members, counted, so that its bytes are copied once, and are in memory once however
 * many members read slowly. Bytes that are added behind a piece go into a block of the
 * queue's own, with room for more: many small ones cost no more memory than their bytes. To
 * 1,000 members a post of 10 bytes costs 1.00 of 1,000 calls of sks_post(), and a post of 1,000
 * bytes 0.11 of them (see tests/bench/group_post.c).
 *
 * It knows memory and nothing of sockets or locks; only the counter of a block may be
 * changed by several threads at once.
 */
#ifndef SKS_STREAM_UNSENT_H
#define SKS_STREAM_UNSENT_H

#include "base/buf.h"

#include <stdatomic.h>
#include <sys/uio.h>

struct sks_block {
	atomic_int users; /* the pieces of it, and its maker; the last user frees it */
	size_t n;         /* bytes that it has */
	size_t room;      /* bytes that may be added behind these; 0 in a block that is shared */
	unsigned char bytes[];
};

/* Makes a copy of n bytes, with room for `room` more. Its one user is the caller. NULL: ENOMEM. */
struct sks_block *sks_block_new(const void *bytes, size_t n, size_t room);

/* Drops one user of a block. */
void sks_block_release(struct sks_block *block);

struct sks_piece {
	struct sks_piece *next;
	struct sks_block *block;
	size_t sent; /* so many bytes of the block are sent */
};

/* An empty one is all zero, but for `single`. */
struct sks_unsent {
	struct sks_buf buf;             /* the first bytes */
	struct sks_piece *first, *last; /* the bytes behind those in buf */
	size_t behind;                  /* bytes in pieces */
	struct sks_piece single;        /* memory of the first piece, mostly the only one */
};

#define SKS_UNSENT_IOV 8 /* parts that one write takes */

static inline size_t
sks_unsent_length(const struct sks_unsent *u)
{
	return sks_buf_length(&u->buf) + u->behind;
}

/*
 * Adds a copy of n bytes. pool is that of the calling thread, or NULL. 0, or -1: ENOMEM, and
 * nothing has changed.
 */
int sks_unsent_add(struct sks_unsent *u, struct sks_buf_pool *pool, const void *bytes, size_t n);

/*
 * Adds the bytes of a block, which gets one user more where they are not copied. pool and what it
 * returns are those of sks_unsent_add().
 */
int sks_unsent_add_block(struct sks_unsent *u, struct sks_buf_pool *pool, struct sks_block *block);

/*
 * Adds the bytes of *rest before all others; they may move. Afterwards *rest holds other memory, or
 * none, which its caller releases. 0, or -1: ENOMEM, and no byte is lost.
 */
int sks_unsent_add_before(struct sks_unsent *u, struct sks_buf_pool *pool, struct sks_buf *rest);

/* The first parts, for a write. Returns how many they are; 0: it is empty. */
int sks_unsent_parts(const struct sks_unsent *u, struct iovec iov[SKS_UNSENT_IOV]);

/* Drops the first n bytes, which were sent; n is at most the length. */
void sks_unsent_consume(struct sks_unsent *u, size_t n);

/* Gives all memory back; unsent bytes are lost. */
void sks_unsent_release(struct sks_unsent *u, struct sks_buf_pool *pool);

#endif
