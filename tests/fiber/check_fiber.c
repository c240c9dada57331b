/* SPDX-License-Identifier: MIT */
/*
 * check_fiber.c - fibers run, suspend and end, each with what is its own.
 */
#include "fibers.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#if WITH_UNWINDER
#include <unwind.h>
#endif

static volatile int always = 1; /* the compiler does not know */

/* -- running, stopping, going on -- */

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
	ck_assert_uint_eq(sks_fiber_pool_idle(pool), 0);
	ck_assert_int_eq(sks_fiber_resume(fiber), 1);
	ck_assert_int_eq(runs, 1);
	ck_assert_uint_eq(sks_fiber_pool_live(pool), 0);
	ck_assert_uint_eq(sks_fiber_pool_idle(pool), 1);
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

/* -- what runs on a fiber -- */

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

#if WITH_UNWINDER

/* Counts the frames, 64 at most. */
static _Unwind_Reason_Code
count_frame(struct _Unwind_Context *frame, void *depth)
{
	(void)frame;
	return ++*(int *)depth < 64 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void
unwind(void *depth)
{
	_Unwind_Backtrace(count_frame, depth);
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

#endif
