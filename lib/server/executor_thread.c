/* SPDX-License-Identifier: MIT */
/*
 * Calls on threads: for handlers that call what blocks.
 *
 * Threads only ever get work from the loop and answer it by a message, so that connections
 * belong to the loop here as well: what is parked or lingers holds no thread.
 */
#include "base/sys.h"
#include "loop/cancel.h"
#include "loop/thread_pool.h"
#include "server/executor.h"

#include <errno.h>

/* What ends the waits of the calls of a run. */
struct run_cancel {
	struct sks_cancel cancel;
	struct run_cancel *before; /* of runs whose calls did not end; they stay cancelled */
};

struct thread_executor {
	struct sks_executor base;
	struct run_cancel *_Atomic now;
	struct sks_thread_pool threads;
};

static struct thread_executor *
pool_of(struct sks_executor *executor)
{
	return sks_container_of(executor, struct thread_executor, base);
}

static struct sks_cancel *
cancel_of(struct sks_executor *executor)
{
	return &atomic_load(&pool_of(executor)->now)->cancel;
}

static void
run_work(struct sks_work *work)
{
	struct sks_call *call = sks_container_of(work, struct sks_call, work);
	struct sks_task *task = sks_task_current();

	sks_task_init(task);
	task->cancel = call->own_cancel != NULL ? call->own_cancel : cancel_of(call->executor);
	task->origin = sks_call_origin(call);
	atomic_store(&call->task, task);
	sks_executor_run(call, call->ops->run);
	atomic_store(&call->task, NULL); /* the thread may end before its message comes */
}

/* Without one, as descriptors are scarce, the call is not evicted. */
static struct sks_cancel *
new_own_cancel(const struct sks_cancel *all)
{
	struct sks_cancel *own = sks_sys_malloc(sizeof(*own));

	if (own != NULL && sks_cancel_init(own) == -1) {
		sks_sys_free(own);
		return NULL;
	}
	if (own != NULL)
		own->up = all;
	return own;
}

static void
free_own_cancel(struct sks_call *call)
{
	if (call->own_cancel == NULL)
		return;
	sks_cancel_end(call->own_cancel);
	sks_sys_free(call->own_cancel);
	call->own_cancel = NULL;
}

static void
end_call(struct sks_message *message)
{
	struct sks_call *call = sks_container_of(message, struct sks_call, message);

	free_own_cancel(call);
	sks_executor_done(call);
}

/* The thread is idle by now, so the loop's next call finds it. */
static void
work_done(struct sks_work *work)
{
	struct sks_call *call = sks_container_of(work, struct sks_call, work);

	call->message.run = end_call; /* in the place of work */
	sks_loop_post(call->executor->loop, &call->message);
}

static int
start(struct sks_executor *executor, struct sks_call *call)
{
	if (executor->may_evict)
		call->own_cancel = new_own_cancel(cancel_of(executor));
	call->work.run = run_work;
	call->work.done = work_done;
	if (sks_thread_pool_submit(&pool_of(executor)->threads, &call->work) == 0)
		return 0;
	free_own_cancel(call);
	return -1;
}

static void
evict(struct sks_executor *executor, struct sks_call *call)
{
	(void)executor;
	if (call->own_cancel != NULL)
		sks_cancel_set(call->own_cancel, 1);
}

static void
stop(struct sks_executor *executor, enum sks_executor_stop how)
{
	if (how == SKS_EXECUTOR_CANCEL || how == SKS_EXECUTOR_ABORT)
		sks_cancel_set(cancel_of(executor), 1);
}

/* Makes the cancel of a run. 0, or -1: EMFILE, ENFILE, ENOMEM, and the last one stays. */
static int
begin_run(struct thread_executor *pool)
{
	struct run_cancel *run = sks_sys_malloc(sizeof(*run));

	if (run == NULL)
		return -1;
	if (sks_cancel_init(&run->cancel) == -1) {
		sks_sys_free(run);
		return -1;
	}
	run->before = atomic_load(&pool->now);
	atomic_store(&pool->now, run);
	return 0;
}

/* Ends the cancels behind this one, which no call has any more. */
static void
end_runs_before(struct run_cancel *run)
{
	struct run_cancel *before;

	while ((before = run->before) != NULL) {
		run->before = before->before;
		sks_cancel_end(&before->cancel);
		sks_sys_free(before);
	}
}

/*
 * Calls that still run were cancelled before, and stay cancelled: where there are some the next run
 * has another cancel. Without means for it the calls of that run are cancelled, too.
 */
static void
reset(struct sks_executor *executor)
{
	struct thread_executor *pool = pool_of(executor);

	if (executor->running > 0) {
		if (atomic_load(&cancel_of(executor)->on))
			(void)begin_run(pool);
		return;
	}
	end_runs_before(atomic_load(&pool->now));
	sks_cancel_set(cancel_of(executor), 0);
}

static void
await(struct sks_executor *executor)
{
	sks_loop_wait_inbox(executor->loop);
}

static void
forget(struct sks_executor *executor)
{
	struct sks_thread_pool *threads = &pool_of(executor)->threads;

	pthread_mutex_init(&threads->lock, NULL); /* a thread of the parent may have had it */
	sks_thread_pool_forget(threads);
}

static size_t
idle(struct sks_executor *executor)
{
	return sks_thread_pool_idle(&pool_of(executor)->threads);
}

static void
free_executor(struct sks_executor *executor)
{
	struct thread_executor *pool = pool_of(executor);
	struct run_cancel last = { .before = atomic_load(&pool->now) };

	sks_thread_pool_stop(&pool->threads);
	sks_thread_pool_end(&pool->threads);
	end_runs_before(&last);
	sks_sys_free(pool);
}

static const struct sks_executor_ops thread_ops = {
	.start = start,
	.stop = stop,
	.evict = evict,
	.reset = reset,
	.await = await,
	.forget = forget,
	.idle = idle,
	.free = free_executor,
};

struct sks_executor *
sks_thread_executor_new(struct sks_loop *loop, const struct sks_service *service)
{
	struct thread_executor *pool = sks_sys_calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	sks_executor_init(&pool->base, &thread_ops, loop, service);
	pool->base.beside_loop = 1;
	sks_thread_pool_init(&pool->threads, (unsigned int)pool->base.max_running, 0);
	if (begin_run(pool) == 0)
		return &pool->base;
	sks_executor_free(&pool->base);
	return NULL;
}
