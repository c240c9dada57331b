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
#include "base/tools.h"
#include "base/util.h"
#include "fiber/context.h"
#include "fiber/stack.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define STACK_DEFAULT (128 * 1024)
#define STACK_LEAST (16 * 1024)
#define WARM_LEAST 64
#define COLOURS (SKS_CONTEXT_ROOM > 512 ? 1 : 32) /* a page must be enough */
#define OVERHEAD (768 + SKS_CONTEXT_ROOM + COLOURS * SKS_CACHE_LINE) /* struct, context, colour */

#define TSAN_MOST 8000 /* fibers in one process */

static atomic_int tsan_fibers;

struct sks_fiber_pool {
	struct sks_stacks stacks;
	size_t stack_size; /* as asked for; stacks.size is more */
	atomic_size_t live; /* changed by the pool's own thread, without atomic additions */
	size_t warm_count;
	struct sks_fiber *warm;
	struct sks_fiber *cold;
	int watched;     /* a sanitizer has to hear of each switch */
	void *thread_sp; /* where whoever resumed the running fiber goes on; NULL: none runs */
	/* the same for sanitizers: */
	const void *thread_stack;
	size_t thread_stack_size;
	void *thread_fake_stack;
	void *thread_tsan;
};

/*
 * At an exit(3) on a fiber AddressSanitizer takes the fiber's stack for the
 * thread's, and would call what only the thread's own stack points to a leak.
 */
static void
show_thread_stack(void)
{
	struct sks_fiber *fiber = sks_task_now != NULL ? sks_task_now->fiber : NULL;
	const char *low, *stack;

	if (fiber == NULL)
		return;
	low = fiber->pool->thread_sp;
	stack = fiber->pool->thread_stack;
	__lsan_register_root_region(low, (size_t)(stack + fiber->pool->thread_stack_size - low));
}

static void
prepare_for_exit(void)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&done))
		(void)atexit(show_thread_stack);
}

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
	pool->watched = sks_has_asan() || sks_has_tsan();
	if (sks_has_asan() && sks_has_lsan())
		prepare_for_exit();
	sks_cxx_look();
	return pool;
}

size_t
sks_fiber_pool_live(const struct sks_fiber_pool *pool)
{
	return atomic_load_explicit(&pool->live, memory_order_relaxed);
}

size_t
sks_fiber_pool_idle(const struct sks_fiber_pool *pool)
{
	size_t live = sks_fiber_pool_live(pool);
	size_t made = atomic_load_explicit(&pool->stacks.made, memory_order_relaxed);

	return made > live ? made - live : 0; /* another thread may see one before the other */
}

static void
set_live(struct sks_fiber_pool *pool, size_t n)
{
	atomic_store_explicit(&pool->live, n, memory_order_relaxed);
}

/*
 * The next four tell sanitizers. ThreadSanitizer must find no call or return in
 * instrumented code between its switch and ours, so what calls it is inlined.
 */

static SKS_ALWAYS_INLINE void
tell_going_in(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;

	if (sks_has_asan())
		__sanitizer_start_switch_fiber(&pool->thread_fake_stack, fiber->stack,
		    pool->stacks.size);
	if (sks_has_tsan()) {
		pool->thread_tsan = __tsan_get_current_fiber();
		__tsan_switch_to_fiber(fiber->tsan_fiber, 0);
	}
}

static SKS_ALWAYS_INLINE void
tell_is_in(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;

	if (sks_has_asan())
		__sanitizer_finish_switch_fiber(fiber->asan_fake_stack, &pool->thread_stack,
		    &pool->thread_stack_size);
}

static SKS_ALWAYS_INLINE void
tell_going_out(struct sks_fiber *fiber, void **fake_stack)
{
	struct sks_fiber_pool *pool = fiber->pool;

	if (sks_has_asan())
		__sanitizer_start_switch_fiber(fake_stack, pool->thread_stack,
		    pool->thread_stack_size);
	if (sks_has_tsan())
		__tsan_switch_to_fiber(pool->thread_tsan, 0);
}

static SKS_ALWAYS_INLINE void
tell_is_out(struct sks_fiber *fiber)
{
	if (sks_has_asan())
		__sanitizer_finish_switch_fiber(fiber->pool->thread_fake_stack, NULL, NULL);
}

