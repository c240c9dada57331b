/* SPDX-License-Identifier: MIT */
/*
 * signals.h - the signal mask of the library's own threads.
 */
#ifndef SKS_BASE_SIGNALS_H
#define SKS_BASE_SIGNALS_H

#include <pthread.h>
#include <signal.h>

/*
 * Around a pthread_create(3). Signals are the host's and must find the host's
 * own threads, except those of a thread's own faults: to the kernel, a blocked
 * one of these is fatal, and nobody's handler would see it.
 */
static inline void
sks_signals_block(sigset_t *old)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_BLOCK, &set, old);
}

static inline void
sks_signals_restore(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

#endif
