/* SPDX-License-Identifier: MIT */
/*
 * buf.h - the byte buffer of a stream, and the pool that its memory comes from.
 *
 * A buffer knows memory and nothing of descriptors or waiting. Its unread
 * bytes are base[start..end); a reader fills base[end..cap) after a reserve,
 * and adds to end what it put there. One byte beyond cap is always allocated,
 * so that a NUL can stand after the last unread byte.
 *
 *     if (sks_buf_reserve(buf, pool, SKS_BUF_LARGE) == -1)
 *             return -1;
 *     n = sks_sys_recv(fd, buf->base + buf->end, buf->cap - buf->end, 0);
 *     if (n > 0)
 *             buf->end += (size_t)n;
 *
 * Memory comes in classes: 256 B, 2 KiB, SKS_BUF_LARGE and its doubles. A buffer
 * without memory is all zeroes, and so is a new pool.
 */
#ifndef SKS_BASE_BUF_H
#define SKS_BASE_BUF_H

#include "base/memory.h"
#include "base/util.h"

#include <stdatomic.h>
#include <stddef.h>

struct sks_buf {
	unsigned char *base; /* NULL: no memory held */
	size_t start;        /* the first unread byte */
	size_t end;          /* after the last unread byte */
	size_t cap;          /* bytes at base, without the one spare */
};

/* A peer's block of 16 KiB does not fill this, so a short read says that no more is there. */
#define SKS_BUF_LARGE (16384 + 64)
#define SKS_BUF_MIDDLE 2048
#define SKS_BUF_SMALL 256
#define SKS_BUF_CLASSES 9   /* of which pools keep pieces, up to 64 times SKS_BUF_LARGE */
#define SKS_BUF_IDLE_MAX 32 /* idle pieces that a pool has room for, of each class */

/* 0 where AddressSanitizer or valgrind watches, so that misuse is seen: no pool keeps anything. */
extern int sks_buf_is_pooled;

/* The idle memory of one thread (one loop), which alone changes it; others may read the counts. */
struct sks_buf_pool {
	unsigned char *idle[SKS_BUF_CLASSES][SKS_BUF_IDLE_MAX];
	atomic_size_t idle_count[SKS_BUF_CLASSES];
};

/* What sks_buf_class() returns for more than SKS_BUF_LARGE bytes. */
size_t sks_buf_class_above(size_t size);

/* Returns the class with pieces of at least size bytes; SKS_BUF_CLASSES: there is none. */
static inline size_t
sks_buf_class(size_t size)
{
	if (size <= SKS_BUF_SMALL)
		return 0;
	if (size <= SKS_BUF_MIDDLE)
		return 1;
	return size <= SKS_BUF_LARGE ? 2 : sks_buf_class_above(size);
}

static inline size_t
sks_buf_class_size(size_t class)
{
	if (class < 2)
		return class == 0 ? SKS_BUF_SMALL : SKS_BUF_MIDDLE;
	return (size_t)SKS_BUF_LARGE << (class - 2);
}

/*
 * Returns how many idle pieces of a class a pool keeps: 32 of SKS_BUF_LARGE and less, half a MiB or
 * one of the others. With max_memory it keeps none of those, which would fill it while nobody has
 * them.
 */
static inline size_t
sks_buf_idle_of(size_t class)
{
	static const unsigned char most[SKS_BUF_CLASSES] = { 32, 32, 32, 16, 8, 4, 2, 1, 1 };

	if (!sks_buf_is_pooled || (class > 2 && sks_memory_has_bound()))
		return 0;
	return most[class];
}

static inline size_t
sks_buf_pool_count(const struct sks_buf_pool *pool, size_t class)
{
	return atomic_load_explicit(&pool->idle_count[class], memory_order_relaxed);
}

/* On the pool's own thread, so that neither a lock nor an atomic addition is needed. */
static inline void
sks_buf_pool_set_count(struct sks_buf_pool *pool, size_t class, size_t n)
{
	atomic_store_explicit(&pool->idle_count[class], n, memory_order_relaxed);
}