/* From the thread to the fiber, until it switches back. */
static void
switch_in(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;
	int watched = pool->watched;

	if (watched)
		tell_going_in(fiber);
	sks_context_switch(&pool->thread_sp, fiber->sp);
	pool->thread_sp = NULL;
	if (watched)
		tell_is_out(fiber);
}

/* From the fiber to the thread that resumed it, until it is resumed again. */
static void
switch_out(struct sks_fiber *fiber)
{
	int watched = fiber->pool->watched;

	if (watched)
		tell_going_out(fiber, &fiber->asan_fake_stack);
	sks_context_switch(&fiber->sp, fiber->pool->thread_sp);
	if (watched)
		tell_is_in(fiber);
}

/* With NULL for a fake stack it is freed, and nobody comes back. */
static void
switch_out_for_good(struct sks_fiber *fiber)
{
	tell_going_out(fiber, NULL);
	sks_context_switch(&fiber->sp, fiber->pool->thread_sp);
	abort();
}

static void
fiber_loop(void *arg)
{
	struct sks_fiber *fiber = arg;

	if (fiber->pool->watched)
		tell_is_in(fiber);
	while (fiber->run != NULL) {
		fiber->run(fiber->arg);
		fiber->run = NULL;
		switch_out(fiber);
	}
	switch_out_for_good(fiber); /* the pool resumes an ended fiber only to free a fake stack */
}

/*
 * gcc's ThreadSanitizer ends the process that has more than 8,128 threads and
 * fibers. With a limit below that the rest waits, as for memory. -1: ENOMEM.
 */
static int
tsan_fiber_new(void **tsan_fiber)
{
	if (atomic_fetch_add(&tsan_fibers, 1) >= TSAN_MOST) {
		atomic_fetch_sub(&tsan_fibers, 1);
		errno = ENOMEM;
		return -1;
	}
	*tsan_fiber = __tsan_create_fiber(0);
	return 0;
}

static void
tsan_fiber_free(void *tsan_fiber)
{
	__tsan_destroy_fiber(tsan_fiber);
	atomic_fetch_sub(&tsan_fibers, 1);
}

static struct sks_fiber *
fiber_new(struct sks_fiber_pool *pool)
{
	struct sks_fiber *fiber;
	void *tsan_fiber = NULL;
	char *low, *top;

	if (sks_has_tsan() && tsan_fiber_new(&tsan_fiber) == -1)
		return NULL;
	low = sks_stack_new(&pool->stacks);
	if (low == NULL) {
		if (tsan_fiber != NULL)
			tsan_fiber_free(tsan_fiber);
		return NULL;
	}
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
	fiber->tsan_fiber = tsan_fiber;
	return fiber;
}

/* Takes back what sanitizers know of the fiber's stack, before the stack itself goes. */
static void
fiber_retire(struct sks_fiber *fiber)
{
	if (sks_has_asan())
		switch_in(fiber);
	if (sks_has_tsan())
		tsan_fiber_free(fiber->tsan_fiber);
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
}

static void
push(struct sks_fiber **list, struct sks_fiber *fiber)
{
	fiber->next = *list;
	*list = fiber;
}

/* Takes the first fiber off the list. Returns NULL when the list is empty. */
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
	assert(sks_fiber_pool_live(pool) == 0);
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
	/* The function that ran on this fiber before may have changed the rounding mode. */
	sks_context_adopt_fp(fiber->sp);
	return fiber;
}

static void
pool_put(struct sks_fiber_pool *pool, struct sks_fiber *fiber)
{
	push(&pool->warm, fiber);
	pool->warm_count++;
	while (pool->warm_count > sks_max(WARM_LEAST, sks_fiber_pool_live(pool) / 8)) {
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
	set_live(pool, sks_fiber_pool_live(pool) + 1);
	return fiber;
}

int
sks_fiber_resume(struct sks_fiber *fiber)
{
	struct sks_fiber_pool *pool = fiber->pool;
	struct sks_task *own = sks_task_now;
	int runtimes = atomic_load_explicit(&sks_cxx_runtimes, memory_order_acquire);
	int error = errno, ended;

	assert(pool->thread_sp == NULL);
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
		set_live(pool, sks_fiber_pool_live(pool) - 1);
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
