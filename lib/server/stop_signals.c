/* SPDX-License-Identifier: MIT */
#include "server/stop_signals.h"

#include "base/fork.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define SLOTS 32

/* A server that has run with stop_signals, and is not freed yet. */
static struct slot {
	_Atomic(atomic_int *) stop;
	struct sks_loop *loop;
	int runs; /* the server runs now; if it does not, another server may get its slot */
} slots[SLOTS];

static struct caught {
	int signo;
	int is_ours;          /* on_signal() is the action of the signal */
	struct sigaction old; /* the action before that */
} caught[] = { { .signo = SIGINT }, { .signo = SIGTERM } };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int used;            /* slots that have a server */
static int runs;            /* servers that run now */
static int stays;           /* the dispositions are never put back: sks_stop_signals_stay() */
static atomic_int process;  /* the process that the slots belong to; a child has a copy of them */
static atomic_uint forks;   /* sks_forks in that process */
static atomic_int handling; /* calls of on_signal() that run now, on all threads */

/*
 * The slots are a copy of the parent's. Two signs are compared, since neither is enough: a child in
 * a namespace of its own may have its parent's number, and one that was just forked has not counted
 * the fork yet.
 */
static int
is_child(void)
{
	return process != getpid() || forks != sks_forks;
}

static struct caught *
caught_of(int signo)
{
	return &caught[signo == caught[1].signo];
}

/*
 * In a child, which has inherited on_signal(): the signal does what it did before the server ran.
 */
static void
give_way(int signo)
{
	sigaction(signo, &caught_of(signo)->old, NULL);
	raise(signo); /* it is delivered when on_signal() has returned */
}

static void
on_signal(int signo)
{
	int i, error = errno;

	if (is_child()) {
		give_way(signo);
		errno = error;
		return;
	}
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

/* -- dispositions; all of it under the lock -- */

/* A signal that is ignored stays so, as shells ignore SIGINT for what runs in the background. */
static void
catch_signal(struct caught *c)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, now;

	sigemptyset(&action.sa_mask);
	sigaction(c->signo, NULL, &now);
	if (now.sa_handler == SIG_IGN || now.sa_handler == on_signal)
		return;
	c->old = now;
	c->is_ours = 1;
	sigaction(c->signo, &action, NULL);
}

/* Restores the host's disposition, unless the host has changed it meanwhile. */
static void
put_back(struct caught *c)
{
	struct sigaction now;

	if (!c->is_ours)
		return;
	c->is_ours = 0;
	sigaction(c->signo, NULL, &now);
	if (now.sa_handler == on_signal)
		sigaction(c->signo, &c->old, NULL);
}

/* The disposition that would be restored ends the process. */
static int
would_kill(const struct caught *c)
{
	return !(c->old.sa_flags & SA_SIGINFO) && c->old.sa_handler == SIG_DFL;
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

/* -- slots; all of it under the lock -- */

/* A child process has none of its parent's servers. */
static void
forget_parent(void)
{
	int i;

	if (!is_child())
		return;
	for (i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){ NULL };
	used = runs = 0;
	atomic_store(&handling, 0);
	process = getpid();
	forks = sks_forks;
}

/* Returns the slot with this flag, or a free one where stop is NULL. NULL: there is none. */
static struct slot *
slot_of(const atomic_int *stop)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (atomic_load(&slots[i].stop) == stop)
			return &slots[i];
	return NULL;
}

/* Returns a free slot, or the slot of a server that does not run. NULL: there is none. */
static struct slot *
find_slot(void)
{
	struct slot *slot = slot_of(NULL);
	int i;

	for (i = 0; slot == NULL && i < SLOTS; i++)
		if (!slots[i].runs)
			slot = &slots[i];
	return slot;
}

static int
take_slot(atomic_int *stop, struct sks_loop *loop)
{
	struct slot *slot = slot_of(stop);

	if (slot == NULL)
		slot = find_slot();
	if (slot == NULL)
		return -1;
	if (atomic_load(&slot->stop) == NULL)
		used++;
	slot->loop = loop;
	slot->runs = 1;
	atomic_store(&slot->stop, stop);
	return 0;
}

int
sks_stop_signals_begin(atomic_int *stop, struct sks_loop *loop, sigset_t *mask)
{
	size_t i;
	int rc;

	sks_fork_guard(&lock);
	pthread_mutex_lock(&lock);
	forget_parent();
	rc = take_slot(stop, loop);
	if (rc == 0 && runs++ == 0)
		for (i = 0; i < SKS_ARRAY_LEN(caught); i++)
			catch_signal(&caught[i]);
	pthread_mutex_unlock(&lock);
	if (rc == -1)
		return sks_fail(NULL, ENOBUFS, "stop_signals: more than %d servers", SLOTS);
	unblock(mask);
	return 0;
}

void
sks_stop_signals_end(atomic_int *stop, const sigset_t *mask)
{
	size_t i;

	pthread_sigmask(SIG_SETMASK, mask, NULL);
	pthread_mutex_lock(&lock);
	if (!is_child()) {
		slot_of(stop)->runs = 0;
		runs--;
		for (i = 0; runs == 0 && i < SKS_ARRAY_LEN(caught); i++)
			if (!would_kill(&caught[i]))
				put_back(&caught[i]);
	}
	pthread_mutex_unlock(&lock);
}

void
sks_stop_signals_forget(atomic_int *stop)
{
	int inherited = is_child(); /* its slots, and the count of handlers, are the parent's */
	struct slot *slot;
	size_t i;

	pthread_mutex_lock(&lock);
	slot = inherited ? NULL : slot_of(stop);
	if (slot != NULL) {
		for (i = 0; used == 1 && !stays && i < SKS_ARRAY_LEN(caught); i++)
			put_back(&caught[i]);
		atomic_store(&slot->stop, NULL);
		slot->runs = 0;
		used--;
	}
	pthread_mutex_unlock(&lock);
	/* A handler that runs now may still have the pointers. */
	while (!inherited && atomic_load(&handling) > 0)
		sched_yield();
}

void
sks_stop_signals_stay(void)
{
	pthread_mutex_lock(&lock);
	stays = 1;
	pthread_mutex_unlock(&lock);
}
