/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <signal.h>

static void
block_signals(sigset_t *old)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < SKS_ARRAY_LEN(faults); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_BLOCK, &set, old);
}

int
sks_thread_start(pthread_t *thread, size_t stack_size, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t old;
	int error;

	pthread_attr_init(&attr);
	if (stack_size > 0)
		(void)pthread_attr_setstacksize(&attr, stack_size);
	block_signals(&old); /* a new thread has the mask of the one that starts it */
	error = sks_sys_pthread_create(thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

void
sks_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int
sks_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline / 1000),
		.tv_nsec = (long)(deadline % 1000 * 1000000),
	};

	return pthread_cond_timedwait(cond, mutex, &until);
}
