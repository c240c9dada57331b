/* SPDX-License-Identifier: MIT */
/*
 * check_fiber.c - fibers, their stacks and what is told when one is too small.
 */
#include "child.h"
#include "harness.h"
#include "tools.h"

#include "base/sys.h"
#include "base/util.h"
#include "fiber/fiber.h"
#include "fiber/overflow.h"
#include "fiber/stack.h"

#include <errno.h>
#include <execinfo.h>
#include <fenv.h>
#include <float.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#if SKS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* Sanitizers and valgrind make frames larger, and run code of their own on the stack. */
#define PLAIN_BUILD \
	.left_out = is_slow() ? "stacks are not as in a plain build" : NULL

#define NOINLINE __attribute__((noinline))

SIGNALS_KILL;

static volatile int always = 1; /* the compiler does not know */

/* Valgrind searches its list of stacks at each switch. */
static size_t
many(size_t n)
{
	return RUNNING_ON_VALGRIND ? n / 10 : n;
}

/* Makes the compiler have the frame as it is written. */
static void
use(volatile char *frame)
{
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static struct sks_fiber_pool *
new_pool(size_t stack_size)
{
	struct sks_fiber_pool *pool = sks_fiber_pool_new(stack_size);

	ck_assert_ptr_nonnull(pool);
	return pool;
}

static struct sks_fiber *
start(struct sks_fiber_pool *pool, void (*run)(void *), void *arg)
{
	struct sks_fiber *fiber = sks_fiber_start(pool, run, arg);

	ck_assert_ptr_nonnull(fiber);
	return fiber;
}

static void
increment(void *arg)
{
	++*(int *)arg;
}

static void
suspend_once(void *arg)
{
	(void)arg;
	sks_fiber_suspend();
}

/* Running, stopping, going on. */

static void
see_task(void *arg)
{
	*(struct sks_task **)arg = sks_task_now;
}

TEST(runs_and_ends)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fiber;
	int runs = 0;

	fiber = start(pool, increment, &runs);
	ck_assert_int_eq(runs, 0);
	ck_assert_uint_eq(sks_fiber_pool_live(pool), 1);
	ck_assert_int_eq(sks_fiber_resume(fiber), 1);
	ck_assert_int_eq(runs, 1);
	ck_assert_uint_eq(sks_fiber_pool_live(pool), 0);
	sks_fiber_pool_free(pool);
	sks_fiber_pool_free(NULL);
}

TEST(runs_with_its_task_as_the_current_one)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_task *seen = NULL, *own;
	struct sks_fiber *fiber;

	ck_assert_ptr_null(sks_task_now);
	fiber = start(pool, see_task, &seen);
	sks_fiber_resume(fiber);
	ck_assert_ptr_eq(seen, &fiber->task);
	ck_assert_ptr_null(sks_task_now);

	own = sks_task_current();
	ck_assert_ptr_null(own->fiber);
	fiber = start(pool, see_task, &seen);
	sks_fiber_resume(fiber);
	ck_assert_ptr_eq(seen, &fiber->task);
	ck_assert_ptr_eq(sks_task_now, own);
	sks_fiber_pool_free(pool);
}

struct sums {
	int rounds;
	long integer;
	double real;
};

/* More live values than there are registers which a callee keeps. */
static void
sum_up(void *arg)
{
	struct sums *sums = arg;
	long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
	double p = 1, q = 2, r = 3, s = 4, t = 5, u = 6, v = 7, w = 8;
	int i;

	for (i = 0; i < sums->rounds; i++) {
		sks_fiber_suspend();
		a += b, b += c, c += d, d += e, e += f, f += g, g += h, h += 1;
		p += q, q += r, r += s, s += t, t += u, u += v, v += w, w += 1;
	}
	sums->integer = a + b + c + d + e + f + g + h;
	sums->real = p + q + r + s + t + u + v + w;
}

