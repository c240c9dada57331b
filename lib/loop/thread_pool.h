/* SPDX-License-Identifier: MIT */
/*
 * thread_pool.h - threads that run work: the helpers of loops, and the threads of handlers.
 *
 * A thread is made when work finds none idle, and is kept idle for ten seconds. The thread that
 * was busy last gets the next work. Work that finds neither an idle thread nor room for one more
 * thread waits in a queue of limited length. sks_thread_start() has what is true of all threads.
 *
 * All calls may be made on any thread.
 */
#ifndef SKS_LOOP_THREAD_POOL_H
#define SKS_LOOP_THREAD_POOL_H

#include "base/list.h"

#include <pthread.h>
#include <stddef.h>

struct sks_work {
	struct sks_list link;
	void (*run)(struct sks_work *);  /* on a thread of the pool */
	void (*done)(struct sks_work *); /* after run, on the same thread; may free the work */
	int detached;                    /* nobody waits for it any more; only the pool uses this */
};

struct sks_thread_pool {
	pthread_mutex_t lock;
	struct sks_list idle;    /* threads that wait for work, the one that was busy last first */
	struct sks_list busy;    /* threads that have work */
	struct sks_list queue;   /* work that waits for a thread */
	unsigned int threads;    /* idle, busy and detached ones together */
	unsigned int queued;     /* the length of queue */
	unsigned int most_threads;
	unsigned int most_queued;
};

/* A pool that exists as long as the process. */
#define SKS_THREAD_POOL(name, threads_at_most, queued_at_most)      \
	struct sks_thread_pool name = {                             \
		.lock = PTHREAD_MUTEX_INITIALIZER,                  \
		.idle = { &name.idle, &name.idle },                 \
		.busy = { &name.busy, &name.busy },                 \
		.queue = { &name.queue, &name.queue },              \
		.most_threads = threads_at_most,                    \
		.most_queued = queued_at_most,                      \
	}

/* Makes a pool without a thread. */
void sks_thread_pool_init(struct sks_thread_pool *pool, unsigned int most_threads,
    unsigned int most_queued);

/*
 * Has the work done. The thread is idle again before done() is called, so whoever learns from
 * done() that the work has ended finds the thread. 0, or -1: EAGAIN (too much work waits, or
 * there can be no thread), ENOMEM.
 */
int sks_thread_pool_submit(struct sks_thread_pool *pool, struct sks_work *work);

/*
 * Takes work back that no thread has begun. 1: it never will begin, and done is not called. 0: it
 * has begun, or has ended.
 */
int sks_thread_pool_cancel(struct sks_thread_pool *pool, struct sks_work *work);

/*
 * Says that nobody waits for the work any more, so that sks_thread_pool_stop() does not, either.
 * The work's done must not have been called yet.
 */
void sks_thread_pool_detach(struct sks_thread_pool *pool, struct sks_work *work);

/* Returns how many threads wait for work. */
size_t sks_thread_pool_idle(struct sks_thread_pool *pool);

/*
 * Ends all threads and waits for them, but for those whose work is detached: these end by
 * themselves when the work is done. The pool can be used again.
 */
void sks_thread_pool_stop(struct sks_thread_pool *pool);

/* Frees what a pool has, after sks_thread_pool_stop(); no work of it was detached. */
void sks_thread_pool_end(struct sks_thread_pool *pool);

/*
 * In a child process, which has a copy of the pool but none of its threads: forgets the threads,
 * with their work, which belongs to the parent. The lock must be free, or made anew.
 */
void sks_thread_pool_forget(struct sks_thread_pool *pool);

#endif
