/* SPDX-License-Identifier: MIT */
/*
 * check_fiber_stacks.c - the stacks of fibers: a pool of them, their memory, and what lacks.
 */
#include "faults.h"
#include "fibers.h"

#include "base/sys.h"
#include "base/util.h"
#include "fiber/overflow.h"
#include "fiber/stack.h"

#include <errno.h>
#include <float.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if SKS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* -- the pool -- */

static void
spoil_task(void *arg)
{
	(void)arg;
	sks_task_now->cancelled = 1;
	sks_task_now->deadline = 1;
	sks_task_now->origin.handler = "spoiled";
	sks_task_now->bytes = 17;
}

TEST(starts_again_on_the_stack_that_ended_last)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fiber, *other;
	int i, runs = 0;

	fiber = start(pool, spoil_task, NULL);
	other = start(pool, increment, &runs);
	sks_fiber_resume(other);
	sks_fiber_resume(fiber);
	for (i = 0; i < 1000; i++) {
		ck_assert_ptr_eq(start(pool, increment, &runs), fiber);
		ck_assert_int_eq(fiber->task.cancelled, 0);
		ck_assert_int_eq(fiber->task.deadline, INT64_MAX);
		ck_assert_ptr_null(fiber->task.origin.handler);
		ck_assert_uint_eq(fiber->task.bytes, 0);
		ck_assert(sks_list_empty(&fiber->task.dirty));
		ck_assert_int_eq(sks_fiber_resume(fiber), 1);
	}
	ck_assert_int_eq(runs, 1001);
	sks_fiber_pool_free(pool);
}

static size_t
address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%zu", &pages), 1);
	fclose(f);
	return pages;
}

static void
use_pool(size_t n)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[200];
	size_t i;

	for (i = 0; i < n; i++)
		sks_fiber_resume(fibers[i] = start(pool, suspend_once, NULL));
	for (i = 0; i < n; i++)
		sks_fiber_resume(fibers[i]);
	sks_fiber_pool_free(pool);
}

/* Leaks of memory are the sanitizers' and valgrind's to find, of addresses ours. */
TEST(frees_idle_fibers_with_the_pool)
{
	size_t before, i;

	use_pool(0);
	use_pool(200);
	before = address_space();
	for (i = 0; i < 20; i++)
		use_pool(200);
	/* They map memory of their own, for new stacks and addresses. */
	if (!is_slow())
		ck_assert_uint_le(address_space(), before + 64);
}

TEST(refuses_absurd_stack_sizes)
{
	errno = 0;
	ck_assert_ptr_null(sks_fiber_pool_new(SIZE_MAX));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(sks_fiber_pool_new(SIZE_MAX / 2));
	ck_assert_int_eq(errno, ENOMEM);
}

TEST(start_fails_when_addresses_run_out)
{
	struct sks_fiber_pool *pool = new_pool((size_t)1 << 56);
	int i;

	for (i = 0; i < 2; i++) {
		errno = 0;
		ck_assert_ptr_null(sks_fiber_start(pool, increment, NULL));
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_uint_eq(sks_fiber_pool_live(pool), 0);
	}
	sks_fiber_pool_free(pool);
}

static void
fails_to_start_under(const char *rules)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fiber;
	int runs = 0;

	ck_assert_int_eq(sks_fault(rules), 0);
	errno = 0;
	fiber = sks_fiber_start(pool, increment, &runs);
	ck_assert_ptr_null(fiber);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(sks_fiber_pool_live(pool), 0);
	sks_fault_clear();
	sks_fiber_resume(start(pool, increment, &runs));
	ck_assert_int_eq(runs, 1);
	sks_fiber_pool_free(pool);
}

TEST(start_fails_and_recovers)
{
	fails_to_start_under("mmap:ENOMEM:1+");
	fails_to_start_under("malloc:ENOMEM:1+");
	fails_to_start_under("madvise:EINVAL:1+,mprotect:ENOMEM:1+");
}

TEST(smaller_arenas_will_do)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[20];
	int i;

	ck_assert_int_eq(sks_fault("mmap:ENOMEM:%2"), 0);
	for (i = 0; i < 20; i++)
		sks_fiber_resume(fibers[i] = start(pool, suspend_once, NULL));
	sks_fault_clear();
	for (i = 0; i < 20; i++)
		sks_fiber_resume(fibers[i]);
	sks_fiber_pool_free(pool);
}

TEST(pool_new_fails_without_memory)
{
	ck_assert_int_eq(sks_fault("malloc:ENOMEM"), 0);
	errno = 0;
	ck_assert_ptr_null(sks_fiber_pool_new(0));
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
}

/* -- what runs on a fiber -- */

static NOINLINE int
descend(int levels)
{
	volatile char frame[1000];

	frame[0] = 1;
	use(frame);
	return levels == 0 ? 0 : descend(levels - 1) + frame[0];
}

static void
need_much(void *arg)
{
	char *text = arg;

	ck_assert_int_eq(descend(90), 90);
	snprintf(text, 8192, "%Lf", LDBL_MAX);
}

static int
compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* What uses much stack in the C library. */
static void
use_the_library(void)
{
	static int numbers[20000];
	static char text[8192];
	struct sockaddr_in in = { .sin_family = AF_INET };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(numbers); i++)
		numbers[i] = (int)(i * 7919 % 20011);
	qsort(numbers, SKS_ARRAY_LEN(numbers), sizeof(numbers[0]), compare_numbers);
	snprintf(text, sizeof(text), "%Lf", LDBL_MAX);
	ck_assert_int_eq(getnameinfo((struct sockaddr *)&in, sizeof(in), text, sizeof(text), NULL, 0,
	    NI_NUMERICHOST), 0);
}