TEST(keeps_locals_across_suspends)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sums sums[2] = { { .rounds = 20 }, { .rounds = 20 } };
	struct sks_fiber *fibers[2];
	int i, ended = 0;

	for (i = 0; i < 2; i++)
		fibers[i] = start(pool, sum_up, &sums[i]);
	for (i = 0; i < 21; i++) {
		ck_assert_int_eq(ended, 0);
		ended = sks_fiber_resume(fibers[0]) + sks_fiber_resume(fibers[1]);
	}
	ck_assert_int_eq(ended, 2);
	ck_assert_int_eq(sums[0].integer, sums[1].integer);
	ck_assert_int_gt(sums[0].integer, 20);
	ck_assert_double_eq(sums[0].real, (double)sums[0].integer);
	ck_assert_double_eq(sums[1].real, (double)sums[1].integer);
	sks_fiber_pool_free(pool);
}

static void
watch_errno(void *arg)
{
	int *seen = arg;

	seen[0] = errno;
	errno = ENOENT;
	sks_fiber_suspend();
	seen[1] = errno;
	errno = EPERM;
}

TEST(keeps_errno_for_each_fiber)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[2];
	int i, seen[2][2];

	for (i = 0; i < 2; i++)
		fibers[i] = start(pool, watch_errno, seen[i]);
	errno = ERANGE;
	for (i = 0; i < 4; i++) {
		sks_fiber_resume(fibers[i % 2]);
		ck_assert_int_eq(errno, ERANGE);
	}
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(seen[i][0], 0);
		ck_assert_int_eq(seen[i][1], ENOENT);
	}
	/* On a stack whose last fiber ended with an errno. */
	seen[0][0] = -1;
	fibers[0] = start(pool, watch_errno, seen[0]);
	sks_fiber_resume(fibers[0]);
	ck_assert_int_eq(seen[0][0], 0);
	sks_fiber_resume(fibers[0]);
	sks_fiber_pool_free(pool);
}

/* A C++ runtime, as far as fibers know one. */
static _Thread_local struct sks_cxx_state of_the_thread;

void *__cxa_get_globals(void);
void *
__cxa_get_globals(void)
{
	return &of_the_thread;
}

/* Says what it finds, at first and after others have run. */
static void
handle_an_exception(void *arg)
{
	struct sks_cxx_state *seen = arg;

	seen[0] = of_the_thread;
	of_the_thread = (struct sks_cxx_state){ .caught = arg, .uncaught = 7 };
	sks_fiber_suspend();
	seen[1] = of_the_thread;
}

TEST(keeps_exceptions_for_each_fiber)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_cxx_state seen[3][2];
	struct sks_fiber *fibers[3];
	int i;

	for (i = 0; i < 2; i++)
		fibers[i] = start(pool, handle_an_exception, seen[i]);
	of_the_thread = (struct sks_cxx_state){ .caught = pool, .uncaught = 3 };
	for (i = 0; i < 4; i++) {
		sks_fiber_resume(fibers[i % 2]);
		ck_assert_ptr_eq(of_the_thread.caught, pool);
		ck_assert_uint_eq(of_the_thread.uncaught, 3);
	}
	/* On a stack whose last fiber ended with some. */
	fibers[2] = start(pool, handle_an_exception, seen[2]);
	sks_fiber_resume(fibers[2]);
	sks_fiber_resume(fibers[2]);
	for (i = 0; i < 3; i++) {
		ck_assert_ptr_null(seen[i][0].caught);
		ck_assert_uint_eq(seen[i][0].uncaught, 0);
		ck_assert_ptr_eq(seen[i][1].caught, seen[i]);
		ck_assert_uint_eq(seen[i][1].uncaught, 7);
	}
	sks_fiber_pool_free(pool);
}

struct counter {
	int id, count;
	int *turn; /* whose turn it was last */
};

static void
count_turns(void *arg)
{
	struct counter *counter = arg;
	int i;

	for (i = 0; i <= counter->id % 7; i++) {
		*counter->turn = counter->id;
		counter->count++;
		sks_fiber_suspend();
	}
}

