/* SPDX-License-Identifier: MIT */
/*
 * sks_mutex: a lock that fibers and threads share, and that may be held across a wait.
 *
 * Unlocking hands the lock to the task that has waited longest. So no task is overtaken, and
 * one that is woken has the lock. The pthread mutex inside guards only these few fields, and is
 * never held across a wait.
 */
#include "base/clock.h"
#include "base/fork.h"
#include "base/sys.h"
#include "stream/flush.h"
#include "loop/completion.h"

#include <errno.h>
#include <pthread.h>
#include <socketserver/fiber.h>

struct sks_mutex {
	struct sks_fork_lock guard;
	unsigned int forks; /* sks_forks when tasks began to wait */
	struct sks_task *holder;
	struct sks_list waiters;
};

struct sks_mutex *
sks_mutex_new(void)
{
	struct sks_mutex *mutex = sks_sys_calloc(1, sizeof(*mutex));

	if (mutex == NULL)
		return NULL;
	mutex->forks = sks_forks;
	sks_fork_lock_init(&mutex->guard);
	sks_list_init(&mutex->waiters);
	return mutex;
}

void
sks_mutex_free(struct sks_mutex *mutex)
{
	if (mutex == NULL)
		return;
	sks_fork_lock_end(&mutex->guard);
	sks_sys_free(mutex);
}

/* In a child process the tasks that wait are its parent's, and their stacks may be gone. */
static void
take_guard(struct sks_mutex *mutex)
{
	pthread_mutex_lock(&mutex->guard.mutex);
	if (mutex->forks == sks_forks)
		return;
	mutex->forks = sks_forks;
	sks_list_init(&mutex->waiters);
}

/* Under the guard: takes the lock if it is free. 0, or -1: EBUSY, EDEADLK. */
static int
try_lock(struct sks_mutex *mutex, struct sks_task *me)
{
	if (mutex->holder == NULL) {
		mutex->holder = me;
		return 0;
	}
	errno = mutex->holder == me ? EDEADLK : EBUSY;
	return -1;
}

int
sks_mutex_trylock(struct sks_mutex *mutex)
{
	int rc;

	take_guard(mutex);
	rc = try_lock(mutex, sks_task_current());
	pthread_mutex_unlock(&mutex->guard.mutex);
	return rc;
}

/* Takes the mutex for the task of w, or puts w in the queue and returns -1. */
static int
lock_or_queue(struct sks_mutex *mutex, struct sks_completion *w)
{
	int rc;

	take_guard(mutex);
	rc = try_lock(mutex, w->task);
	if (rc == -1)
		sks_list_append(&mutex->waiters, &w->link);
	pthread_mutex_unlock(&mutex->guard.mutex);
	return rc;
}

int
sks_mutex_lock(struct sks_mutex *mutex)
{
	struct sks_completion w;
	int rc;

	if (sks_mutex_trylock(mutex) == 0)
		return 0;
	if (errno != EBUSY)
		return -1;
	sks_flush_dirty();
	if (sks_completion_init(&w) == -1)
		return -1;
	rc = lock_or_queue(mutex, &w);
	if (rc == -1)
		rc = sks_completion_wait_in_list(&w, &mutex->guard.mutex);
	sks_completion_end(&w);
	return rc;
}

/* Takes the mutex on a thread that has no descriptor to wait with. Returns 0, or -1: EDEADLK. */
static int
ask_again_and_again(struct sks_mutex *mutex)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };

	while (sks_mutex_trylock(mutex) == -1) {
		if (errno != EBUSY)
			return -1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int
sks_mutex_lock_certain(struct sks_mutex *mutex)
{
	struct sks_completion w;

	if (sks_mutex_trylock(mutex) == 0)
		return 0;
	if (errno != EBUSY)
		return -1;
	sks_flush_dirty();
	if (sks_completion_init(&w) == -1)
		return ask_again_and_again(mutex);
	if (lock_or_queue(mutex, &w) == -1)
		sks_completion_wait_certain(&w);
	sks_completion_end(&w);
	return 0;
}

int
sks_mutex_unlock(struct sks_mutex *mutex)
{
	struct sks_completion *next;

	take_guard(mutex);
	if (mutex->holder != sks_task_current()) {
		pthread_mutex_unlock(&mutex->guard.mutex);
		errno = EPERM;
		return -1;
	}
	next = sks_completion_claim(&mutex->waiters);
	mutex->holder = next != NULL ? next->task : NULL;
	pthread_mutex_unlock(&mutex->guard.mutex);
	if (next != NULL)
		sks_complete(next);
	return 0;
}
