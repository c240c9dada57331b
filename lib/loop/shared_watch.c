/* SPDX-License-Identifier: MIT */
/*
 * The guests of loops: sockets that come and go on any thread.
 *
 * One lock for all of them, taken when a guest comes, goes, or its loop does:
 * never for a wait. A lock for each loop could not be asked for, since the loop
 * may be gone.
 */
#include "loop/shared_watch.h"

#include "base/sys.h"

#include <pthread.h>

struct sks_guest {
	struct sks_watch watch;
	struct sks_list link;              /* of its home's lists */
	struct sks_guests *_Atomic home;   /* NULL: nobody's */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
sks_guests_init(struct sks_guests *guests, struct sks_watch_set *watches)
{
	guests->watches = watches;
	sks_list_init(&guests->here);
	sks_list_init(&guests->gone);
}

static void
free_gone(struct sks_guests *guests)
{
	struct sks_list *link;

	while ((link = sks_list_pop(&guests->gone)) != NULL) {
		struct sks_guest *guest = sks_list_entry(link, struct sks_guest, link);

		sks_watch_close(&guest->watch);
		sks_sys_free(guest);
	}
	atomic_store_explicit(&guests->some_gone, 0, memory_order_relaxed);
}

void
sks_guests_reap(struct sks_guests *guests)
{
	if (!atomic_load_explicit(&guests->some_gone, memory_order_relaxed))
		return;
	pthread_mutex_lock(&lock);
	free_gone(guests);
	pthread_mutex_unlock(&lock);
}

void
sks_guests_end(struct sks_guests *guests)
{
	struct sks_list *link;

	pthread_mutex_lock(&lock);
	while ((link = sks_list_pop(&guests->here)) != NULL) {
		struct sks_guest *guest = sks_list_entry(link, struct sks_guest, link);

		sks_watch_close(&guest->watch);
		atomic_store(&guest->home, NULL);
	}
	free_gone(guests);
	pthread_mutex_unlock(&lock);
}

static void
settle(struct sks_guest *guest, struct sks_guests *home, int fd)
{
	sks_watch_init(&guest->watch, home->watches, fd);
	guest->watch.shared = 1;
	pthread_mutex_lock(&lock);
	sks_list_append(&home->here, &guest->link);
	atomic_store(&guest->home, home);
	pthread_mutex_unlock(&lock);
}

struct sks_watch *
sks_guest_watch(struct sks_guest **at, int fd, struct sks_guests *mine)
{
	struct sks_guests *home;

	if (mine == NULL)
		return NULL;
	if (*at == NULL) {
		*at = sks_sys_calloc(1, sizeof(**at));
		if (*at == NULL)
			return NULL;
	}
	home = atomic_load_explicit(&(*at)->home, memory_order_relaxed);
	if (home == NULL)
		settle(*at, mine, fd);
	else if (home != mine || (*at)->watch.wake != NULL)
		return NULL;
	return &(*at)->watch;
}

void
sks_guest_leave(struct sks_guest **at, const struct sks_guests *mine)
{
	struct sks_guest *guest = *at;
	struct sks_guests *home;

	if (guest == NULL)
		return;
	*at = NULL;
	pthread_mutex_lock(&lock);
	home = atomic_load(&guest->home);
	if (home != NULL) {
		sks_list_remove(&guest->link);
		if (home == mine)
			sks_watch_close(&guest->watch);
		else {
			sks_watch_remove_threadsafe(&guest->watch);
			sks_list_append(&home->gone, &guest->link);
			atomic_store_explicit(&home->some_gone, 1, memory_order_relaxed);
			guest = NULL;
		}
	}
	pthread_mutex_unlock(&lock);
	sks_sys_free(guest);
}
