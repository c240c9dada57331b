/* SPDX-License-Identifier: MIT */
/*
 * A fork copies the pools but none of their threads. So the pools are locked around it, and
 * the child forgets the threads that it does not have, with their work, which belongs to
 * tasks of the parent. A process of one thread needs none of this, and a lock that is taken
 * would be a page to copy for parent and child.
 */
#include "loop/helpers.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/util.h"

#include <errno.h>
#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define IS_SINGLE_THREADED __libc_single_threaded
#endif
#endif
#ifndef IS_SINGLE_THREADED
#define IS_SINGLE_THREADED 0
#endif

#define IDLE_MS 10000

struct sks_helpers {
	pthread_mutex_t lock;
	struct sks_list idle;    /* threads that wait for work, the last one first */
	struct sks_list busy;    /* the others */
	struct sks_list queue;   /* work that waits for a thread */
	unsigned int threads;    /* of all kinds, the detached ones too */
	unsigned int queued;
	unsigned int most_threads;
	unsigned int most_queued;
};

struct thread {
	struct sks_list link; /* in idle or busy; if it is stopped, in the list of those to join */
	struct sks_helpers *pool;
	struct sks_work *work; /* until run has returned */
	pthread_t id;
	pthread_cond_t wake;
	int stop;             /* it ends and is joined */
	int detached;         /* it ends with its work, and is not joined */
};

#define POOL(name, n, q)                                            \
	struct sks_helpers name = {                                    \
		.lock = PTHREAD_MUTEX_INITIALIZER,                  \
		.idle = { &name.idle, &name.idle },                 \
		.busy = { &name.busy, &name.busy },                 \
		.queue = { &name.queue, &name.queue },              \
		.most_threads = n,                                  \
		.most_queued = q,                                   \
	}

POOL(sks_helpers_offload, 32, 1024);
POOL(sks_helpers_resolve, SKS_HELPERS_LOOKUPS, 0);

static struct sks_helpers *const pools[] = { &sks_helpers_offload, &sks_helpers_resolve };

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;

/* -- around a fork -- */

static int locked; /* is itself under the locks */

static void
lock_all(void)
{
	size_t i;

	if (IS_SINGLE_THREADED)
		return;
	pthread_mutex_lock(&users_lock);
	for (i = 0; i < SKS_ARRAY_LEN(pools); i++)
		pthread_mutex_lock(&pools[i]->lock);
	locked = 1;
}

static void
unlock_all(void)
{
	size_t i;

	if (!locked)
		return;
	locked = 0;
	for (i = SKS_ARRAY_LEN(pools); i-- > 0;)
		pthread_mutex_unlock(&pools[i]->lock);
	pthread_mutex_unlock(&users_lock);
}

/*
 * Without pthread_cond_destroy(), which waits in glibc until all waiters have left: they do not
 * exist in the child.
 */
static void
forget(struct sks_list *threads)
{
	struct sks_list *link;

	while ((link = sks_list_pop(threads)) != NULL)
		sks_sys_free(sks_list_entry(link, struct thread, link));
}

static void
forget_all(void)
{
	size_t i;

	if (!locked)
		return;
	for (i = 0; i < SKS_ARRAY_LEN(pools); i++) {
		forget(&pools[i]->idle);
		forget(&pools[i]->busy);
		sks_list_init(&pools[i]->queue);
		pools[i]->threads = 0;
		pools[i]->queued = 0;
	}
	unlock_all();
}

static void
watch_forks(void)
{
	(void)pthread_atfork(lock_all, unlock_all, forget_all);
}

/* -- the threads -- */

static struct sks_work *
take_queued(struct sks_helpers *pool)
{
	struct sks_list *link = sks_list_pop(&pool->queue);

	if (link == NULL)
		return NULL;
	pool->queued--;
	return sks_list_entry(link, struct sks_work, link);
}

/*
 * Under the lock, which is given back meanwhile. The thread becomes idle before done() is
 * called, as a caller that then submits more work must find it.
 */
static void
do_work(struct thread *thread)
{
	struct sks_helpers *pool = thread->pool;
	struct sks_work *work = thread->work;

	pthread_mutex_unlock(&pool->lock);
	work->run(work);
	pthread_mutex_lock(&pool->lock);
	if (thread->detached)
		thread->work = NULL;
	else if ((thread->work = take_queued(pool)) == NULL && !thread->stop) {
		sks_list_remove(&thread->link);
		sks_list_push(&pool->idle, &thread->link);
	}
	pthread_mutex_unlock(&pool->lock);
	work->done(work);
	pthread_mutex_lock(&pool->lock);
}

/* Under the lock. */
static void
wait_for_work(struct thread *thread)
{
	int64_t until = sks_clock_after(IDLE_MS);
	int rc = 0;

	while (thread->work == NULL && !thread->stop && rc == 0)
		rc = sks_cond_wait_until(&thread->wake, &thread->pool->lock, until);
}

static void
free_thread(struct thread *thread)
{
	pthread_cond_destroy(&thread->wake);
	sks_sys_free(thread);
}