/* Takes an idle piece for size bytes. NULL: there is none. */
static inline unsigned char *
sks_buf_pool_get(struct sks_buf_pool *pool, size_t size)
{
	size_t class = sks_buf_class(size), n;

	if (pool == NULL || class == SKS_BUF_CLASSES || (n = sks_buf_pool_count(pool, class)) == 0)
		return NULL;
	sks_buf_pool_set_count(pool, class, n - 1);
	return pool->idle[class][n - 1];
}

/* Offers a piece of that class' own size that is no longer used. 0: the pool does not take it. */
static inline int
sks_buf_pool_put(struct sks_buf_pool *pool, unsigned char *piece, size_t size)
{
	size_t class = sks_buf_class(size), n;

	if (pool == NULL || class == SKS_BUF_CLASSES ||
	    (n = sks_buf_pool_count(pool, class)) >= sks_buf_idle_of(class))
		return 0;
	pool->idle[class][n] = piece;
	sks_buf_pool_set_count(pool, class, n + 1);
	return 1;
}

static inline size_t
sks_buf_length(const struct sks_buf *buf)
{
	return buf->end - buf->start;
}

/*
 * Below, pool is that of the calling thread, or NULL for malloc and free alone.
 * A buffer filled with one pool may be released to another or to none.
 */

/* The slow path of sks_buf_reserve(). */
int sks_buf_grow(struct sks_buf *buf, struct sks_buf_pool *pool, size_t room);

/*
 * Makes base[end..end + room) writable. The unread bytes may move, to the
 * front or to other memory: pointers into the buffer are void. -1 ENOMEM: the
 * buffer is as it was.
 */
static inline int
sks_buf_reserve(struct sks_buf *buf, struct sks_buf_pool *pool, size_t room)
{
	if (buf->base == NULL) {
		buf->base = sks_buf_pool_get(pool, room);
		if (buf->base != NULL) {
			buf->cap = sks_buf_class_size(sks_buf_class(room)); /* the rest is zero */
			return 0;
		}
	} else if (room <= buf->cap - buf->end) {
		return 0;
	}
	return sks_buf_grow(buf, pool, room);
}

/*
 * The first n unread bytes are read; n is at most the length. No byte moves,
 * but in an emptied buffer start and end are 0 again.
 */
static inline void
sks_buf_consume(struct sks_buf *buf, size_t n)
{
	buf->start += n;
	/* From the front again, so that most reads find the whole piece free. */
	if (buf->start == buf->end)
		buf->start = buf->end = 0;
}

/* Frees memory of a buffer, of cap bytes, that no pool takes. */
void sks_buf_free(unsigned char *base, size_t cap);

/* Gives the memory back; unread bytes are lost. */
static inline void
sks_buf_release(struct sks_buf *buf, struct sks_buf_pool *pool)
{
	if (buf->base != NULL && !sks_buf_pool_put(pool, buf->base, buf->cap))
		sks_buf_free(buf->base, buf->cap);
	*buf = (struct sks_buf){ 0 };
}

/* The slow path of sks_buf_shrink(). */
void sks_buf_squeeze(struct sks_buf *buf, struct sks_buf_pool *pool);

/*
 * Before a long wait: an empty buffer gives its memory back, a few bytes move
 * to the smallest class that holds them. Where there is no memory for that, all
 * stays as it is.
 */
static inline void
sks_buf_shrink(struct sks_buf *buf, struct sks_buf_pool *pool)
{
	if (sks_buf_length(buf) == 0)
		sks_buf_release(buf, pool);
	else
		sks_buf_squeeze(buf, pool);
}

/* Puts a piece for size bytes into a new pool, if there is memory for that. */
void sks_buf_pool_stock(struct sks_buf_pool *pool, size_t size);

/* Returns how many bytes are idle. Any thread. */
size_t sks_buf_pool_idle(const struct sks_buf_pool *pool);

/* Frees all idle memory. The pool can be used on. */
void sks_buf_pool_drain(struct sks_buf_pool *pool);

#endif
