/* SPDX-License-Identifier: MIT */
/*
 * buf.c - byte buffers in three sizes, with a pool of idle ones.
 *
 * A connection holds buffer memory only while it has bytes in it or a call
 * that uses it, so memory changes hands at nearly every wait. Hence the pool:
 * a stack for each class, last in first out, so that the piece handed out is
 * the one still in the cache. Pointers, not a list through the idle memory:
 * that would fetch what is about to be written over.
 *
 * It keeps at most 64 pieces of a class: more of them idle at once means that
 * a burst is over, and then the memory is worth more to the process. Larger
 * pieces are rare (a long line, a slow reader) and always go back to malloc.
 *
 * Not one ring for each connection: a line must lie in one piece, because the
 * handler gets a pointer to it. Sliding the rest to the front costs a copy of
 * what is unread, and only when the end of the memory is reached.
 *
 * A pool hides the use of released memory from the tools. Under
 * AddressSanitizer there is none; valgrind is told that idle memory is not to
 * be touched.
 */
#include "base/buf.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITHOUT_POOL 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITHOUT_POOL 1
#endif
#endif
#ifndef WITHOUT_POOL
#define WITHOUT_POOL 0
#endif

#if defined(__has_include) && !WITHOUT_POOL
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_MAKE_MEM_NOACCESS
#define VALGRIND_MAKE_MEM_NOACCESS(at, n) ((void)(at), (void)(n))
#define VALGRIND_MAKE_MEM_UNDEFINED(at, n) ((void)(at), (void)(n))
#define RUNNING_ON_VALGRIND 0
#endif

/* Asked once: a request to valgrind costs as much as all else in here. */
static int on_valgrind;

__attribute__((constructor)) static void
look_for_valgrind(void)
{
	on_valgrind = RUNNING_ON_VALGRIND != 0;
}

/* Functions of their own, as each request takes much of the stack. */
static __attribute__((noinline, cold)) void
tell_valgrind_used(void *base, size_t cap)
{
	VALGRIND_MAKE_MEM_UNDEFINED(base, cap + 1);
}

static __attribute__((noinline, cold)) void
tell_valgrind_idle(unsigned char *base, size_t cap)
{
	VALGRIND_MAKE_MEM_NOACCESS(base, cap + 1);
}

static const size_t class_size[SKS_BUF_CLASSES] = { 256, 2048, SKS_BUF_LARGE };

/* The class with pieces of at least size bytes; SKS_BUF_CLASSES: none. */
static size_t
class_for(size_t size)
{
	if (size > class_size[1])
		return size > class_size[2] ? SKS_BUF_CLASSES : 2;
	return size > class_size[0] ? 1 : 0;
}

/* The size of the piece that holds size bytes, or 0 when none can. */
static size_t
piece_size(size_t size)
{
	size_t class = class_for(size), cap;

	if (class < SKS_BUF_CLASSES)
		return class_size[class];
	for (cap = class_size[SKS_BUF_CLASSES - 1]; cap < size; cap *= 2)
		if (cap > SIZE_MAX / 4)
			return 0;
	return cap;
}

/* NULL: none is idle. */
static unsigned char *
idle_get(struct sks_buf_pool *pool, size_t class)
{
	unsigned char *idle;

	if (pool == NULL || class == SKS_BUF_CLASSES || pool->idle_count[class] == 0)
		return NULL;
	idle = pool->idle[class][--pool->idle_count[class]];
	if (__builtin_expect(on_valgrind, 0))
		tell_valgrind_used(idle, class_size[class]);
	return idle;
}

static unsigned char *
piece_get(struct sks_buf_pool *pool, size_t cap)
{
	unsigned char *piece = idle_get(pool, class_for(cap));

	return piece != NULL ? piece : sks_sys_malloc(cap + 1);
}

static void
piece_put(struct sks_buf_pool *pool, unsigned char *base, size_t cap)
{
	size_t class = class_for(cap);

	if (WITHOUT_POOL || pool == NULL || class == SKS_BUF_CLASSES ||
	    pool->idle_count[class] == SKS_BUF_IDLE_MAX) {
		sks_sys_free(base);
		return;
	}
	pool->idle[class][pool->idle_count[class]++] = base;
	if (__builtin_expect(on_valgrind, 0))
		tell_valgrind_idle(base, cap);
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
		piece_put(pool, buf->base, buf->cap);
	}
	buf->base = base;
	buf->start = 0;
	buf->end = length;
	buf->cap = cap;
	return 0;
}

static int
grow_slowly(struct sks_buf *buf, struct sks_buf_pool *pool, size_t room)
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

int
sks_buf_grow(struct sks_buf *buf, struct sks_buf_pool *pool, size_t room)
{
	size_t class = class_for(room);
	unsigned char *piece = buf->base == NULL ? idle_get(pool, class) : NULL;

	if (piece == NULL)
		return grow_slowly(buf, pool, room);
	buf->base = piece; /* the rest is zero */
	buf->cap = class_size[class];
	return 0;
}

void
sks_buf_release(struct sks_buf *buf, struct sks_buf_pool *pool)
{
	if (buf->base != NULL)
		piece_put(pool, buf->base, buf->cap);
	*buf = (struct sks_buf){ 0 };
}

void
sks_buf_shrink(struct sks_buf *buf, struct sks_buf_pool *pool)
{
	size_t length = sks_buf_length(buf);
	int saved;

	if (length == 0) {
		sks_buf_release(buf, pool);
		return;
	}
	saved = errno;
	if (piece_size(length) < buf->cap && move_to(buf, pool, piece_size(length)) == -1)
		errno = saved;
}

void
sks_buf_pool_stock(struct sks_buf_pool *pool, size_t size)
{
	struct sks_buf piece = { 0 };

	(void)sks_buf_reserve(&piece, pool, size);
	sks_buf_release(&piece, pool);
}

void
sks_buf_pool_drain(struct sks_buf_pool *pool)
{
	size_t class;

	for (class = 0; class < SKS_BUF_CLASSES; class++)
		while (pool->idle_count[class] > 0)
			sks_sys_free(pool->idle[class][--pool->idle_count[class]]);
}
