/* SPDX-License-Identifier: MIT */
#include "server/stop_signals.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define SLOTS 32

static struct slot {
	_Atomic(atomic_int *) stop;
	struct sks_loop *loop;
	sigset_t mask; /* of the serving thread, as it was before */
} slots[SLOTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int used;
static atomic_int handling; /* handlers running now, on whichever thread */
static struct sigaction old_int, old_term;

static void
on_signal(int signo)
{
	int i;

	(void)signo;
	atomic_fetch_add(&handling, 1);
	for (i = 0; i < SLOTS; i++) {
		atomic_int *stop = atomic_load(&slots[i].stop);

		if (stop == NULL)
			continue;
		atomic_store(stop, atomic_load(stop) == 0 ? 1 : 2);
		sks_loop_wake(slots[i].loop);
	}
	atomic_fetch_sub(&handling, 1);
}

/* A signal that is ignored stays so, as shells ignore SIGINT for what runs in the background. */
static void
catch_signal(int signo, const struct sigaction *action, struct sigaction *old)
{
	sigaction(signo, NULL, old);
	if (old->sa_handler != SIG_IGN)
		sigaction(signo, action, NULL);
}

/* Lets both signals through to this thread, where a parent, or the host, may have blocked them. */
static void
unblock(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, old);
}

int
sks_stop_signals_add(atomic_int *stop, struct sks_loop *loop)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < SLOTS && atomic_load(&slots[i].stop) != NULL; i++)
		;
	if (i == SLOTS) {
		pthread_mutex_unlock(&lock);
		sks_logf("stop_signals: more than %d servers", SLOTS);
		errno = ENOBUFS;
		return -1;
	}
	slots[i].loop = loop;
	atomic_store(&slots[i].stop, stop);
	if (used++ == 0) {
		sigemptyset(&action.sa_mask);
		catch_signal(SIGINT, &action, &old_int);
		catch_signal(SIGTERM, &action, &old_term);
	}
	pthread_mutex_unlock(&lock);
	unblock(&slots[i].mask);
	return 0;
}

void
sks_stop_signals_remove(atomic_int *stop)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; atomic_load(&slots[i].stop) != stop; i++)
		;
	pthread_sigmask(SIG_SETMASK, &slots[i].mask, NULL);
	if (--used == 0) {
		sigaction(SIGINT, &old_int, NULL);
		sigaction(SIGTERM, &old_term, NULL);
	}
	atomic_store(&slots[i].stop, NULL);
	pthread_mutex_unlock(&lock);
	/* A handler that runs now may still have the pointers. */
	while (atomic_load(&handling) > 0)
		sched_yield();
}
