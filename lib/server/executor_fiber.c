/* SPDX-License-Identifier: MIT */
/*
 * Calls on fibers of one loop. With max_running 1 this is Python's plain
 * server: one request at a time, while the loop's timers, its listeners and a
 * shutdown go on working.
 */
#include "base/sys.h"
#include "fiber/fiber.h"
#include "task/child.h"
#include "loop/cancel.h"
#include "loop/wait.h"
#include "server/executor.h"

#include <errno.h>

struct fiber_executor {
	struct sks_executor base;
	struct sks_fiber_pool *pool;
};

static void
run_done(struct sks_job *job)
{
	sks_executor_done(sks_container_of(job, struct sks_call, job));
}

static void
run(void *arg)
{
	struct sks_call *call = arg;

	sks_executor_run(call, call->ops->run);
	/* run_done() is called on the loop's stack, when this fiber is back in its pool. */
	call->job.run = run_done;
	sks_loop_defer(call->executor->loop, &call->job);
}

/* A job, which other jobs wait for, does not wait for the handler. */
static int
start(struct sks_executor *executor, struct sks_call *call)
{
	struct fiber_executor *fe = sks_container_of(executor, struct fiber_executor, base);
	struct sks_fiber *fiber = sks_fiber_start(fe->pool, run, call);

	if (fiber == NULL)
		return -1;
	sks_loop_take_fiber(executor->loop, &fiber->task);
	fiber->task.origin = sks_call_origin(call);
	atomic_store(&call->task, &fiber->task);
	if (executor->loop->running_jobs)
		sks_loop_ready(executor->loop, &fiber->task);
	else
		sks_loop_resume(&fiber->task);
	return 0;
}

static void
evict(struct sks_executor *executor, struct sks_call *call)
{
	(void)executor;
	if (call->state == SKS_CALL_FINISHING)
		return;
	sks_cancel_fiber(call->task);
	sks_children_cancel(call->task);
}

static void
cancel(struct sks_executor *executor)
{
	sks_list_each (link, &executor->active)
		evict(executor, sks_list_entry(link, struct sks_call, link));
}

/* Ends the waits of finish hooks, which cancel() leaves alone. */
static void
end_finish_hooks(struct sks_executor *executor)
{
	sks_list_each (link, &executor->active) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);

		if (call->state == SKS_CALL_FINISHING) {
			sks_task_limit(call->task, 0, call->task->scope);
			sks_wait_wake(call->task, ETIMEDOUT);
			sks_children_cancel(call->task);
		}
	}
}

static void
stop(struct sks_executor *executor, enum sks_executor_stop how)
{
	if (how == SKS_EXECUTOR_CANCEL || how == SKS_EXECUTOR_ABORT)
		cancel(executor);
	if (how == SKS_EXECUTOR_ABORT)
		end_finish_hooks(executor);
}

/*
 * Lets the fibers that are left come to their ends. Where each of them waits for a helper thread,
 * which cannot be cancelled, there is nothing to do but to wait for a message of one.
 */
static void
await(struct sks_executor *executor)
{
	struct fiber_executor *fe = sks_container_of(executor, struct fiber_executor, base);

	sks_loop_run_ready(executor->loop);
	if (executor->running > 0 &&
	    executor->loop->certain_waits == sks_fiber_pool_live(fe->pool) &&
	    !sks_loop_has_ready(executor->loop))
		sks_loop_wait_inbox(executor->loop);
}

/* The memory of fibers that have not ended is lost. */
static void
forget(struct sks_executor *executor)
{
	struct fiber_executor *fe = sks_container_of(executor, struct fiber_executor, base);

	if (sks_fiber_pool_live(fe->pool) > 0)
		fe->pool = NULL;
}

static size_t
idle(struct sks_executor *executor)
{
	return sks_fiber_pool_idle(sks_container_of(executor, struct fiber_executor, base)->pool);
}

static void
free_executor(struct sks_executor *executor)
{
	struct fiber_executor *fe = sks_container_of(executor, struct fiber_executor, base);

	sks_fiber_pool_free(fe->pool);
	sks_sys_free(fe);
}

static const struct sks_executor_ops fiber_ops = {
	.start = start,
	.stop = stop,
	.evict = evict,
	.await = await,
	.forget = forget,
	.idle = idle,
	.free = free_executor,
};

struct sks_executor *
sks_fiber_executor_new(struct sks_loop *loop, const struct sks_service *service)
{
	struct fiber_executor *fe = sks_sys_calloc(1, sizeof(*fe));

	if (fe == NULL)
		return NULL;
	sks_executor_init(&fe->base, &fiber_ops, loop, service);
	fe->pool = sks_fiber_pool_new(service->options.stack_size);
	if (fe->pool != NULL)
		return &fe->base;
	sks_executor_free(&fe->base);
	return NULL;
}
