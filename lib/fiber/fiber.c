/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - starting, stopping and going on.
 *
 * A fiber is made once, with its stack, and then runs one function after the
 * other: its context is a loop that runs what it is given, switches away, and
 * finds the next thing to run when it comes back. Making a context anew for
 * each start would do for the processor. But sanitizers and valgrind keep
 * books for each stack: frames entered and left (so these must be left, not
 * forgotten), a shadow stack, an id. They cost up to 384 us to open, so they
 * live as long as the stack.
 *
 * The struct lies at the top of its stack, above the first frame: a parked
 * fiber that is not deep is then one page of memory, struct and all. The
 * other way, structs in an array beside the stacks, would touch two places in
 * memory at each switch and save nothing.
 *
 * Idle fibers are two lists, last in first out. Warm ones are as they ended,
 * and may hold memory as deep as they ever reached; cold ones have given all
 * but their first page back. Giving back takes a system call, and page faults
 * when the stack is used again, so it must not happen at each end: up to
 * WARM_LEAST, or an eighth of those that are live, may stay warm, as many as
 * usual traffic ends and starts. A server whose crowd has left warms no seats.
 *
 * Not longjmp(3): FORTIFY takes a jump to another stack for a bug and aborts,
 * and ThreadSanitizer rejects it.
 *
 * errno is in thread-local memory whose address compilers may keep across a
 * call, also across a switch. As no fiber changes thread, that is right.
 */
#include "fiber/fiber.h"

#include "base/sys.h"
#include "base/util.h"
#include "fiber/context.h"
#include "fiber/stack.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#if SKS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if SKS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* In release builds too: outside valgrind it is a few instructions for each new stack. */
#if !defined(SKS_NO_VALGRIND) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0U
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

#define STACK_DEFAULT (128 * 1024)
#define STACK_LEAST (16 * 1024)
#define WARM_LEAST 64
#define COLOURS (SKS_CONTEXT_ROOM > 512 ? 1 : 32) /* a page must be enough */
#define OVERHEAD (768 + SKS_CONTEXT_ROOM + COLOURS * SKS_CACHE_LINE) /* struct, context, colour */

struct sks_fiber_pool {
	struct sks_stacks stacks;
	size_t stack_size; /* as asked for; stacks.size is more */
	size_t live;
	size_t warm_count;
	struct sks_fiber *warm;
	struct sks_fiber *cold;
	void *thread_sp; /* who resumed the fiber that runs; one at a time */
	/* the same for the sanitizers: */
	const void *thread_stack;
	size_t thread_stack_size;
	void *thread_fake_stack;
	void *thread_tsan;
};

struct sks_fiber_pool *
sks_fiber_pool_new(size_t stack_size)
{
	struct sks_fiber_pool *pool;

	stack_size = stack_size == 0 ? STACK_DEFAULT : sks_max(stack_size, STACK_LEAST);
	if (stack_size > SIZE_MAX - OVERHEAD) {
		errno = ENOMEM;
		return NULL;
	}
	pool = sks_sys_calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	if (sks_stacks_init(&pool->stacks, stack_size + OVERHEAD) == -1) {
		sks_sys_free(pool);
		return NULL;
	}
	pool->stack_size = stack_size;
	sks_cxx_look();
	return pool;
}

size_t
sks_fiber_pool_live(const struct sks_fiber_pool *pool)
{
	return pool->live;
}

/* From the thread to the fiber, until it switches back. */
static void
switch_in(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;

#if SKS_ASAN
	__sanitizer_start_switch_fiber(&pool->thread_fake_stack, fiber->stack, pool->stacks.size);
#endif
#if SKS_TSAN
	pool->thread_tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(fiber->tsan_fiber, 0);
#endif
	sks_context_switch(&pool->thread_sp, fiber->sp);
#if SKS_ASAN
	__sanitizer_finish_switch_fiber(pool->thread_fake_stack, NULL, NULL);
#endif
}

/* The other side of switch_in: what is to be done first on the fiber's stack. */
static void
switched_in(struct sks_fiber *fiber)
{
#if SKS_ASAN
	struct sks_fiber_pool *pool = fiber->pool;

	__sanitizer_finish_switch_fiber(fiber->asan_fake_stack, &pool->thread_stack,
	    &pool->thread_stack_size);
#else
	(void)fiber;
#endif
}

/* From the fiber to the thread that resumed it, until it is resumed again. */
static void
switch_out(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;

#if SKS_ASAN
	__sanitizer_start_switch_fiber(&fiber->asan_fake_stack, pool->thread_stack,
	    pool->thread_stack_size);
#endif
#if SKS_TSAN
	__tsan_switch_to_fiber(pool->thread_tsan, 0);
#endif
	sks_context_switch(&fiber->sp, pool->thread_sp);
	switched_in(fiber);
}

#if SKS_ASAN
/* As switch_out, but the fake stack is freed and nobody comes back. */
static void
switch_out_for_good(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;

	__sanitizer_start_switch_fiber(NULL, pool->thread_stack, pool->thread_stack_size);
	sks_context_switch(&fiber->sp, pool->thread_sp);
}
#endif

