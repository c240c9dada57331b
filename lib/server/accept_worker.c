/* SPDX-License-Identifier: MIT */
/*
 * accept_worker.c - all the listeners of a worker.
 */
#include "server/accept.h"

#include <string.h>

int
sks_accept_start(struct sks_worker *worker)
{
	sks_list_each (link, &worker->listeners)
		if (sks_listener_start(sks_listener_of(link)) == -1)
			return -1;
	return 0;
}

void
sks_accept_restart(struct sks_worker *worker)
{
	if (sks_accept_start(worker) == -1)
		sks_loop_wake(worker->loop);
}

void
sks_accept_stop(struct sks_worker *worker)
{
	sks_list_each (link, &worker->listeners)
		sks_listener_stop(sks_listener_of(link));
}

void
sks_accept_finish(struct sks_worker *worker)
{
	sks_list_each (link, &worker->listeners)
		sks_listener_finish(sks_listener_of(link));
}

/*
 * A listener takes nothing more. is_idle: nothing is left of it, but the run may have ended within
 * the call that takes clients, which looks at it afterwards.
 */
static void
cut(struct sks_listener *l, int is_idle)
{
	l->end = SKS_LISTENER_SERVED;
	sks_listener_end(l);
	if (is_idle && l->is_taking)
		sks_listener_shut(l);
	else if (is_idle)
		sks_listener_close(l);
}

int
sks_accept_close(struct sks_worker *worker, const char *address, int is_idle)
{
	int n = 0;

	sks_list_each (link, &worker->listeners) {
		struct sks_listener *l = sks_listener_of(link);

		if (l->fd == -1 || strcmp(l->address, address) != 0)
			continue;
		n++;
		if (l->admission->is_open)
			sks_listener_finish(l);
		else
			cut(l, is_idle);
	}
	return n;
}

int
sks_accept_is_finishing(const struct sks_worker *worker)
{
	sks_list_each (link, &worker->listeners)
		if (sks_listener_is_finishing(sks_listener_of(link)))
			return 1;
	return 0;
}

void
sks_accept_cut(struct sks_worker *worker, int is_idle)
{
	sks_list_each (link, &worker->listeners)
		if (sks_listener_of(link)->end != SKS_LISTENER_STAYS)
			cut(sks_listener_of(link), is_idle);
}

void
sks_accept_end(struct sks_worker *worker)
{
	sks_accept_stop(worker);
	sks_listeners_close(&worker->listeners);
}

void
sks_accept_leave(struct sks_worker *worker, int datagrams_stay)
{
	sks_list_each (link, &worker->listeners)
		if (sks_listener_of(link)->type == SOCK_STREAM || !datagrams_stay)
			sks_listener_shut(sks_listener_of(link));
	sks_reserve_spend(&worker->reserve);
}
