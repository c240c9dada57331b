/* SPDX-License-Identifier: MIT */
/*
 * memory.h - how many bytes of buffers a process has, and a bound for them.
 *
 * They are counted where a buffer comes from malloc(3) or goes back to it, which is seldom, and
 * only when somebody has a bound: what was there before the first bound is not counted, but its
 * end is. The number is that of the process, since most buffers change hands between loops; a
 * bound looks at it. One that is reached stays so until an eighth of it is free again, so that
 * those who wait for memory do not take each byte as it comes.
 *
 * Any thread may call these.
 */
#ifndef SKS_BASE_MEMORY_H
#define SKS_BASE_MEMORY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct sks_memory_bound {
	size_t most;
	atomic_int is_full;
};

extern atomic_int sks_memory_is_counted;
extern _Atomic int64_t sks_memory_bytes;

/* Returns 1 when there has been a bound, from which on bytes are counted. */
static inline int
sks_memory_has_bound(void)
{
	return atomic_load_explicit(&sks_memory_is_counted, memory_order_relaxed);
}

/* Counts n bytes more, or, with a negative n, fewer. */
static inline void
sks_memory_count(int64_t n)
{
	if (sks_memory_has_bound())
		atomic_fetch_add_explicit(&sks_memory_bytes, n, memory_order_relaxed);
}

/* Returns how many bytes are counted now. */
size_t sks_memory_held(void);

/* Sets a bound, from which on bytes are counted. */
void sks_memory_bound_init(struct sks_memory_bound *bound, size_t most);

/* The slow path of sks_memory_is_full(). */
int sks_memory_look(struct sks_memory_bound *bound);

/* Returns 1 when a bound is reached; NULL is none. */
static inline int
sks_memory_is_full(struct sks_memory_bound *bound)
{
	return bound != NULL && sks_memory_look(bound);
}

#endif