static void
fiber_loop(void *arg)
{
	struct sks_fiber *fiber = arg;

	switched_in(fiber);
	while (fiber->run != NULL) {
		fiber->run(fiber->arg);
		fiber->run = NULL;
		switch_out(fiber);
	}
#if SKS_ASAN
	switch_out_for_good(fiber);
#endif
	abort(); /* the pool resumes an ended fiber only to free a fake stack */
}

static struct sks_fiber *
fiber_new(struct sks_fiber_pool *pool)
{
	struct sks_fiber *fiber;
	char *low, *top;

	low = sks_stack_new(&pool->stacks);
	if (low == NULL)
		return NULL;
	top = low + pool->stacks.size;
	/*
	 * Stacks are alike, so their hot lines would all lie at the same offset of a
	 * page and compete for the same few sets of the caches. A colour each
	 * spreads them, within the page that a shallow fiber touches anyway.
	 */
	top -= pool->stacks.made % COLOURS * SKS_CACHE_LINE;
	top -= (sizeof(*fiber) + SKS_CACHE_LINE - 1) / SKS_CACHE_LINE * SKS_CACHE_LINE;
	fiber = (struct sks_fiber *)(void *)top;
	fiber->pool = pool;
	fiber->stacks = &pool->stacks;
	fiber->stack = low;
	fiber->stack_size = pool->stack_size;
	fiber->sp = sks_context_make(low, top, fiber_loop, fiber);
	fiber->valgrind_id = VALGRIND_STACK_REGISTER(low, low + pool->stacks.size - 1);
#if SKS_TSAN
	fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
	return fiber;
}

/* What others know of the fiber's stack, before the stack itself goes. */
static void
fiber_retire(struct sks_fiber *fiber)
{
#if SKS_ASAN
	switch_in(fiber);
#endif
#if SKS_TSAN
	__tsan_destroy_fiber(fiber->tsan_fiber);
#endif
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
}

static void
push(struct sks_fiber **list, struct sks_fiber *fiber)
{
	fiber->next = *list;
	*list = fiber;
}

/* NULL: the list is empty. */
static struct sks_fiber *
pop(struct sks_fiber **list)
{
	struct sks_fiber *fiber = *list;

	if (fiber != NULL)
		*list = fiber->next;
	return fiber;
}

void
sks_fiber_pool_free(struct sks_fiber_pool *pool)
{
	struct sks_fiber *fiber;

	if (pool == NULL)
		return;
	assert(pool->live == 0);
	while ((fiber = pop(&pool->warm)) != NULL)
		fiber_retire(fiber);
	while ((fiber = pop(&pool->cold)) != NULL)
		fiber_retire(fiber);
	sks_stacks_free(&pool->stacks);
	sks_sys_free(pool);
}

static struct sks_fiber *
pool_get(struct sks_fiber_pool *pool)
{
	struct sks_fiber *fiber;

	fiber = pop(&pool->warm);
	if (fiber != NULL)
		pool->warm_count--;
	else
		fiber = pop(&pool->cold);
	if (fiber == NULL)
		return fiber_new(pool);
	/* Whoever ran on it before may have changed how it rounds. */
	sks_context_adopt_fp(fiber->sp);
	return fiber;
}

static void
pool_put(struct sks_fiber_pool *pool, struct sks_fiber *fiber)
{
	push(&pool->warm, fiber);
	pool->warm_count++;
	while (pool->warm_count > sks_max(WARM_LEAST, pool->live / 8)) {
		fiber = pop(&pool->warm);
		pool->warm_count--;
		sks_stack_trim(fiber->stack, fiber->sp);
		push(&pool->cold, fiber);
	}
}

struct sks_fiber *
sks_fiber_start(struct sks_fiber_pool *pool, void (*run)(void *), void *arg)
{
	struct sks_fiber *fiber;

	fiber = pool_get(pool);
	if (fiber == NULL)
		return NULL;
	sks_task_init(&fiber->task);
	fiber->task.fiber = fiber;
	fiber->run = run;
	fiber->arg = arg;
	fiber->error = 0;
	memset(fiber->cxx, 0, sizeof(fiber->cxx));
	pool->live++;
	return fiber;
}

int
sks_fiber_resume(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;
	struct sks_task *own = sks_task_now;
	int runtimes = atomic_load_explicit(&sks_cxx_runtimes, memory_order_acquire);
	int error = errno, ended;

	assert(own == NULL || own->fiber == NULL);
	assert(fiber->run != NULL);

	sks_task_now = &fiber->task;
	errno = fiber->error;
	if (runtimes > 0)
		sks_cxx_exchange(fiber->cxx, runtimes);
	switch_in(fiber);
	if (runtimes > 0)
		sks_cxx_exchange(fiber->cxx, runtimes);
	sks_task_now = own;

	ended = fiber->run == NULL;
	if (ended) {
		pool->live--;
		pool_put(pool, fiber);
	}
	errno = error;
	return ended;
}

void
sks_fiber_suspend(void)
{
	struct sks_fiber *fiber;

	assert(sks_task_now != NULL && sks_task_now->fiber != NULL);
	fiber = sks_task_now->fiber;
	fiber->error = errno;
	switch_out(fiber);
}
