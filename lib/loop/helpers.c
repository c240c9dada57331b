/* SPDX-License-Identifier: MIT */
/*
 * The helper threads, and what a fork does to them.
 *
 * A fork copies the pools but none of their threads. So the pools are locked around it, and
 * the child forgets the threads that it does not have, with their work, which belongs to
 * tasks of the parent.
 */
#include "loop/helpers.h"

#include "base/util.h"

SKS_THREAD_POOL(sks_helpers_offload, 32, 1024);
SKS_THREAD_POOL(sks_helpers_resolve, SKS_HELPERS_LOOKUPS, 0);

static struct sks_thread_pool *const pools[] = { &sks_helpers_offload, &sks_helpers_resolve };

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;

static void
lock_all(void)
{
	size_t i;

	pthread_mutex_lock(&users_lock);
	for (i = 0; i < SKS_ARRAY_LEN(pools); i++)
		pthread_mutex_lock(&pools[i]->lock);
}

static void
unlock_all(void)
{
	size_t i;

	for (i = SKS_ARRAY_LEN(pools); i-- > 0;)
		pthread_mutex_unlock(&pools[i]->lock);
	pthread_mutex_unlock(&users_lock);
}

static void
forget_all(void)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(pools); i++)
		sks_thread_pool_forget(pools[i]);
	unlock_all();
}

static void
watch_forks(void)
{
	(void)pthread_atfork(lock_all, unlock_all, forget_all);
}

void
sks_helpers_retain(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, watch_forks);
	pthread_mutex_lock(&users_lock);
	users++;
	pthread_mutex_unlock(&users_lock);
}

void
sks_helpers_release(void)
{
	size_t i;

	/* Held to the end: a new user finds no threads that are about to end. */
	pthread_mutex_lock(&users_lock);
	if (--users == 0)
		for (i = 0; i < SKS_ARRAY_LEN(pools); i++)
			sks_thread_pool_stop(pools[i]);
	pthread_mutex_unlock(&users_lock);
}
