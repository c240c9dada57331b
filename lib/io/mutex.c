/* SPDX-License-Identifier: MIT */
/*
 * sks_mutex: a lock that fibers and threads share, and that may be held across
 * a wait.
 *
 * Unlocking hands the lock to who waits longest, so nobody is overtaken and a
 * woken waiter never has to ask again. The pthread mutex inside guards only
 * these few fields and is never held across a wait. A waiter is on its own
 * stack: a fiber of another loop is told by a message, and does not leave
 * before that message has been run.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "io/stream.h"
#include "io/wait.h"

#include <errno.h>
#include <pthread.h>
#include <socketserver/fiber.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sks_mutex {
	pthread_mutex_t guard;
	struct sks_task *holder;
	struct sks_list waiters;
};

struct waiter {
	struct sks_message message;
	struct sks_list link;
	struct sks_task *task;
	int granted;         /* under the guard */
	atomic_int told;     /* the wake-up has arrived */
	int fd;              /* a thread: the eventfd it polls */
};

struct sks_mutex *
sks_mutex_new(void)
{
	struct sks_mutex *mutex = sks_sys_calloc(1, sizeof(*mutex));

	if (mutex == NULL)
		return NULL;
	pthread_mutex_init(&mutex->guard, NULL);
	sks_list_init(&mutex->waiters);
	return mutex;
}

void
sks_mutex_free(struct sks_mutex *mutex)
{
	if (mutex == NULL)
		return;
	pthread_mutex_destroy(&mutex->guard);
	sks_sys_free(mutex);
}

/* Under the guard. 0 taken, or -1 with EBUSY or EDEADLK. */
static int
try(struct sks_mutex *mutex, struct sks_task *me)
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

	pthread_mutex_lock(&mutex->guard);
	rc = try(mutex, sks_task_current());
	pthread_mutex_unlock(&mutex->guard);
	return rc;
}

static int
wait_for(struct waiter *w)
{
	if (w->fd != -1)
		return sks_wait_any(w->fd, SKS_READ, SKS_NEVER) == -1 ? -1 : 0;
	if (sks_task_is_cancelled(w->task)) {
		errno = ECANCELED;
		return -1;
	}
	return sks_wait_parked(w->task->deadline);
}

int
sks_mutex_lock(struct sks_mutex *mutex)
{
	struct waiter w = { .task = sks_task_current(), .fd = -1 };
	int rc, error = 0;

	if (sks_mutex_trylock(mutex) == 0)
		return 0;
	if (errno != EBUSY)
		return -1;
	sks_flush_dirty();
	if (w.task->fiber == NULL) {
		w.fd = sks_sys_eventfd(0, EFD_CLOEXEC);
		if (w.fd == -1)
			return -1;
	}
	pthread_mutex_lock(&mutex->guard);
	rc = try(mutex, w.task);
	if (rc == 0)
		w.granted = 1;
	else
		sks_list_append(&mutex->waiters, &w.link);
	pthread_mutex_unlock(&mutex->guard);

	if (rc == -1) {
		if (wait_for(&w) == -1)
			error = errno;
		pthread_mutex_lock(&mutex->guard);
		if (!w.granted)
			sks_list_remove(&w.link);
		pthread_mutex_unlock(&mutex->guard);
		while (w.granted && !atomic_load(&w.told))
			sks_wait_turn();
	}
	if (w.fd != -1)
		close(w.fd);
	if (w.granted)
		return 0;
	errno = error;
	return -1;
}

static void
tell_fiber(struct sks_message *message)
{
	struct waiter *w = sks_container_of(message, struct waiter, message);
	struct sks_task *task = w->task;

	atomic_store(&w->told, 1);
	sks_wait_end(task, 0);
}

static void
tell(struct waiter *w)
{
	static const uint64_t one = 1;

	if (w->fd != -1) {
		(void)!write(w->fd, &one, sizeof(one));
		atomic_store(&w->told, 1); /* the waiter's last look: it may be gone after this */
		return;
	}
	w->message.run = tell_fiber;
	if (sks_loop_is_here(w->task->loop))
		tell_fiber(&w->message);
	else
		sks_loop_post(w->task->loop, &w->message);
}

int
sks_mutex_unlock(struct sks_mutex *mutex)
{
	struct sks_list *link;
	struct waiter *next = NULL;

	pthread_mutex_lock(&mutex->guard);
	if (mutex->holder != sks_task_current()) {
		pthread_mutex_unlock(&mutex->guard);
		errno = EPERM;
		return -1;
	}
	link = sks_list_pop(&mutex->waiters);
	if (link != NULL) {
		next = sks_list_entry(link, struct waiter, link);
		next->granted = 1;
	}
	mutex->holder = next != NULL ? next->task : NULL;
	pthread_mutex_unlock(&mutex->guard);
	if (next != NULL)
		tell(next);
	return 0;
}