/* The stack is painted before, so that it shows how deep the library went. */
static void
use_painted_stack(void *arg)
{
	char *lowest = sks_task_now->fiber->stack, *here = __builtin_frame_address(0);
	size_t n = (size_t)(here - lowest) - 2048, i;

	memset(lowest, 0xa5, n);
	use_the_library();
	for (i = 0; i < n && (unsigned char)lowest[i] == 0xa5; i++)
		;
	*(size_t *)arg = (size_t)(here - lowest) - i;
}

TEST(half_of_a_stack_is_enough_for_the_c_library, PLAIN_BUILD)
{
	struct sks_fiber_pool *pool = new_pool(0);
	size_t used = 0;

	sks_fiber_resume(start(pool, use_painted_stack, &used));
	ck_assert_uint_gt(used, 2048);
	ck_assert_uint_le(used, 128 * 1024 / 2);
	sks_fiber_pool_free(pool);
}

TEST(has_room_for_printf_and_recursion)
{
	struct sks_fiber_pool *pool = new_pool(0);
	char *text = malloc(8192), *want = malloc(8192);

	sks_fiber_resume(start(pool, need_much, text));
	snprintf(want, 8192, "%Lf", LDBL_MAX);
	ck_assert_str_eq(text, want);
	free(want);
	free(text);
	sks_fiber_pool_free(pool);
}

static void
where(void *arg)
{
	*(char **)arg = __builtin_frame_address(0);
}

TEST(has_at_least_the_stack_asked_for)
{
	static const size_t asked[] = { 1, 16384, 20000, 131072, 1 << 20 };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(asked); i++) {
		struct sks_fiber_pool *pool = new_pool(asked[i]);
		struct sks_fiber *fiber;
		char *frame;

		fiber = start(pool, where, &frame);
		sks_fiber_resume(fiber);
		ck_assert_uint_ge((size_t)(frame - fiber->stack), asked[i]);
		ck_assert_uint_ge((size_t)(frame - fiber->stack), 16384);
		/* Both ABIs: frames are aligned to 16, or vector code crashes. */
		ck_assert_uint_eq((uintptr_t)frame % 16, 0);
		sks_fiber_pool_free(pool);
	}
}

/* -- memory -- */

static size_t
resident_pages(const struct sks_fiber *fiber)
{
	unsigned char in_core[1024];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t i, pages = fiber->stacks->size / page, resident = 0;

	ck_assert_uint_le(pages, sizeof(in_core));
	ck_assert_int_eq(mincore(fiber->stack, fiber->stacks->size, in_core), 0);
	for (i = 0; i < pages; i++)
		resident += in_core[i] & 1;
	return resident;
}

TEST(a_shallow_parked_fiber_costs_a_page, PLAIN_BUILD)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[200];
	int i;

	for (i = 0; i < 200; i++)
		sks_fiber_resume(fibers[i] = start(pool, suspend_once, NULL));
	for (i = 0; i < 200; i++) {
		/* What swapcontext(3) keeps is 1 KiB to 5 KiB, in two frames. */
		ck_assert_uint_le(resident_pages(fibers[i]), SKS_CONTEXT_UCONTEXT ? 4 : 1);
		sks_fiber_resume(fibers[i]);
	}
	sks_fiber_pool_free(pool);
}

static void
descend_and_suspend(void *arg)
{
	*(int *)arg = descend(40);
	sks_fiber_suspend();
}

TEST(a_crowd_of_idle_fibers_gives_memory_back, PLAIN_BUILD)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[600];
	size_t resident = 0;
	int i, round, depth;

	/* The second time on stacks that were given back. */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 600; i++) {
			sks_fiber_resume(fibers[i] = start(pool, descend_and_suspend, &depth));
			ck_assert_int_eq(depth, 40);
			ck_assert_uint_ge(resident_pages(fibers[i]), 10);
		}
		for (i = 0; i < 600; i++)
			ck_assert_int_eq(sks_fiber_resume(fibers[i]), 1);
	}
	for (i = 0; i < 600; i++)
		resident += resident_pages(fibers[i]);
	ck_assert_uint_ge(resident, 600);
	ck_assert_uint_le(resident, 64 * 33 + 536 * (SKS_CONTEXT_UCONTEXT ? 4 : 1));
	sks_fiber_pool_free(pool);
}

#if SKS_ASAN
static void
hold_memory(void *arg)
{
	volatile char *memory = malloc(100);

	(void)arg;
	memory[0] = 1;
	sks_fiber_suspend();
	free((char *)memory);
}

TEST(leaks_are_not_seen_where_a_parked_fiber_holds_memory)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[100];
	int i;

	for (i = 0; i < 100; i++)
		sks_fiber_resume(fibers[i] = start(pool, hold_memory, NULL));
	ck_assert_int_eq(__lsan_do_recoverable_leak_check(), 0);
	for (i = 0; i < 100; i++)
		sks_fiber_resume(fibers[i]);
	sks_fiber_pool_free(pool);
}
#endif

/* -- overflows -- */

TEST(guards_by_mprotect_hold_many_fibers)
{
	ck_assert_int_eq(sks_fault("madvise:EINVAL:1+"), 0);
	use_pool(200);
	ck_assert_uint_ge(sks_fault_hits(), 200);
	sks_fault_clear();
}
