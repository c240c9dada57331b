/* SPDX-License-Identifier: MIT */
#include "loop/thread_pool.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/thread.h"

#include <errno.h>

#define IDLE_MS 10000

struct thread {
	struct sks_list link;  /* in idle or busy; at the end in a list of sks_thread_pool_stop() */
	struct sks_thread_pool *pool;
	struct sks_work *work; /* set until its run() has returned */
	pthread_t id;
	pthread_cond_t wake;
	int stop;              /* the thread is to end, and sks_thread_pool_stop() joins it */
	int detached;          /* the thread ends with its work, and nobody joins it */
};

void
sks_thread_pool_init(struct sks_thread_pool *pool, unsigned int most_threads,
    unsigned int most_queued)
{
	*pool = (struct sks_thread_pool){ .most_threads = most_threads,
		.most_queued = most_queued };
	pthread_mutex_init(&pool->lock, NULL);
	sks_list_init(&pool->idle);
	sks_list_init(&pool->busy);
	sks_list_init(&pool->queue);
}

/* -- the threads -- */

static struct sks_work *
take_queued(struct sks_thread_pool *pool)
{
	struct sks_list *link = sks_list_pop(&pool->queue);

	if (link == NULL)
		return NULL;
	pool->queued--;
	return sks_list_entry(link, struct sks_work, link);
}

/*
 * Runs the thread's work. The caller has the lock, which is released meanwhile. The thread becomes
 * idle before done() is called, since whoever then submits more work must find it.
 */
static void
do_work(struct thread *thread)
{
	struct sks_thread_pool *pool = thread->pool;
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

/* The thread sleeps, without the lock, until it has work, is to end, or was idle for IDLE_MS. */
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
	struct sks_thread_pool *pool = thread->pool;
	int joined;

	pthread_mutex_lock(&pool->lock);
	while (thread->work != NULL) {
		do_work(thread);
		if (thread->work == NULL && !thread->detached)
			wait_for_work(thread);
	}
	joined = thread->stop;
	pool->threads--;
	if (!joined) /* else sks_thread_pool_stop() has the link in its list */
		sks_list_remove(&thread->link);
	pthread_mutex_unlock(&pool->lock);
	if (!joined) {
		pthread_detach(pthread_self());
		free_thread(thread);
	}
	return NULL;
}

static struct thread *
new_thread(struct sks_thread_pool *pool, struct sks_work *work)
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
add_thread(struct sks_thread_pool *pool, struct sks_work *work)
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
give_to_idle(struct sks_thread_pool *pool, struct sks_work *work)
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

/* Under the lock. Gives the work to a thread, or puts it into the queue. 0, or -1 and errno. */
static int
put(struct sks_thread_pool *pool, struct sks_work *work)
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
sks_thread_pool_submit(struct sks_thread_pool *pool, struct sks_work *work)
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
sks_thread_pool_cancel(struct sks_thread_pool *pool, struct sks_work *work)
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
sks_thread_pool_detach(struct sks_thread_pool *pool, struct sks_work *work)
{
	pthread_mutex_lock(&pool->lock);
	work->detached = 1;
	pthread_mutex_unlock(&pool->lock);
}

size_t
sks_thread_pool_idle(struct sks_thread_pool *pool)
{
	size_t n = 0;

	pthread_mutex_lock(&pool->lock);
	sks_list_each (link, &pool->idle)
		n++;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

/* -- the end -- */

/* Under the lock. Has all threads end, and moves to `stopped` those that are to be joined. */
static void
stop_threads(struct sks_list *threads, struct sks_list *stopped)
{
	sks_list_each (link, threads) {
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

void
sks_thread_pool_stop(struct sks_thread_pool *pool)
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
sks_thread_pool_end(struct sks_thread_pool *pool)
{
	pthread_mutex_destroy(&pool->lock);
}

/*
 * Frees the structs of threads that do not exist in this child. pthread_cond_destroy() is not
 * called: in glibc it waits until all waiters have left, and these never will.
 */
static void
forget(struct sks_list *threads)
{
	struct sks_list *link;

	while ((link = sks_list_pop(threads)) != NULL)
		sks_sys_free(sks_list_entry(link, struct thread, link));
}

void
sks_thread_pool_forget(struct sks_thread_pool *pool)
{
	forget(&pool->idle);
	forget(&pool->busy);
	sks_list_init(&pool->queue);
	pool->threads = 0;
	pool->queued = 0;
}
