/* SPDX-License-Identifier: MIT */
#include "server/executor.h"

#include "base/sys.h"
#include "io/wait.h"

#include <errno.h>

void
sks_executor_init(struct sks_executor *executor, const struct sks_executor_ops *ops,
    struct sks_loop *loop, const struct sks_service *service)
{
	*executor = (struct sks_executor){
		.ops = ops,
		.loop = loop,
		.max_running = service->options.max_running,
	};
	sks_list_init(&executor->queue);
	sks_list_init(&executor->active);
}

void
sks_executor_free(struct sks_executor *executor)
{
	if (executor != NULL)
		executor->ops->free(executor);
}

int
sks_executor_is_full(const struct sks_executor *executor)
{
	return executor->running >= executor->max_running || !sks_list_empty(&executor->queue);
}

int
sks_executor_is_contended(const struct sks_executor *executor)
{
	return !sks_list_empty(&executor->queue);
}

static void
run_ended(struct sks_job *job)
{
	struct sks_call *call = sks_container_of(job, struct sks_call, job);

	sks_count(&call->service->active, -1);
	call->ended(call);
}

/* 0: it runs. -1: no means, and it is where it was. */
static int
start(struct sks_executor *executor, struct sks_call *call, int now)
{
	sks_list_append(&executor->active, &call->link);
	executor->running++;
	if (executor->ops->start(executor, call, now) == 0)
		return 0;
	executor->running--;
	sks_list_remove(&call->link);
	return -1;
}

void
sks_executor_submit(struct sks_executor *executor, struct sks_call *call)
{
	call->executor = executor;
	call->start_error = 0;
	call->finishing = 0;
	sks_count(&call->service->active, 1);
	if (!sks_executor_is_full(executor) && start(executor, call, !executor->loop->running_jobs) == 0)
		return;
	if (executor->running > 0) { /* then one of them will end, and this one start */
		sks_list_append(&executor->queue, &call->link);
		return;
	}
	call->start_error = errno != 0 ? errno : ENOMEM;
	sks_list_init(&call->job.link);
	call->job.run = run_ended;
	sks_loop_defer(executor->loop, &call->job);
}

static void
start_waiting(struct sks_executor *executor)
{
	while (executor->running < executor->max_running && !sks_list_empty(&executor->queue)) {
		struct sks_list *link = sks_list_pop(&executor->queue);
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);

		if (start(executor, call, 0) == 0)
			continue;
		if (executor->running > 0) {
			sks_list_push(&executor->queue, &call->link);
			return;
		}
		call->start_error = errno;
		sks_count(&call->service->active, -1);
		call->ended(call);
	}
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
	struct sks_list *link, *after;

	sks_list_each (link, after, &executor->active) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);

		if (call->task != NULL && !call->finishing)
			sks_wait_cancel(call->task);
	}
}

void
sks_executor_abort(struct sks_executor *executor)
{
	struct sks_list *link, *after;

	sks_executor_cancel(executor);
	sks_list_each (link, after, &executor->active) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);

		if (call->task != NULL && call->finishing) {
			call->task->deadline = 0;
			sks_wait_end(call->task, ETIMEDOUT);
		}
	}
}

struct sks_call *
sks_executor_unqueue(struct sks_executor *executor)
{
	struct sks_list *link = sks_list_pop(&executor->queue);
	struct sks_call *call;

	if (link == NULL)
		return NULL;
	call = sks_list_entry(link, struct sks_call, link);
	sks_count(&call->service->active, -1);
	return call;
}
