/* SPDX-License-Identifier: MIT */
/*
 * util.h - the few macros that every room uses.
 */
#ifndef SKS_BASE_UTIL_H
#define SKS_BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* Returns the structure of type `type` whose member `member` is at ptr. */
#define sks_container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define SKS_ALWAYS_INLINE inline __attribute__((always_inline))

#define SKS_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define SKS_CACHE_LINE 64

/*
 * Asks the caches for what is needed soon; any pointer will do. Inlined at all
 * costs, as are those who call nothing else: gcc takes a function without other
 * effects for one that need not be called.
 */
static SKS_ALWAYS_INLINE void
sks_fetch(const void *at, int lines)
{
	int i;

	for (i = 0; i < lines; i++)
		__builtin_prefetch((const char *)at + i * SKS_CACHE_LINE);
}

static inline size_t
sks_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t
sks_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline int64_t
sks_min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t
sks_max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

#endif
