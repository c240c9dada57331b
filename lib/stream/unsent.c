/* SPDX-License-Identifier: MIT */
#include "stream/unsent.h"

#include "base/memory.h"
#include "base/sys.h"
#include "base/tools.h"

#include <string.h>

#define OWN_ROOM 2048 /* bytes of a new block of the queue's own */
/* Behind other unsent bytes a block of so few is copied, since a piece would cost more memory. */
#define COPY_MOST 256

struct sks_block *
sks_block_new(const void *bytes, size_t n, size_t room)
{
	struct sks_block *block = sks_sys_malloc(sizeof(*block) + n + room);

	if (block == NULL)
		return NULL;
	sks_memory_count((int64_t)(n + room));
	atomic_init(&block->users, 1);
	block->n = n;
	block->room = room;
	if (n > 0)
		memcpy(block->bytes, bytes, n);
	return block;
}

void
sks_block_release(struct sks_block *block)
{
	sks_tell_release(block);
	if (atomic_fetch_sub(&block->users, 1) > 1)
		return;
	sks_tell_acquire(block);
	sks_memory_count(-(int64_t)(block->n + block->room));
	sks_sys_free(block);
}

static int
add_to_buf(struct sks_buf *to, struct sks_buf_pool *pool, const void *bytes, size_t n)
{
	if (n == 0)
		return 0;
	if (sks_buf_reserve(to, pool, n) == -1)
		return -1;
	memcpy(to->base + to->end, bytes, n);
	to->end += n;
	return 0;
}

/* Adds a piece of the whole block. The caller's use of it becomes the piece's. -1: ENOMEM. */
static int
add_piece(struct sks_unsent *u, struct sks_block *block)
{
	struct sks_piece *piece = &u->single;

	if (u->first != NULL)
		piece = sks_sys_malloc(sizeof(*piece));
	if (piece == NULL)
		return -1;
	*piece = (struct sks_piece){ .block = block };
	if (u->first == NULL)
		u->first = piece;
	else
		u->last->next = piece;
	u->last = piece;
	u->behind += block->n;
	return 0;
}

/* Adds bytes behind the last piece: in its block, where that has room, or in a new one. */
static int
add_behind(struct sks_unsent *u, const void *bytes, size_t n)
{
	struct sks_block *block = u->last->block;

	if (n <= block->room) {
		memcpy(block->bytes + block->n, bytes, n);
		block->n += n;
		block->room -= n;
		u->behind += n;
		return 0;
	}
	block = sks_block_new(bytes, n, n < OWN_ROOM ? OWN_ROOM - n : 0);
	if (block == NULL)
		return -1;
	if (add_piece(u, block) == 0)
		return 0;
	sks_block_release(block);
	return -1;
}

int
sks_unsent_add(struct sks_unsent *u, struct sks_buf_pool *pool, const void *bytes, size_t n)
{
	if (u->first == NULL)
		return add_to_buf(&u->buf, pool, bytes, n);
	return n > 0 ? add_behind(u, bytes, n) : 0;
}

int
sks_unsent_add_block(struct sks_unsent *u, struct sks_buf_pool *pool, struct sks_block *block)
{
	if (block->n == 0)
		return 0;
	if (block->n <= COPY_MOST && sks_unsent_length(u) > 0)
		return sks_unsent_add(u, pool, block->bytes, block->n);
	if (add_piece(u, block) == -1)
		return -1;
	atomic_fetch_add_explicit(&block->users, 1, memory_order_relaxed);
	return 0;
}

int
sks_unsent_add_before(struct sks_unsent *u, struct sks_buf_pool *pool, struct sks_buf *rest)
{
	struct sks_buf before = u->buf;

	if (add_to_buf(rest, pool, before.base + before.start, sks_buf_length(&before)) == -1)
		return -1;
	u->buf = *rest;
	*rest = before;
	return 0;
}

int
sks_unsent_parts(const struct sks_unsent *u, struct iovec iov[SKS_UNSENT_IOV])
{
	struct sks_piece *piece;
	int n = 0;

	if (sks_buf_length(&u->buf) > 0)
		iov[n++] = (struct iovec){ u->buf.base + u->buf.start, sks_buf_length(&u->buf) };
	for (piece = u->first; piece != NULL && n < SKS_UNSENT_IOV; piece = piece->next)
		iov[n++] = (struct iovec){ piece->block->bytes + piece->sent,
			piece->block->n - piece->sent };
	return n;
}

static void
drop_first(struct sks_unsent *u)
{
	struct sks_piece *piece = u->first;

	u->first = piece->next;
	if (u->first == NULL)
		u->last = NULL;
	sks_block_release(piece->block);
	if (piece != &u->single)
		sks_sys_free(piece);
}

void
sks_unsent_consume(struct sks_unsent *u, size_t n)
{
	size_t from_buf = sks_min(n, sks_buf_length(&u->buf));

	sks_buf_consume(&u->buf, from_buf);
	n -= from_buf;
	u->behind -= n;
	while (n > 0) {
		struct sks_piece *piece = u->first;
		size_t part = sks_min(n, piece->block->n - piece->sent);

		piece->sent += part;
		n -= part;
		if (piece->sent == piece->block->n)
			drop_first(u);
	}
}

void
sks_unsent_release(struct sks_unsent *u, struct sks_buf_pool *pool)
{
	sks_buf_release(&u->buf, pool);
	while (u->first != NULL)
		drop_first(u);
	u->behind = 0;
}
