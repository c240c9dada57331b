/* SPDX-License-Identifier: MIT */
/*
 * One lock for all shared watches. It is taken when one is attached or closed, and
 * when a loop ends, never for a wait. A lock of each loop would not do: to take it,
 * the loop would have to be there still.
 */
#include "loop/shared_watch.h"

#include "base/fork.h"
#include "base/sys.h"

#include <pthread.h>

struct sks_shared_watch {
	struct sks_watch watch;
	struct sks_list link;                      /* in a list of its owner's */
	struct sks_shared_watches *_Atomic owner;  /* NULL: it is attached to no loop */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
sks_shared_watches_init(struct sks_shared_watches *all, struct sks_watch_set *watches)
{
	sks_fork_guard(&lock);
	all->watches = watches;
	sks_list_init(&all->attached);
	sks_list_init(&all->closed);
}

/* Under the lock. */
static void
free_closed(struct sks_shared_watches *all)
{
	struct sks_list *link;

	while ((link = sks_list_pop(&all->closed)) != NULL) {
		struct sks_shared_watch *w = sks_list_entry(link, struct sks_shared_watch, link);

		sks_watch_close(&w->watch);
		sks_sys_free(w);
	}
	atomic_store_explicit(&all->some_closed, 0, memory_order_relaxed);
}

void
sks_shared_watches_reap(struct sks_shared_watches *all)
{
	if (!atomic_load_explicit(&all->some_closed, memory_order_relaxed))
		return;
	pthread_mutex_lock(&lock);
	free_closed(all);
	pthread_mutex_unlock(&lock);
}

void
sks_shared_watches_end(struct sks_shared_watches *all)
{
	struct sks_list *link;

	pthread_mutex_lock(&lock);
	while ((link = sks_list_pop(&all->attached)) != NULL) {
		struct sks_shared_watch *w = sks_list_entry(link, struct sks_shared_watch, link);

		sks_watch_close(&w->watch);
		atomic_store(&w->owner, NULL);
	}
	free_closed(all);
	pthread_mutex_unlock(&lock);
}

static void
attach(struct sks_shared_watch *w, struct sks_shared_watches *owner, int fd)
{
	sks_watch_init(&w->watch, owner->watches, fd);
	w->watch.shared = 1;
	pthread_mutex_lock(&lock);
	sks_list_append(&owner->attached, &w->link);
	atomic_store(&w->owner, owner);
	pthread_mutex_unlock(&lock);
}

struct sks_watch *
sks_shared_watch_get(struct sks_shared_watch **at, int fd, struct sks_shared_watches *mine)
{
	struct sks_shared_watches *owner;

	if (mine == NULL)
		return NULL;
	if (*at == NULL) {
		*at = sks_sys_calloc(1, sizeof(**at));
		if (*at == NULL)
			return NULL;
	}
	owner = atomic_load_explicit(&(*at)->owner, memory_order_relaxed);
	if (owner == NULL)
		attach(*at, mine, fd);
	else if (owner != mine || (*at)->watch.wake != NULL)
		return NULL;
	return &(*at)->watch;
}

/* Under the lock. 1: its memory may be freed; 0: its loop will do that. */
static int
detach(struct sks_shared_watch *w, const struct sks_shared_watches *mine)
{
	struct sks_shared_watches *owner = atomic_load(&w->owner);

	if (owner == NULL)
		return 1;
	sks_list_remove(&w->link);
	if (owner == mine) {
		sks_watch_close(&w->watch);
		return 1;
	}
	sks_watch_remove_threadsafe(&w->watch);
	sks_list_append(&owner->closed, &w->link);
	atomic_store_explicit(&owner->some_closed, 1, memory_order_relaxed);
	return 0;
}

void
sks_shared_watch_close(struct sks_shared_watch **at, const struct sks_shared_watches *mine)
{
	struct sks_shared_watch *w = *at;
	int is_free;

	if (w == NULL)
		return;
	*at = NULL;
	pthread_mutex_lock(&lock);
	is_free = detach(w, mine);
	pthread_mutex_unlock(&lock);
	if (is_free)
		sks_sys_free(w);
}
