/* SPDX-License-Identifier: MIT */
#include "server/executor.h"

#include "base/sys.h"
#include <errno.h>

#define RETRY_MS 50
#define RETRY_MOST 100 /* five seconds */

static void on_retry(evutil_socket_t fd, short what, void *arg);

void
sks_executor_init(struct sks_executor *executor, const struct sks_executor_ops *ops,
    struct sks_loop *loop, const struct sks_service *service)
{
	int workers = service->options.workers;

	*executor = (struct sks_executor){ .ops = ops, .loop = loop };
	/* The limit is the server's; one at a time is each loop's. */
	executor->max_running = service->options.max_running / workers +
	    (service->options.max_running % workers != 0);
	sks_list_init(&executor->queue);
	sks_list_init(&executor->active);
	event_assign(&executor->retry, loop->base, -1, 0, on_retry, executor);
}

void
sks_executor_free(struct sks_executor *executor)
{
	if (executor == NULL)
		return;
	event_del(&executor->retry);
	executor->ops->free(executor);
}

int
sks_executor_is_contended(const struct sks_executor *executor)
{
	return atomic_load_explicit(&executor->waiting, memory_order_relaxed) > 0;
}

int
sks_executor_is_full(const struct sks_executor *executor)
{
	return executor->running >= executor->max_running || sks_executor_is_contended(executor);
}

/* 0: it runs. -1: no means, and it is where it was. */
static int
start(struct sks_executor *executor, struct sks_call *call, int now)
{
	sks_list_append(&executor->active, &call->link);
	executor->running++;
	if (executor->ops->start(executor, call, now) == 0) {
		executor->tries = 0;
		return 0;
	}
	executor->running--;
	sks_list_remove(&call->link);
	return -1;
}

static void
enqueue(struct sks_executor *executor, struct sks_call *call)
{
	sks_list_append(&executor->queue, &call->link);
	atomic_fetch_add(&executor->waiting, 1);
}

static struct sks_call *
dequeue(struct sks_executor *executor)
{
	struct sks_list *link = sks_list_pop(&executor->queue);

	if (link == NULL)
		return NULL;
	atomic_fetch_sub(&executor->waiting, 1);
	return sks_list_entry(link, struct sks_call, link);
}

/* Where nothing runs nothing ends, so somebody else must free the means: look again soon. */
static void
wait_for_means(struct sks_executor *executor)
{
	if (executor->running == 0 && !event_pending(&executor->retry, EV_TIMEOUT, NULL))
		(void)sks_loop_add(&executor->retry, RETRY_MS);
}

void
sks_executor_submit(struct sks_executor *executor, struct sks_call *call)
{
	call->executor = executor;
	call->start_error = 0;
	call->finishing = 0;
	sks_count(&call->service->active, 1);
	if (!sks_executor_is_full(executor) &&
	    start(executor, call, !executor->loop->running_jobs) == 0)
		return;
	enqueue(executor, call);
	wait_for_means(executor);
}

static void
start_waiting(struct sks_executor *executor)
{
	struct sks_call *call;

	while (executor->running < executor->max_running && (call = dequeue(executor)) != NULL) {
		if (start(executor, call, 0) == 0)
			continue;
		call->start_error = errno;
		sks_list_push(&executor->queue, &call->link);
		atomic_fetch_add(&executor->waiting, 1);
		wait_for_means(executor);
		return;
	}
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct sks_executor *executor = arg;
	struct sks_call *call;

	(void)fd;
	(void)what;
	start_waiting(executor);
	if (executor->running > 0 || ++executor->tries < RETRY_MOST)
		return;
	/* It was long enough: the one at the head goes without. */
	call = dequeue(executor);
	if (call == NULL)
		return;
	if (call->start_error == 0)
		call->start_error = ENOMEM;
	sks_count(&call->service->active, -1);
	call->ended(call);
}

void
sks_executor_done(struct sks_call *call)
{
	struct sks_executor *executor = call->executor;

	executor->running--;
	sks_list_remove(&call->link);
	call->task = NULL;
	sks_count(&call->service->active, -1);
	call->ended(call); /* may free it, or submit it again behind the others */
	start_waiting(executor);
	if (executor->on_room != NULL)
		executor->on_room(executor->arg);
}

void
sks_executor_cancel(struct sks_executor *executor)
{
	executor->ops->cancel(executor);
}

void
sks_executor_reset(struct sks_executor *executor)
{
	if (executor->ops->reset != NULL)
		executor->ops->reset(executor);
}

void
sks_executor_abort(struct sks_executor *executor)
{
	executor->ops->abort(executor);
	if (executor->running > 0)
		executor->ops->await(executor);
}

struct sks_call *
sks_executor_unqueue(struct sks_executor *executor)
{
	struct sks_call *call = dequeue(executor);

	if (call != NULL)
		sks_count(&call->service->active, -1);
	return call;
}
