/* SPDX-License-Identifier: MIT */
/*
 * Places, the quota of sks_handle_request(), and the choice of a worker.
 */
#include "server/admission.h"

/* Finds the worker with the fewest requests, those on their way to it included. */
static struct sks_worker *
least_loaded(const struct sks_admission *a)
{
	struct sks_worker *best = &a->workers[0];
	int i, least = atomic_load(&best->open);

	for (i = 1; i < a->service->options.workers; i++) {
		int open = atomic_load(&a->workers[i].open);

		if (open < least) {
			least = open;
			best = &a->workers[i];
		}
	}
	return best;
}

int
sks_admission_lacks_places(const struct sks_admission *a)
{
	return atomic_load(&a->service->shared->places) >= a->service->options.max_connections;
}

int
sks_admission_is_amid_claim(const struct sks_admission *a)
{
	int i, open = 0;

	for (i = 0; i < a->service->options.workers; i++)
		open += atomic_load(&a->workers[i].open);
	return open < atomic_load(&a->service->shared->places);
}

struct sks_worker *
sks_admission_next_crowded(struct sks_admission *a)
{
	unsigned int turn = atomic_fetch_add(&a->turn, 1);

	return &a->workers[turn % (unsigned int)a->service->options.workers];
}

static struct sks_worker *
find_room(const struct sks_admission *a, struct sks_worker *own, int needs_task)
{
	struct sks_worker *worker = own != NULL ? own : least_loaded(a);

	if (a->quota == 0 || sks_memory_is_full(a->service->memory) ||
	    sks_admission_lacks_places(a) ||
	    (needs_task && sks_executor_is_full(worker->executor)))
		return NULL;
	return worker;
}

struct sks_worker *
sks_admission_find_worker(struct sks_admission *a, struct sks_worker *own, int needs_task)
{
	struct sks_worker *worker;

	if (!a->is_open)
		return NULL;
	worker = find_room(a, own, needs_task);
	if (worker == NULL) {
		/* The last request may have ended before is_waiting was set: look again. */
		sks_admission_wait(a);
		worker = find_room(a, own, needs_task);
	}
	return worker;
}

/* With reuse_port another loop may have paused because this place was taken: it is woken. */
static void
give_back_place(struct sks_admission *a, struct sks_worker *worker)
{
	atomic_fetch_sub(&a->service->shared->places, 1);
	if (a->service->options.reuse_port)
		worker->released(worker);
}

/* Claims the place before the quota, so that a used up quota always means a taken place. */
int
sks_admission_claim(struct sks_admission *a, struct sks_worker *worker)
{
	int left = atomic_load(&a->quota), most = a->service->options.max_connections;

	if (atomic_fetch_add(&a->service->shared->places, 1) < most) {
		if (left < 0)
			return 1;
		while (left > 0)
			if (atomic_compare_exchange_weak(&a->quota, &left, left - 1))
				return 1;
	}
	give_back_place(a, worker);
	return 0;
}

void
sks_admission_unclaim(struct sks_admission *a, struct sks_worker *worker)
{
	if (atomic_load(&a->quota) >= 0)
		atomic_fetch_add(&a->quota, 1);
	give_back_place(a, worker);
}

void
sks_admission_wait(struct sks_admission *a)
{
	atomic_store(&a->is_waiting, 1);
}

int
sks_admission_stop_waiting(struct sks_admission *a)
{
	return atomic_load(&a->is_waiting) && atomic_exchange(&a->is_waiting, 0);
}

void
sks_admission_end_listener(struct sks_admission *a)
{
	if (atomic_fetch_sub(&a->alive, 1) == 1)
		sks_loop_wake(a->workers[0].loop); /* it was the last */
}

void
sks_admission_lose_listener(struct sks_admission *a, int error)
{
	a->error = error;
	sks_admission_end_listener(a);
}
