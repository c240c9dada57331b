/* SPDX-License-Identifier: MIT */
/*
 * budget.h - one bound on memory, shared by all who allocate under it.
 *
 * What is taken is given back when the memory is really freed, not when it is
 * no longer needed: a value that was deleted while a slow client still gets it
 * counts until that client has it. Counting at deletion would be simpler, and
 * a few slow clients could then hold many times the bound.
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

/* 0, or -1 with ENOSPC: nothing is taken. From any thread; never waits. */
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