TEST(interleaves_thousands)
{
	struct sks_fiber_pool *pool = new_pool(0);
	size_t n = many(5000), i, round;
	struct counter *counters = calloc(n, sizeof(*counters));
	struct sks_fiber **fibers = calloc(n, sizeof(struct sks_fiber *));
	int turn = -1;

	for (i = 0; i < n; i++) {
		counters[i] = (struct counter){ .id = (int)i, .turn = &turn };
		fibers[i] = start(pool, count_turns, &counters[i]);
	}
	ck_assert_uint_eq(sks_fiber_pool_live(pool), n);
	for (round = 0; round < 8; round++) {
		for (i = 0; i < n; i++) {
			if (fibers[i] == NULL)
				continue;
			turn = -1;
			if (sks_fiber_resume(fibers[i]) == 1)
				fibers[i] = NULL;
			else
				ck_assert_int_eq(turn, (int)i);
		}
	}
	ck_assert_uint_eq(sks_fiber_pool_live(pool), 0);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(counters[i].count, (int)i % 7 + 1);
	sks_fiber_pool_free(pool);
	free(fibers);
	free(counters);
}

static void *
thread_of_fibers(void *arg)
{
	struct sks_fiber_pool *pool = sks_fiber_pool_new(0);
	struct sks_fiber *fibers[50];
	int i, round, *runs = arg;

	for (round = 0; pool != NULL && round < 20; round++) {
		for (i = 0; i < 50; i++) {
			fibers[i] = sks_fiber_start(pool, suspend_once, NULL);
			*runs += sks_fiber_resume(fibers[i]);
		}
		for (i = 0; i < 50; i++)
			*runs += sks_fiber_resume(fibers[i]);
	}
	sks_fiber_pool_free(pool);
	return NULL;
}

TEST(threads_have_pools_of_their_own)
{
	pthread_t threads[4];
	int i, runs[4] = { 0 };

	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_of_fibers, &runs[i]), 0);
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_int_eq(runs[i], 1000);
	}
}

/* The pool. */

static void
spoil_task(void *arg)
{
	(void)arg;
	sks_task_now->cancelled = 1;
	sks_task_now->deadline = 1;
	sks_task_now->name = "spoiled";
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
		ck_assert_ptr_null(fiber->task.name);
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

/* What runs on a fiber. */

static volatile double one = 1, three = 3;

/*
 * How this thread rounds, or -1 when the library and the processor disagree:
 * fegetround(3) asks the x87 unit of x86-64, where doubles are SSE's affair.
 * Valgrind rounds SSE arithmetic to nearest, whatever it is told.
 */
static int
rounding(void)
{
	int mode = fegetround();
	int up = one / three > 0x1.5555555555555p-2;

	return up == (mode == FE_UPWARD) || RUNNING_ON_VALGRIND ? mode : -1;
}

static void
round_upward(void *arg)
{
	int *modes = arg;

	modes[0] = rounding();
	fesetround(FE_UPWARD);
	sks_fiber_suspend();
	modes[1] = rounding();
}

TEST(keeps_floating_point_control_for_each_fiber)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fiber;
	int modes[2];

	fiber = start(pool, round_upward, modes);
	sks_fiber_resume(fiber);
	ck_assert_int_eq(modes[0], FE_TONEAREST);
	ck_assert_int_eq(rounding(), FE_TONEAREST);
	sks_fiber_resume(fiber);
	ck_assert_int_eq(modes[1], FE_UPWARD);
	ck_assert_int_eq(rounding(), FE_TONEAREST);

	/* The next on that stack, and a new one, start as their thread is. */
	ck_assert_ptr_eq(start(pool, round_upward, modes), fiber);
	sks_fiber_resume(fiber);
	ck_assert_int_eq(modes[0], FE_TONEAREST);
	sks_fiber_resume(fiber);
	fesetround(FE_DOWNWARD);
	sks_fiber_resume(start(pool, round_upward, modes));
	ck_assert_int_eq(modes[0], FE_DOWNWARD);
	sks_fiber_resume(fiber);
	ck_assert_int_eq(rounding(), FE_DOWNWARD);
	fesetround(FE_TONEAREST);
	sks_fiber_pool_free(pool);
}

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

