/* SPDX-License-Identifier: MIT */
#include "server/worker.h"

#include "base/sys.h"
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>

/* What the calling thread serves, where it is one that sks_worker_start() has made. */
static _Thread_local const struct sks_service *served_here;

static struct sks_call *
pop_call(struct sks_list *calls)
{
	struct sks_list *link = sks_list_pop(calls);

	return link != NULL ? sks_list_entry(link, struct sks_call, link) : NULL;
}

/* Ends each call of a list. A call with a finish hook goes to the executor for that. */
static void
end_calls(struct sks_list *calls)
{
	struct sks_call *call;

	while ((call = pop_call(calls)) != NULL)
		call->ops->end(call);
}

/* Ends the calls of a list whose clients have sent nothing; the others wait for a last request. */
static void
leave_calls(struct sks_list *parked)
{
	struct sks_list calls;
	struct sks_call *call;

	sks_list_init(&calls);
	sks_list_move_all(&calls, parked);
	while ((call = pop_call(&calls)) != NULL) {
		sks_list_append(parked, &call->link);
		call->ops->leave(call);
	}
}

static void
close_calls(struct sks_list *calls)
{
	struct sks_call *call;

	while ((call = pop_call(calls)) != NULL)
		call->ops->close(call);
}

static void
end_queued(struct sks_worker *worker)
{
	struct sks_list queued;
	struct sks_call *call;

	/* All off the queue first: ending one may queue it again, for its finish. */
	sks_list_init(&queued);
	while ((call = sks_executor_unqueue(worker->executor)) != NULL) {
		sks_call_stop(call, SKS_STOP_CANCELLED);
		sks_list_append(&queued, &call->link);
	}
	end_calls(&queued);
}

/* Closes the connections that no task has, as they are. */
static void
close_idle(struct sks_worker *worker)
{
	close_calls(&worker->parked);
	close_calls(&worker->lingering);
}

/* Brings every request to its end: its waits answer ECANCELED, in finish ETIMEDOUT. */
static void
abort_all(struct sks_worker *worker)
{
	while (atomic_load(&worker->open) > 0) {
		end_calls(&worker->parked);
		end_queued(worker);
		sks_executor_stop(worker->executor, SKS_EXECUTOR_ABORT);
		sks_loop_run_inbox(worker->loop); /* a lock that was granted from elsewhere */
		sks_loop_run_ready(worker->loop);
		close_idle(worker);
	}
}

static void
act(struct sks_worker *worker, enum sks_order order)
{
	switch (order) {
	case SKS_ORDER_SERVE:
		break;
	case SKS_ORDER_DRAIN:
		leave_calls(&worker->parked);
		sks_executor_stop(worker->executor, SKS_EXECUTOR_DRAIN);
		break;
	case SKS_ORDER_CANCEL:
		end_calls(&worker->parked);
		end_queued(worker);
		sks_executor_stop(worker->executor, SKS_EXECUTOR_CANCEL);
		break;
	case SKS_ORDER_CLOSE:
		close_idle(worker);
		sks_executor_stop(worker->executor, SKS_EXECUTOR_CLOSE);
		break;
	case SKS_ORDER_KILL:
		if (!atomic_load(&worker->service->shared->freeing)) /* which has no time limit */
			sks_executor_log_given_up(worker->executor);
		sks_executor_stop(worker->executor, SKS_EXECUTOR_KILL);
		break;
	case SKS_ORDER_ABORT:
		abort_all(worker);
		if (worker->has_thread)
			sks_loop_stop(worker->loop);
		break;
	}
}

/* The server runs again. Orders of earlier runs that this loop has not seen are void. */
static void
begin_run(struct sks_worker *worker, unsigned int order)
{
	int is_reset = sks_worker_obeyed(worker) == SKS_ORDER_SERVE;

	worker->obeyed = order / SKS_ORDERS * SKS_ORDERS;
	if (!is_reset)
		sks_executor_reset(worker->executor);
}

static void
obey(struct sks_worker *worker)
{
	unsigned int order = atomic_load(&worker->order);

	if (order / SKS_ORDERS != worker->obeyed / SKS_ORDERS)
		begin_run(worker, order);
	/* The order is for what was sent here before it, too. */
	if (worker->has_thread && order > worker->obeyed)
		sks_loop_run_inbox(worker->loop);
	while (worker->obeyed < order) {
		worker->obeyed++;
		act(worker, sks_worker_obeyed(worker));
	}
}

