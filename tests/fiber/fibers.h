/* SPDX-License-Identifier: MIT */
/*
 * fibers.h - what the suites of fibers share.
 */
#ifndef SKS_TEST_FIBERS_H
#define SKS_TEST_FIBERS_H

#include "child.h"
#include "harness.h"
#include "tools.h"

#include "fiber/context.h"
#include "fiber/fiber.h"

/* Sanitizers and valgrind make frames larger, and run code of their own on the stack. */
#define PLAIN_BUILD \
	.left_out = is_slow() ? "stacks are not as in a plain build" : NULL

#define NOINLINE __attribute__((noinline))

/* Makes the compiler have the frame as it is written. */
static inline void
use(volatile char *frame)
{
	__asm__ volatile("" : : "r"(frame) : "memory");
}

/* Valgrind searches its list of stacks at each switch. */
static inline size_t
many(size_t n)
{
	return RUNNING_ON_VALGRIND ? n / 10 : n;
}

static inline struct sks_fiber_pool *
new_pool(size_t stack_size)
{
	struct sks_fiber_pool *pool = sks_fiber_pool_new(stack_size);

	ck_assert_ptr_nonnull(pool);
	return pool;
}

static inline struct sks_fiber *
start(struct sks_fiber_pool *pool, void (*run)(void *), void *arg)
{
	struct sks_fiber *fiber = sks_fiber_start(pool, run, arg);

	ck_assert_ptr_nonnull(fiber);
	return fiber;
}

static inline void
increment(void *arg)
{
	++*(int *)arg;
}

static inline void
suspend_once(void *arg)
{
	(void)arg;
	sks_fiber_suspend();
}

#endif