static NOINLINE void
jump_up(jmp_buf *env, int levels)
{
	volatile char frame[100];

	frame[0] = 1;
	use(frame);
	if (levels > 0)
		jump_up(env, levels - 1);
	sks_fiber_suspend();
	if (always)
		longjmp(*env, 1 + frame[0]);
}

static void
jump_about(void *arg)
{
	volatile int *jumps = arg;
	jmp_buf env;

	/* The same buffer each time: a loop by longjmp. */
	if (setjmp(env) != 0)
		++*jumps;
	if (*jumps < 5)
		jump_up(&env, 3);
}

/* FORTIFY's longjmp aborts when it takes a jump for one to another stack. */
TEST(may_longjmp_within_its_frames)
{
	struct sks_fiber_pool *pool = new_pool(0);
	struct sks_fiber *fibers[2];
	int i, jumps[2] = { 0, 0 };

	for (i = 0; i < 2; i++)
		fibers[i] = start(pool, jump_about, &jumps[i]);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(sks_fiber_resume(fibers[i % 2]), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(sks_fiber_resume(fibers[i]), 1);
		ck_assert_int_eq(jumps[i], 5);
	}
	sks_fiber_pool_free(pool);
}

static void
jump_in_fibers(void *arg)
{
	struct sks_fiber_pool *pool = sks_fiber_pool_new(0);
	struct sks_fiber *fibers[2];
	int i, ended = 0, jumps[2] = { 0, 0 };

	(void)arg;
	for (i = 0; i < 2; i++)
		fibers[i] = sks_fiber_start(pool, jump_about, &jumps[i]);
	for (i = 0; i < 12; i++)
		ended += sks_fiber_resume(fibers[i % 2]);
	_exit(ended == 2 ? 17 : 1);
}

/* A sanitizer that was not told of the switch warns of the jump, or dies. */
TEST(may_longjmp_without_a_word_from_sanitizers)
{
	struct child child = { .act = jump_in_fibers };

	child_run(&child);
	ck_assert_str_eq(child_said(&child), "");
	ck_assert(child_exited_with(&child, 17));
}

static void
unwind(void *arg)
{
	void *frames[64];

	*(int *)arg = backtrace(frames, 64);
}

/* A fiber's frames are the machine's own affair where the switch is swapcontext(3). */
TEST(backtraces_end_at_the_entry,
    .left_out = SKS_CONTEXT_UCONTEXT ? "fibers are switched by swapcontext(3)" : NULL)
{
	struct sks_fiber_pool *pool = new_pool(0);
	int depth = 0;

	sks_fiber_resume(start(pool, unwind, &depth));
	ck_assert_int_ge(depth, 2);
	ck_assert_int_le(depth, 8);
	sks_fiber_pool_free(pool);
}

/* Memory. */

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

/* Overflows. */

static NOINLINE int
recurse(int n)
{
	volatile char frame[500];

	frame[0] = 1;
	use(frame);
	return always ? recurse(n + 1) + frame[0] : 0;
}

static void
overflow_by_recursion(void *arg)
{
	*(int *)arg = recurse(0);
}

/* Larger than the guard: it is hit only as -fstack-clash-protection touches each page. */
static void
overflow_by_a_large_frame(void *arg)
{
	volatile char frame[512 * 1024];

	frame[0] = 1;
	use(frame);
	*(int *)arg = frame[0];
}

struct overflow {
	void (*run)(void *);
	const char *name;
	const void *peer;
	unsigned int peer_len;
	size_t stack_size;
	int lock_memory;
	int unwatched;
};

