/* SPDX-License-Identifier: MIT */
/*
 * Calls on threads: for handlers that call what blocks.
 *
 * Threads are made when a call finds none idle, up to max_running, kept for a
 * while and reused, the one that was busy last first. They are only ever given
 * work by the loop and answer it by a message, so that connections belong to
 * the loop here as well: what is parked or lingers holds no thread.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "base/thread.h"
#include "loop/cancel.h"
#include "server/executor.h"

#include <errno.h>
#include <pthread.h>

#define IDLE_MS 10000

struct thread_executor {
	struct sks_executor base;
	struct sks_cancel cancel;
	pthread_mutex_t lock;
	struct sks_list idle; /* threads that wait for a call */
	struct sks_list gone; /* threads to be joined */
	int threads;          /* those that are not gone */
	pthread_cond_t quiet; /* threads has become 0 */
	int stop;
};

struct thread {
	struct sks_list link; /* in idle or gone */
	struct thread_executor *pool;
	pthread_t id;
	pthread_cond_t wake;
	struct sks_call *call;
};

static void
end_call(struct sks_message *message)
{
	sks_executor_done(sks_container_of(message, struct sks_call, message));
}

static void
run_call(struct thread_executor *pool, struct sks_call *call)
{
	struct sks_task *task = sks_task_current();

	sks_task_init(task);
	task->cancel = &pool->cancel;
	task->name = call->service->handler.name;
	task->peer = call->req.peer;
	task->peer_len = call->req.peer_len;
	atomic_store(&call->task, task);
	sks_executor_run(call, call->ops->run);
	atomic_store(&call->task, NULL); /* the thread may end before its word comes */
	call->message.run = end_call;
}

/* Under the lock. The next call; NULL: the thread should end. */
static struct sks_call *
next_call(struct thread *thread)
{
	struct thread_executor *pool = thread->pool;
	int64_t until = sks_clock_after(IDLE_MS);
	int rc = 0;

	while (thread->call == NULL && !pool->stop && rc == 0)
		rc = sks_cond_wait_until(&thread->wake, &pool->lock, until);
	return thread->call;
}

static void *
thread_main(void *arg)
{
	struct thread *thread = arg;
	struct thread_executor *pool = thread->pool;
	struct sks_call *call;

	pthread_mutex_lock(&pool->lock);
	while ((call = next_call(thread)) != NULL) {
		pthread_mutex_unlock(&pool->lock);
		run_call(pool, call);
		pthread_mutex_lock(&pool->lock);
		thread->call = NULL;
		sks_list_push(&pool->idle, &thread->link);
		/* Idle first, told then: the loop's next call finds this thread. */
		sks_loop_post(pool->base.loop, &call->message);
	}
	sks_list_remove(&thread->link);
	sks_list_append(&pool->gone, &thread->link);
	if (--pool->threads == 0)
		pthread_cond_signal(&pool->quiet);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void
free_thread(struct thread *thread)
{
	pthread_cond_destroy(&thread->wake);
	sks_sys_free(thread);
}

static void
join_gone(struct thread_executor *pool)
{
	struct sks_list gone, *link;

	sks_list_init(&gone);
	pthread_mutex_lock(&pool->lock);
	sks_list_move_all(&gone, &pool->gone);
	pthread_mutex_unlock(&pool->lock);
	while ((link = sks_list_pop(&gone)) != NULL) {
		struct thread *thread = sks_list_entry(link, struct thread, link);

		pthread_join(thread->id, NULL);
		free_thread(thread);
	}
}

/* A new thread with this call. 0, or -1 and errno. */
static int
add_thread(struct thread_executor *pool, struct sks_call *call)
{
	struct thread *thread = sks_sys_calloc(1, sizeof(*thread));
	int error;

	if (thread == NULL)
		return -1;
	sks_list_init(&thread->link);
	sks_cond_init(&thread->wake);
	thread->pool = pool;
	thread->call = call;
	pthread_mutex_lock(&pool->lock);
	pool->threads++;
	if (sks_thread_start(&thread->id, 0, thread_main, thread) == 0) {
		pthread_mutex_unlock(&pool->lock);
		return 0;
	}
	error = errno;
	pool->threads--;
	pthread_mutex_unlock(&pool->lock);
	free_thread(thread);
	errno = error;
	return -1;
}

static int
start(struct sks_executor *executor, struct sks_call *call, int now)
{
	struct thread_executor *pool = sks_container_of(executor, struct thread_executor, base);
	struct sks_list *link;
	int gone;

	(void)now;
	pthread_mutex_lock(&pool->lock);
	gone = !sks_list_empty(&pool->gone);
	link = sks_list_pop(&pool->idle);
	if (link != NULL) {
		struct thread *thread = sks_list_entry(link, struct thread, link);

		thread->call = call;
		pthread_cond_signal(&thread->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	if (gone)
		join_gone(pool);
	return link != NULL ? 0 : add_thread(pool, call);
}

static void
cancel(struct sks_executor *executor)
{
	sks_cancel_set(&sks_container_of(executor, struct thread_executor, base)->cancel, 1);
}

static void
reset(struct sks_executor *executor)
{
	struct thread_executor *pool = sks_container_of(executor, struct thread_executor, base);

	/* Those that are still running were cancelled and stay so. */
	if (executor->running > 0)
		return;
	sks_cancel_set(&pool->cancel, 0);
}

static void
await(struct sks_executor *executor)
{
	sks_loop_wait_inbox(executor->loop);
}

static void
free_executor(struct sks_executor *executor)
{
	struct thread_executor *pool = sks_container_of(executor, struct thread_executor, base);
	struct sks_list *link, *after;

	pthread_mutex_lock(&pool->lock);
	pool->stop = 1;
	sks_list_each (link, after, &pool->idle)
		pthread_cond_signal(&sks_list_entry(link, struct thread, link)->wake);
	while (pool->threads > 0)
		pthread_cond_wait(&pool->quiet, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	join_gone(pool);
	pthread_cond_destroy(&pool->quiet);
	pthread_mutex_destroy(&pool->lock);
	if (pool->cancel.fd != -1)
		sks_sys_close(pool->cancel.fd);
	sks_sys_free(pool);
}

static const struct sks_executor_ops thread_ops = {
	.start = start,
	.cancel = cancel,
	.reset = reset,
	.abort = cancel,
	.await = await,
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
	pthread_mutex_init(&pool->lock, NULL);
	sks_cond_init(&pool->quiet);
	sks_list_init(&pool->idle);
	sks_list_init(&pool->gone);
	if (sks_cancel_init(&pool->cancel) == -1) {
		int error = errno;

		sks_executor_free(&pool->base);
		errno = error;
		return NULL;
	}
	return &pool->base;
}
