/* SPDX-License-Identifier: MIT */
/*
 * buf.c - byte buffers, with a pool of idle ones.
 *
 * A connection holds buffer memory only while it has bytes in it or a call
 * that uses it, so memory changes hands at nearly every wait. Hence the pool:
 * a stack for each class, last in first out, so that the piece handed out is
 * the one still in the cache. Pointers, not a list through the idle memory:
 * that would fetch what is about to be written over.
 *
 * It keeps at most half a MiB of each class, or one piece: more of it idle at once means that
 * a burst is over, and then the memory is worth more to the process. Of pieces
 * above 16 KiB too, since malloc(3) gives memory of that size back to the kernel,
 * and each message had to get it anew, page by page: lines of 128 KiB cost 1.21
 * instead of 1.62 of a bare epoll loop, of 1 MiB 1.11 instead of 1.23
 * (sh tests/bench/run.sh --all --only 'iB, 16 connections' BUILD).
 *
 * Not one ring for each connection: a line must lie in one piece, because the
 * handler gets a pointer to it. Sliding the rest to the front costs a copy of
 * what is unread, and only when the end of the memory is reached.
 *
 * A pool hides the use of released memory from the tools: where one of them
 * watches, nothing is kept.
 */
#include "base/buf.h"

#include "base/sys.h"
#include "base/tools.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

int sks_buf_is_pooled = 1;

__attribute__((constructor)) static void
look_for_watchers(void)
{
	if (sks_has_memory_checker())
		sks_buf_is_pooled = 0;
}

size_t
sks_buf_class_above(size_t size)
{
	size_t class = 3;

	while (class < SKS_BUF_CLASSES && sks_buf_class_size(class) < size)
		class++;
	return class;
}

/* The size of the piece that holds size bytes, or 0 when none can. */
static size_t
piece_size(size_t size)
{
	size_t class = sks_buf_class(size), cap;

	if (class < SKS_BUF_CLASSES)
		return sks_buf_class_size(class);
	for (cap = sks_buf_class_size(SKS_BUF_CLASSES); cap < size; cap *= 2)
		if (cap > SIZE_MAX / 4)
			return 0;
	return cap;
}

static unsigned char *
piece_get(struct sks_buf_pool *pool, size_t cap)
{
	unsigned char *piece = sks_buf_pool_get(pool, cap);

	if (piece != NULL)
		return piece;
	piece = sks_sys_malloc(cap + 1);
	if (piece != NULL)
		sks_memory_count((int64_t)cap + 1);
	return piece;
}

/* Moves the unread bytes to a piece of cap bytes, which holds them. */
static int
move_to(struct sks_buf *buf, struct sks_buf_pool *pool, size_t cap)
{
	size_t length = sks_buf_length(buf);
	unsigned char *base = piece_get(pool, cap);

	if (base == NULL)
		return -1;
	if (buf->base != NULL) {
		memcpy(base, buf->base + buf->start, length);
		sks_buf_release(buf, pool);
	}
	buf->base = base;
	buf->start = 0;
	buf->end = length;
	buf->cap = cap;
	return 0;
}

int
sks_buf_grow(struct sks_buf *buf, struct sks_buf_pool *pool, size_t room)
{
	size_t length = sks_buf_length(buf), cap;

	if (buf->base != NULL && room <= buf->cap - length) {
		memmove(buf->base, buf->base + buf->start, length);
		buf->start = 0;
		buf->end = length;
		return 0;
	}
	cap = room > SIZE_MAX - length ? 0 : piece_size(length + room);
	if (cap == 0) {
		errno = ENOMEM;
		return -1;
	}
	return move_to(buf, pool, cap);
}

void
sks_buf_free(unsigned char *base, size_t cap)
{
	sks_memory_count(-(int64_t)cap - 1);
	sks_sys_free(base);
}

void
sks_buf_squeeze(struct sks_buf *buf, struct sks_buf_pool *pool)
{
	size_t least = piece_size(sks_buf_length(buf));
	int error = errno;

	if (least < buf->cap && move_to(buf, pool, least) == -1)
		errno = error;
}

void
sks_buf_pool_stock(struct sks_buf_pool *pool, size_t size)
{
	struct sks_buf piece = { 0 };

	(void)sks_buf_reserve(&piece, pool, size);
	sks_buf_release(&piece, pool);
}

size_t
sks_buf_pool_idle(const struct sks_buf_pool *pool)
{
	size_t class, bytes = 0;

	for (class = 0; class < SKS_BUF_CLASSES; class++)
		bytes += sks_buf_pool_count(pool, class) * sks_buf_class_size(class);
	return bytes;
}

void
sks_buf_pool_drain(struct sks_buf_pool *pool)
{
	unsigned char *piece;
	size_t class, size;

	for (class = 0; class < SKS_BUF_CLASSES; class++) {
		size = sks_buf_class_size(class);
		while ((piece = sks_buf_pool_get(pool, size)) != NULL)
			sks_buf_free(piece, size);
	}
}
