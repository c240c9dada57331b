/* SPDX-License-Identifier: MIT */
/*
 * check_thread.c - the library's own threads, and waits by the monotonic clock.
 */
#include "harness.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/thread.h"

#include <signal.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

static void *
look_at_signals(void *mask)
{
	pthread_sigmask(SIG_SETMASK, NULL, mask);
	return NULL;
}

/* Whatever the mask of the thread that starts it is, which stays as it was. */
TEST(a_thread_gets_the_signals_of_its_own_faults_alone, TIMES(2))
{
	sigset_t mask, before, after;
	pthread_t thread;

	sigemptyset(&before);
	if (_i)
		sigaddset(&before, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ck_assert_int_eq(sks_thread_start(&thread, 0, look_at_signals, &mask), 0);
	pthread_join(thread, NULL);
	expect_signals_of_faults_only(&mask);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(sigismember(&after, SIGUSR1), _i);
	ck_assert_int_eq(sigismember(&after, SIGTERM), 0);
	sigdelset(&after, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &after, NULL);
}

static void *
tell_stack_size(void *size)
{
	pthread_attr_t attr;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, size);
	pthread_attr_destroy(&attr);
	return NULL;
}

TEST(a_thread_has_the_stack_that_was_asked_for)
{
	pthread_t thread;
	size_t size = 0;

	ck_assert_int_eq(sks_thread_start(&thread, 192 * 1024, tell_stack_size, &size), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_ge(size, 192 * 1024);
	ck_assert_uint_lt(size, 2 * 1024 * 1024); /* a sanitizer adds to it, and the default is more */
}

TEST(a_thread_that_cannot_be_had_is_told)
{
	sigset_t mask;
	pthread_t thread;

	fault("pthread_create:EAGAIN:1");
	ck_fails(sks_thread_start(&thread, 0, look_at_signals, &mask), EAGAIN);
}

TEST(a_wait_ends_at_its_deadline)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	int64_t deadline = sks_clock_after(20);
	pthread_cond_t cond;
	int rc = 0;

	sks_cond_init(&cond);
	pthread_mutex_lock(&mutex);
	while (rc == 0)
		rc = sks_cond_wait_until(&cond, &mutex, deadline);
	pthread_mutex_unlock(&mutex);
	pthread_cond_destroy(&cond);
	ck_assert_int_eq(rc, ETIMEDOUT);
	ck_assert(sks_clock_ms() >= deadline);
}