static void
overflow(void *arg)
{
	struct overflow *how = arg;
	struct sks_fiber_pool *pool;
	struct sks_fiber *fibers[3];
	int i, result;

	if (how->lock_memory && mlockall(MCL_FUTURE) == -1)
		_exit(99);
	pool = sks_fiber_pool_new(how->stack_size);
	if (!how->unwatched && sks_overflow_watch() == -1)
		_exit(1);
	/* The one in the middle, so that there are stacks on both sides. */
	for (i = 0; i < 3; i++) {
		fibers[i] = sks_fiber_start(pool, i == 1 ? how->run : suspend_once, &result);
		if (fibers[i] == NULL)
			_exit(2);
	}
	fibers[1]->task.name = how->name;
	fibers[1]->task.peer = how->peer;
	fibers[1]->task.peer_len = how->peer_len;
	for (i = 2; i >= 0; i--)
		sks_fiber_resume(fibers[i]);
}

static void
check_overflow(struct overflow how, const char *want)
{
	struct child child = { .act = overflow, .arg = &how };

	child_run(&child);
	if (how.lock_memory && child_exited_with(&child, 99))
		return; /* the system lets us lock too little memory to try */
	ck_assert_msg(child_died_of(&child, SIGSEGV), "status %#x, said: %s", (unsigned int)child.status,
	    child_said(&child));
	ck_assert_str_eq(child_said(&child), want);
}

static void (*const ways[])(void *) = { overflow_by_recursion, overflow_by_a_large_frame };

TEST(an_overflow_hits_the_guard, TIMES(2))
{
	check_overflow((struct overflow){ .run = ways[_i], .unwatched = 1 }, "");
}

TEST(an_overflow_is_told, TIMES(2))
{
	check_overflow((struct overflow){ .run = ways[_i], .name = "greedy" },
	    "socketserver: stack overflow in handler greedy serving - (stack_size 131072)\n");
}

/* Sanitizers and valgrind lock nothing, or all of their own memory as well. */
TEST(an_overflow_of_locked_memory_is_told, TIMES(2), PLAIN_BUILD)
{
	check_overflow((struct overflow){ .run = ways[_i], .name = "greedy", .lock_memory = 1 },
	    "socketserver: stack overflow in handler greedy serving - (stack_size 131072)\n");
}

TEST(an_overflow_is_told_without_advice_for_guards, TIMES(2))
{
	ck_assert_int_eq(sks_fault("madvise:EINVAL:1+"), 0);
	check_overflow((struct overflow){ .run = ways[_i], .name = "greedy" },
	    "socketserver: stack overflow in handler greedy serving - (stack_size 131072)\n");
	sks_fault_clear();
}

TEST(guards_by_mprotect_hold_many_fibers)
{
	ck_assert_int_eq(sks_fault("madvise:EINVAL:1+"), 0);
	use_pool(200);
	ck_assert_uint_ge(sks_fault_hits(), 200);
	sks_fault_clear();
}

#define REPORT(peer, size) \
	"socketserver: stack overflow in handler h serving " peer " (stack_size " size ")\n"

