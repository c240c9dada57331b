/* SPDX-License-Identifier: MIT */
/*
 * budget.h - one bound on memory for several parts of a program.
 *
 * Bytes are given back when their memory is freed, not when they are no longer needed:
 * a value that was deleted counts until the last slow client has it. To give them back at
 * the deletion would be simpler, but then a few slow clients could hold many times the
 * bound.
 */
#ifndef HANDLERS_BUDGET_H
#define HANDLERS_BUDGET_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

struct budget {
	atomic_size_t used;
	size_t max; /* bytes; 0: no bound */
};

/* Takes n bytes. 0, or -1: ENOSPC, and nothing is taken. Any thread may call it; it never waits. */
static inline int
budget_take(struct budget *b, size_t n)
{
	size_t before = atomic_fetch_add_explicit(&b->used, n, memory_order_relaxed);

	if (b->max == 0 || (before <= b->max && n <= b->max - before))
		return 0;
	atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
	errno = ENOSPC;
	return -1;
}

static inline void
budget_give(struct budget *b, size_t n)
{
	atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
}

static inline size_t
budget_used(const struct budget *b)
{
	return atomic_load_explicit(&b->used, memory_order_relaxed);
}

#endif
