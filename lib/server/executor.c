/* SPDX-License-Identifier: MIT */
#include "server/executor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "stream/flush.h"

#include <errno.h>

#define GIVEN_UP_LINES 20
#define RETRY_MS 50
#define RETRY_MOST 100 /* five seconds */

static void on_retry(evutil_socket_t fd, short what, void *arg);
static void give_up(struct sks_job *job);

void
sks_executor_init(struct sks_executor *executor, const struct sks_executor_ops *ops,
    struct sks_loop *loop, const struct sks_service *service)
{
	int workers = service->options.workers;

	*executor = (struct sks_executor){ .ops = ops, .loop = loop };
	/* The limit is for the server, so each loop gets its share of it. */
	executor->max_running = service->options.max_running / workers +
	    (service->options.max_running % workers != 0);
	sks_list_init(&executor->queue);
	sks_list_init(&executor->active);
	executor->may_evict = service->options.make_room_ms != SKS_OFF;
	sks_event_assign(&executor->retry, loop->base, -1, 0, on_retry, executor);
	sks_list_init(&executor->give_up.link);
	executor->give_up.run = give_up;
}

void
sks_executor_free(struct sks_executor *executor)
{
	int error = errno;

	if (executor == NULL)
		return;
	sks_event_end(&executor->retry);
	sks_list_remove(&executor->give_up.link);
	executor->ops->free(executor);
	errno = error;
}

void
sks_executor_forget(struct sks_executor *executor)
{
	executor->ops->forget(executor);
}

int
sks_executor_has_copies(const struct sks_executor *executor)
{
	return executor->ops->has_copies != NULL && executor->ops->has_copies(executor);
}

size_t
sks_executor_idle(struct sks_executor *executor)
{
	return executor->ops->idle != NULL ? executor->ops->idle(executor) : 0;
}

void
sks_executor_run(struct sks_call *call, void (*run)(struct sks_call *))
{
	struct sks_task *task = sks_task_current();

	run(call);
	if (sks_list_empty(&task->dirty))
		return;
	task->deadline = sks_clock_after(call->service->options.linger_ms);
	sks_flush_end();
}

int
sks_executor_is_contended(const struct sks_executor *executor)
{
	return atomic_load(&executor->waiting) > 0;
}

int
sks_executor_is_full(const struct sks_executor *executor)
{
	return executor->running >= executor->max_running || executor->is_held ||
	    sks_executor_is_contended(executor);
}

/* Starts a call. 0, or -1: that is not possible now, and the call is where it was. */
static int
start(struct sks_executor *executor, struct sks_call *call)
{
	sks_list_append(&executor->active, &call->link);
	call->start_error = 0;
	atomic_fetch_add(&executor->running, 1);
	if (executor->ops->start(executor, call) == 0) {
		executor->tries = 0;
		return 0;
	}
	atomic_fetch_sub(&executor->running, 1);
	sks_list_remove(&call->link);
	return -1;
}

static void
enqueue(struct sks_executor *executor, struct sks_call *call)
{
	call->start_error = 0;
	sks_list_append(&executor->queue, &call->link);
	atomic_fetch_add(&executor->waiting, 1);
}

struct sks_call *
sks_executor_unqueue(struct sks_executor *executor)
{
	struct sks_list *link = sks_list_pop(&executor->queue);

	if (link == NULL)
		return NULL;
	atomic_fetch_sub(&executor->waiting, 1);
	return sks_list_entry(link, struct sks_call, link);
}

void
sks_executor_notify_wait(struct sks_executor *executor)
{
	if (executor->on_wait != NULL && !executor->is_held && !sks_list_empty(&executor->queue))
		executor->on_wait(executor->arg);
}

/*
 * Where no call runs, none ends and makes room for another: the executor looks again soon. When
 * there is no memory for that timer, the first call that waits is refused.
 */
static void
try_again_soon(struct sks_executor *executor)
{
	if (executor->running > 0 || executor->is_held || sks_list_empty(&executor->queue) ||
	    event_pending(&executor->retry, EV_TIMEOUT, NULL) ||
	    !sks_list_empty(&executor->give_up.link))
		return;
	if (sks_event_add(&executor->retry, RETRY_MS) == -1)
		sks_loop_defer(executor->loop, &executor->give_up);
}

void
sks_executor_submit(struct sks_executor *executor, struct sks_call *call)
{
	call->executor = executor;
	if (!sks_executor_is_full(executor) && start(executor, call) == 0)
		return;
	enqueue(executor, call);
	try_again_soon(executor);
	sks_executor_notify_wait(executor);
}

static void
start_waiting(struct sks_executor *executor)
{
	struct sks_call *call;

	while (executor->running < executor->max_running && !executor->is_held &&
	    (call = sks_executor_unqueue(executor)) != NULL) {
		if (start(executor, call) == 0)
			continue;
		call->start_error = errno;
		sks_list_push(&executor->queue, &call->link);
		atomic_fetch_add(&executor->waiting, 1);
		try_again_soon(executor);
		break;
	}
}

void
sks_executor_hold(struct sks_executor *executor, int is_held)
{
	if (atomic_exchange(&executor->is_held, is_held) == is_held)
		return;
	start_waiting(executor);
	sks_executor_notify_wait(executor);
}

/* The first call that waits ends without having run. */
static void
refuse_first(struct sks_executor *executor)
{
	struct sks_call *call = sks_executor_unqueue(executor);

	if (call == NULL)
		return;
	if (call->start_error == 0)
		call->start_error = ENOMEM;
	call->ops->ended(call);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct sks_executor *executor = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(executor->loop))
		return;
	start_waiting(executor);
	if (executor->running == 0 && ++executor->tries >= RETRY_MOST)
		refuse_first(executor);
	executor->on_room(executor->arg);
}

static void
give_up(struct sks_job *job)
{
	struct sks_executor *executor = sks_container_of(job, struct sks_executor, give_up);

	if (executor->running == 0)
		refuse_first(executor);
	try_again_soon(executor);
}

void
sks_executor_done(struct sks_call *call)
{
	struct sks_executor *executor = call->executor;
	int was_full = sks_executor_is_full(executor);

	atomic_fetch_sub(&executor->running, 1);
	sks_list_remove(&call->link);
	atomic_store(&call->task, NULL);
	call->ops->ended(call); /* may free it, or submit it again behind the others */
	if (!was_full)
		return;
	start_waiting(executor);
	executor->on_room(executor->arg);
}

void
sks_executor_log_given_up(const struct sks_executor *executor)
{
	int n = 0;

	sks_list_each (link, &executor->active)
		if (n++ < GIVEN_UP_LINES)
			sks_call_log_given_up(sks_list_entry(link, struct sks_call, link));
	if (n > GIVEN_UP_LINES)
		sks_log_about(NULL, SKS_LOG_WARN, 0, "and %d more", n - GIVEN_UP_LINES);
}

void
sks_executor_stop(struct sks_executor *executor, enum sks_executor_stop how)
{
	executor->ops->stop(executor, how);
	if (how == SKS_EXECUTOR_ABORT && executor->running > 0)
		executor->ops->await(executor);
}

void
sks_executor_reset(struct sks_executor *executor)
{
	if (executor->ops->reset != NULL)
		executor->ops->reset(executor);
}
