/* SPDX-License-Identifier: MIT */
/*
 * sigpipe.h - around a system call that raises SIGPIPE where the peer is gone, and has no flag
 * against it, as send(2) has.
 *
 * The signal comes to the calling thread, and its disposition is the program's. So it is blocked
 * here and, if this call has raised it, taken away.
 */
#ifndef SKS_BASE_SIGPIPE_H
#define SKS_BASE_SIGPIPE_H

#include <errno.h>
#include <signal.h>
#include <time.h>

struct sks_sigpipe {
	sigset_t mask; /* the thread's own */
	int was_pending;
};

static inline void
sks_sigpipe_hold(struct sks_sigpipe *hold)
{
	sigset_t sigpipe, pending;

	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigemptyset(&pending);
	sigpending(&pending);
	hold->was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &hold->mask);
}

/* raised is 1 when the call has failed with EPIPE. Keeps errno. */
static inline void
sks_sigpipe_release(const struct sks_sigpipe *hold, int raised)
{
	static const struct timespec at_once;
	int saved = errno;
	sigset_t sigpipe;

	if (raised && !hold->was_pending) {
		sigemptyset(&sigpipe);
		sigaddset(&sigpipe, SIGPIPE);
		sigtimedwait(&sigpipe, NULL, &at_once);
	}
	pthread_sigmask(SIG_SETMASK, &hold->mask, NULL);
	errno = saved;
}

#endif