TEST(an_overflow_names_the_peer)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(2525) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(65535) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct overflow how = { .run = overflow_by_recursion, .name = "h", .peer = &in,
		.peer_len = sizeof(in), .stack_size = 65536 };
	unsigned int un_head = offsetof(struct sockaddr_un, sun_path);

	in.sin_addr.s_addr = htonl(0xc0000201);
	check_overflow(how, REPORT("192.0.2.1:2525", "65536"));

	how.stack_size = 1;
	how.peer = &in6;
	how.peer_len = sizeof(in6);
	memcpy(in6.sin6_addr.s6_addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x10\xab\xcd", 16);
	check_overflow(how, REPORT("[2001:db8:0:0:0:0:10:abcd]:65535", "16384"));
	memcpy(in6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\xff", 16);
	check_overflow(how, REPORT("127.0.0.255:65535", "16384"));
	how.peer_len = sizeof(in);
	check_overflow(how, REPORT("-", "16384"));

	how.peer = &un;
	memset(un.sun_path, 'x', sizeof(un.sun_path));
	memcpy(un.sun_path, "/tmp/a\nb", 9);
	how.peer_len = sizeof(un);
	check_overflow(how, REPORT("unix:/tmp/a?b", "16384"));
	memcpy(un.sun_path, "\0name", 5);
	how.peer_len = un_head + 5;
	check_overflow(how, REPORT("unix:@name", "16384"));
	how.peer_len = un_head;
	check_overflow(how, REPORT("unix:", "16384"));
	how.peer_len = 1;
	check_overflow(how, REPORT("-", "16384"));
}

static void
exit_42(int sig)
{
	(void)sig;
	_exit(42);
}

static void
exit_43(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	_exit(info->si_addr == NULL ? 1 : 43);
}

/* A page that nobody may touch. */
static char *
forbidden(void)
{
	return mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
}

static void
fault_elsewhere(void *arg)
{
	const struct sigaction *before = arg;

	if (before != NULL)
		(void)sigaction(SIGSEGV, before, NULL);
	if (sks_overflow_watch() == -1)
		_exit(1);
	*(volatile char *)forbidden() = 1;
}

TEST(other_faults_go_where_they_went_before)
{
	struct sigaction plain = { .sa_handler = exit_42 };
	struct sigaction informed = { .sa_sigaction = exit_43, .sa_flags = SA_SIGINFO };
	struct child child = { .act = fault_elsewhere };

	child_run(&child);
	ck_assert(child_died_of(&child, SIGSEGV));
	ck_assert_str_eq(child_said(&child), "");

	child.arg = &plain;
	child_run(&child);
	ck_assert(child_exited_with(&child, 42));
	child.arg = &informed;
	child_run(&child);
	ck_assert(child_exited_with(&child, 43));
	ck_assert_str_eq(child_said(&child), "");
}

static void
be_sent_sigsegv(void *arg)
{
	(void)sks_overflow_watch();
	(void)kill(getpid(), *(int *)arg);
}

TEST(a_sent_signal_still_kills, TIMES(2))
{
	int sigs[] = { SIGSEGV, SIGBUS };
	struct child child = { .act = be_sent_sigsegv, .arg = &sigs[_i] };

	child_run(&child);
	ck_assert(child_died_of(&child, sigs[_i]));
	ck_assert_str_eq(child_said(&child), "");
}

static void *
watch_in_a_thread(void *arg)
{
	stack_t *seen = arg;

	(void)sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	if (sks_overflow_watch() == -1)
		return NULL;
	(void)sigaltstack(NULL, &seen[0]);
	if (sks_overflow_watch() == -1)
		return NULL;
	(void)sigaltstack(NULL, &seen[1]);
	return NULL;
}

TEST(a_thread_has_its_alternate_stack_until_it_ends)
{
	unsigned char in_core;
	pthread_t thread;
	stack_t seen[2];

	memset(seen, 0, sizeof(seen));
	ck_assert_int_eq(pthread_create(&thread, NULL, watch_in_a_thread, seen), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(seen[0].ss_flags, 0);
	ck_assert_uint_ge(seen[0].ss_size, 65536);
	ck_assert_ptr_eq(seen[1].ss_sp, seen[0].ss_sp);
	errno = 0;
	ck_assert_int_eq(mincore(seen[0].ss_sp, 1, &in_core), -1);
	ck_assert_int_eq(errno, ENOMEM);
}

TEST(an_alternate_stack_that_is_there_is_kept)
{
	char *own = malloc(65536);
	stack_t seen;

	ck_assert_int_eq(sigaltstack(&(stack_t){ .ss_sp = own, .ss_size = 65536 }, NULL), 0);
	ck_assert_int_eq(sks_overflow_watch(), 0);
	ck_assert_int_eq(sigaltstack(NULL, &seen), 0);
	ck_assert_ptr_eq(seen.ss_sp, own);
	ck_assert_int_eq(sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL), 0);
	free(own);
}