static void
on_wake(void *arg)
{
	struct sks_worker *worker = arg;

	obey(worker);
	worker->woken(worker);
}

/*
 * Logs a handler, or a hook, that has kept its loop, with all other connections of it. While it
 * still does, the watchdog calls this less and less often.
 */
static void
on_stuck(void *arg, const struct sks_stuck *stuck)
{
	struct sks_service *service = ((struct sks_worker *)arg)->service;
	const char *what = stuck->hook != NULL ? stuck->hook : "the handler";

	if (!stuck->again)
		sks_count(service, blocked, 1);
	if (stuck->still)
		sks_log_about(&stuck->origin, SKS_LOG_WARN, 0,
		    "%s has kept its loop for %lld ms and still does", what,
		    (long long)stuck->ms);
	else
		sks_log_limited(&service->shared->blocks, 1, &stuck->origin, SKS_LOG_WARN, 0,
		    "%s kept its loop for %lld ms", what, (long long)stuck->ms);
}

static struct sks_executor *
new_executor(struct sks_loop *loop, const struct sks_service *service)
{
	switch (service->options.mode) {
	case SKS_THREADS:
		return sks_thread_executor_new(loop, service);
	case SKS_PROCESSES:
		return sks_process_executor_new(loop, service);
	default:
		return sks_fiber_executor_new(loop, service);
	}
}

int
sks_worker_init(struct sks_worker *worker, struct sks_service *service, struct event_base *base)
{
	const struct sks_options *o = &service->options;

	sks_list_init(&worker->parked);
	sks_list_init(&worker->lingering);
	sks_list_init(&worker->listeners);
	sks_reserve_init(&worker->reserve);
	if (sks_service_answers_rejected(service))
		sks_reserve_refill(&worker->reserve);
	worker->service = service;
	worker->loop = sks_loop_new(base);
	if (worker->loop == NULL)
		return -1;
	worker->loop->on_wake = on_wake;
	worker->loop->on_wake_arg = worker;
	worker->loop->watched.limit_ms = o->block_warn_ms == SKS_OFF ? 0 : o->block_warn_ms;
	worker->loop->watched.report = on_stuck;
	worker->loop->watched.arg = worker;
	worker->executor = new_executor(worker->loop, service);
	return worker->executor != NULL ? 0 : -1;
}

void
sks_worker_free(struct sks_worker *worker)
{
	if (worker->service != NULL)
		sks_reserve_spend(&worker->reserve);
	sks_event_end(&worker->look);
	sks_executor_free(worker->executor);
	sks_loop_free(worker->loop);
}

static void *
worker_main(void *arg)
{
	struct sks_worker *worker = arg;
	struct sks_loop *loop = worker->loop;

	served_here = worker->service;
	sks_loop_enter(loop);
	obey(worker);
	/* A loop forgets a stop from before it ran. */
	if (sks_worker_obeyed(worker) < SKS_ORDER_ABORT)
		(void)sks_loop_run(loop);
	sks_loop_shut(loop);
	return NULL;
}

int
sks_worker_start(struct sks_worker *worker)
{
	int error;

	if (worker->has_thread)
		return 0;
	if (sks_loop_open(worker->loop) == -1)
		return -1;
	worker->has_thread = 1;
	if (sks_thread_start(&worker->thread, 0, worker_main, worker) == 0) {
		/* At once, since until the thread runs this one would take the loop for its own. */
		worker->loop->thread = worker->thread;
		return 0;
	}
	error = errno;
	worker->has_thread = 0;
	sks_loop_shut(worker->loop);
	errno = error;
	return -1;
}

int
sks_worker_is_here(const struct sks_service *service)
{
	return served_here == service;
}

void
sks_worker_join(struct sks_worker *worker)
{
	if (worker->has_thread)
		pthread_join(worker->thread, NULL);
	worker->has_thread = 0;
}

void
sks_worker_order(struct sks_worker *worker, enum sks_order order)
{
	unsigned int run = atomic_load(&worker->order) / SKS_ORDERS + (order == SKS_ORDER_SERVE);

	atomic_store(&worker->order, run * SKS_ORDERS + (unsigned int)order);
	if (worker->has_thread)
		sks_loop_wake(worker->loop);
	else
		obey(worker);
}