static void *
thread_main(void *arg)
{
	struct thread *thread = arg;
	struct sks_helpers *pool = thread->pool;
	int joined;

	pthread_mutex_lock(&pool->lock);
	while (thread->work != NULL) {
		do_work(thread);
		if (thread->work == NULL && !thread->detached)
			wait_for_work(thread);
	}
	joined = thread->stop;
	pool->threads--;
	if (!joined) /* else stop_pool() has the link in its list */
		sks_list_remove(&thread->link);
	pthread_mutex_unlock(&pool->lock);
	if (!joined) {
		pthread_detach(pthread_self());
		free_thread(thread);
	}
	return NULL;
}

static struct thread *
new_thread(struct sks_helpers *pool, struct sks_work *work)
{
	struct thread *thread = sks_sys_calloc(1, sizeof(*thread));

	if (thread == NULL)
		return NULL;
	sks_list_init(&thread->link);
	sks_cond_init(&thread->wake);
	thread->pool = pool;
	thread->work = work;
	return thread;
}

/* Under the lock. Makes one more thread for this work. 0, or -1. */
static int
add_thread(struct sks_helpers *pool, struct sks_work *work)
{
	struct thread *thread = new_thread(pool, work);
	int error;

	if (thread == NULL)
		return -1;
	if (sks_thread_start(&thread->id, 0, thread_main, thread) == -1) {
		error = errno;
		free_thread(thread);
		errno = error;
		return -1;
	}
	pool->threads++;
	sks_list_append(&pool->busy, &thread->link);
	return 0;
}

/* Under the lock. 1: an idle thread has got the work. 0: none is idle. */
static int
give_to_idle(struct sks_helpers *pool, struct sks_work *work)
{
	struct sks_list *link = sks_list_pop(&pool->idle);
	struct thread *thread;

	if (link == NULL)
		return 0;
	thread = sks_list_entry(link, struct thread, link);
	sks_list_append(&pool->busy, link);
	thread->work = work;
	pthread_cond_signal(&thread->wake);
	return 1;
}

/* Under the lock. */
static int
put(struct sks_helpers *pool, struct sks_work *work)
{
	if (give_to_idle(pool, work) ||
	    (pool->threads < pool->most_threads && add_thread(pool, work) == 0))
		return 0;
	if (pool->threads == 0)
		return -1;
	if (pool->queued == pool->most_queued) {
		errno = EAGAIN;
		return -1;
	}
	sks_list_append(&pool->queue, &work->link);
	pool->queued++;
	return 0;
}

int
sks_helpers_submit(struct sks_helpers *pool, struct sks_work *work)
{
	int rc;

	sks_list_init(&work->link);
	work->detached = 0;
	pthread_mutex_lock(&pool->lock);
	rc = put(pool, work);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

int
sks_helpers_cancel(struct sks_helpers *pool, struct sks_work *work)
{
	int waits;

	pthread_mutex_lock(&pool->lock);
	waits = !sks_list_empty(&work->link);
	if (waits) {
		sks_list_remove(&work->link);
		pool->queued--;
	}
	pthread_mutex_unlock(&pool->lock);
	return waits;
}

void
sks_helpers_detach(struct sks_helpers *pool, struct sks_work *work)
{
	pthread_mutex_lock(&pool->lock);
	work->detached = 1;
	pthread_mutex_unlock(&pool->lock);
}

/* -- its users -- */

void
sks_helpers_retain(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, watch_forks);
	pthread_mutex_lock(&users_lock);
	users++;
	pthread_mutex_unlock(&users_lock);
}

/* Under the lock. Has all threads end, and moves those that are to be joined. */
static void
stop_threads(struct sks_list *threads, struct sks_list *stopped)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, threads) {
		struct thread *thread = sks_list_entry(link, struct thread, link);

		if (thread->work != NULL && thread->work->detached) {
			thread->detached = 1;
			continue;
		}
		thread->stop = 1;
		pthread_cond_signal(&thread->wake);
		sks_list_remove(&thread->link);
		sks_list_append(stopped, &thread->link);
	}
}

static void
stop_pool(struct sks_helpers *pool)
{
	struct sks_list stopped, *link;

	sks_list_init(&stopped);
	pthread_mutex_lock(&pool->lock);
	stop_threads(&pool->idle, &stopped);
	stop_threads(&pool->busy, &stopped);
	pthread_mutex_unlock(&pool->lock);
	while ((link = sks_list_pop(&stopped)) != NULL) {
		struct thread *thread = sks_list_entry(link, struct thread, link);

		pthread_join(thread->id, NULL);
		free_thread(thread);
	}
}

void
sks_helpers_release(void)
{
	size_t i;

	/* Held to the end: a new user finds no threads that are about to end. */
	pthread_mutex_lock(&users_lock);
	if (--users == 0)
		for (i = 0; i < SKS_ARRAY_LEN(pools); i++)
			stop_pool(pools[i]);
	pthread_mutex_unlock(&users_lock);
}
