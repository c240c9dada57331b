/* SPDX-License-Identifier: MIT */
/*
 * Counts forks, and holds locks during them.
 *
 * The numbers of processes, as getpid(2) tells them, would not do: a child may have
 * the number of its parent, in a namespace of its own.
 */
#include "base/fork.h"

#include <stddef.h>

#define GUARDED_MOST 8

unsigned int sks_forks, sks_forks_of_host;

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t *guarded[GUARDED_MOST];
static size_t guarded_count;
static struct sks_list locks = { &locks, &locks };

static void
before(void)
{
	size_t i;

	pthread_mutex_lock(&list_lock);
	for (i = 0; i < guarded_count; i++)
		pthread_mutex_lock(guarded[i]);
	sks_list_each (link, &locks)
		pthread_mutex_lock(&sks_list_entry(link, struct sks_fork_lock, link)->mutex);
}

static void
after(void)
{
	size_t i;

	sks_list_each (link, &locks)
		pthread_mutex_unlock(&sks_list_entry(link, struct sks_fork_lock, link)->mutex);
	for (i = guarded_count; i-- > 0;)
		pthread_mutex_unlock(guarded[i]);
	pthread_mutex_unlock(&list_lock);
}

static void
in_child(void)
{
	sks_forks++;
	sks_forks_of_host++;
	after();
}

static void
watch(void)
{
	(void)pthread_atfork(before, after, in_child);
}

void
sks_fork_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, watch);
}

void
sks_fork_guard(pthread_mutex_t *lock)
{
	size_t i;

	sks_fork_watch();
	pthread_mutex_lock(&list_lock);
	for (i = 0; i < guarded_count && guarded[i] != lock; i++)
		;
	if (i == guarded_count && i < GUARDED_MOST)
		guarded[guarded_count++] = lock;
	pthread_mutex_unlock(&list_lock);
}

void
sks_fork_lock_init(struct sks_fork_lock *lock)
{
	sks_fork_watch();
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_mutex_lock(&list_lock);
	sks_list_append(&locks, &lock->link);
	pthread_mutex_unlock(&list_lock);
}

void
sks_fork_lock_end(struct sks_fork_lock *lock)
{
	pthread_mutex_lock(&list_lock);
	sks_list_remove(&lock->link);
	pthread_mutex_unlock(&list_lock);
	pthread_mutex_destroy(&lock->mutex);
}

void
sks_fork_is_ours(void)
{
	sks_forks_of_host--;
}
