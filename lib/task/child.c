/* SPDX-License-Identifier: MIT */
/*
 * Children: sequential code that runs beside its parent, and does not outlive it.
 *
 * A child is of its parent's kind: a fiber of the same loop, or a thread. So a fiber and its
 * children need no lock, neither for data nor for streams, and a handler with children runs in
 * every mode. Children on other loops would have been one more way to use two processors, and
 * would have made a race of all that a handler has in common with them.
 *
 * A fiber cancels its children by walking down to them. A thread cannot touch the task of
 * another thread. So each child that is a thread has an eventfd, and polls those of all tasks
 * above it as well.
 */
#include "task/child.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/thread.h"
#include "fiber/fiber.h"
#include "loop/cancel.h"
#include "loop/completion.h"
#include "loop/wait.h"
#include "stream/flush.h"

#include <errno.h>
#include <socketserver/task.h>

struct sks_child {
	struct sks_list link;       /* among its parent's children */
	struct sks_task *parent;
	int (*run)(void *arg);
	void *arg;
	int nesting;                /* the parent's, when it was started */
	int cancelled;              /* by its parent, so that it will end soon */
	pthread_mutex_t lock;       /* of the next four */
	struct sks_task *task;      /* NULL: it has ended */
	struct sks_list joiners;    /* the parent, while it waits for the end */
	int result;
	int ended;
	/* Only of a thread: */
	pthread_t thread;
	struct sks_task own;
	struct sks_cancel cancel;
};

static int
is_thread(const struct sks_child *child)
{
	return child->parent->fiber == NULL;
}

/* -- the child's side -- */

/* Leaves what the child could not send to the parent, which has the stream. */
static void
leave_dirty(struct sks_child *child, struct sks_task *task)
{
	sks_flush_dirty();
	if (is_thread(child))
		while (sks_list_pop(&task->dirty) != NULL)
			;
	else
		sks_list_move_all(&child->parent->dirty, &task->dirty);
}

static void
run_child(struct sks_child *child, struct sks_task *task)
{
	struct sks_completion *joiner;
	int64_t scope = task->scope;
	int result = child->run(child->arg);

	sks_children_end(task);
	sks_task_limit(task, task->limit, scope);
	leave_dirty(child, task);
	pthread_mutex_lock(&child->lock);
	child->task = NULL;
	child->result = result;
	child->ended = 1;
	joiner = sks_completion_claim(&child->joiners);
	pthread_mutex_unlock(&child->lock);
	if (joiner != NULL)
		sks_complete(joiner);
}

static void
fiber_main(void *arg)
{
	run_child(arg, sks_task_current());
}

static void *
thread_main(void *arg)
{
	struct sks_child *child = arg;

	sks_task_now = &child->own;
	run_child(child, &child->own);
	return NULL;
}

/* -- starting -- */

static void
inherit(struct sks_task *task, const struct sks_task *parent)
{
	/*
	 * No deadline that the child sets is later than the parent's, as in a scope of the parent.
	 */
	sks_task_limit(task, SKS_NEVER, parent->deadline);
	task->origin = parent->origin;
	atomic_store(&task->cancelled, atomic_load(&parent->cancelled));
}

static int
start_fiber(struct sks_child *child)
{
	struct sks_task *parent = child->parent;
	struct sks_fiber *fiber = sks_fiber_start(parent->fiber->pool, fiber_main, child);

	if (fiber == NULL)
		return -1;
	sks_loop_take_fiber(parent->loop, &fiber->task);
	inherit(&fiber->task, parent);
	child->task = &fiber->task;
	sks_loop_ready(parent->loop, &fiber->task);
	return 0;
}

static unsigned int
depth(const struct sks_task *task)
{
	const struct sks_cancel *cancel;
	unsigned int n = 0;

	for (cancel = task->cancel; cancel != NULL; cancel = cancel->up)
		n++;
	return n;
}

/* From now on two threads may write. What is unsent must not stay in the list of one of them. */
static void
share_streams(struct sks_task *task)
{
	sks_flush_dirty();
	while (sks_list_pop(&task->dirty) != NULL)
		;
	task->shares++;
}

static int
start_thread(struct sks_child *child)
{
	struct sks_task *parent = child->parent;
	int error;

	if (depth(parent) == SKS_CANCEL_MOST) {
		errno = EAGAIN;
		return -1;
	}
	if (sks_cancel_init(&child->cancel) == -1)
		return -1;
	child->cancel.up = parent->cancel;
	sks_task_init(&child->own);
	inherit(&child->own, parent);
	child->own.cancel = &child->cancel;
	child->own.shares = 1;
	child->task = &child->own;
	share_streams(parent);
	if (sks_thread_start(&child->thread, 0, thread_main, child) == 0)
		return 0;
	error = errno;
	parent->shares--;
	sks_cancel_end(&child->cancel);
	errno = error;
	return -1;
}

struct sks_child *
sks_go(int (*run)(void *arg), void *arg)
{
	struct sks_child *child = sks_sys_calloc(1, sizeof(*child));
	struct sks_task *parent = sks_task_current();

	if (child == NULL)
		return NULL;
	child->parent = parent;
	child->run = run;
	child->arg = arg;
	child->nesting = parent->nesting;
	pthread_mutex_init(&child->lock, NULL);
	sks_list_init(&child->joiners);
	if ((is_thread(child) ? start_thread(child) : start_fiber(child)) == 0) {
		sks_list_append(&parent->children, &child->link);
		return child;
	}
	pthread_mutex_destroy(&child->lock);
	sks_sys_free(child);
	return NULL;
}

/* -- the end -- */

/* The child has ended, and its thread was joined. */
static void
free_child(struct sks_child *child)
{
	sks_list_remove(&child->link);
	if (is_thread(child)) {
		child->parent->shares--;
		sks_cancel_end(&child->cancel);
	}
	pthread_mutex_destroy(&child->lock);
	sks_sys_free(child);
}

/* Returns 1 when the child will complete w at its end, 0 when the child has ended already. */
static int
set_joiner(struct sks_child *child, struct sks_completion *w)
{
	int ended;

	pthread_mutex_lock(&child->lock);
	ended = child->ended;
	if (!ended)
		sks_list_append(&child->joiners, &w->link);
	pthread_mutex_unlock(&child->lock);
	return !ended;
}

/* Waits for the end. 0, or -1: the wait has failed. */
static int
await_end(struct sks_child *child)
{
	struct sks_completion w;
	int rc;

	if (sks_completion_init(&w) == -1)
		return -1;
	rc = set_joiner(child, &w) ? sks_completion_wait_in_list(&w, &child->lock) : 0;
	sks_completion_end(&w);
	return rc;
}

/* Waits for the end, whatever happens meanwhile. */
static void
await_certain_end(struct sks_child *child)
{
	struct sks_completion w;

	if (is_thread(child)) {
		pthread_join(child->thread, NULL);
		return;
	}
	(void)sks_completion_init(&w); /* cannot fail on a fiber */
	if (set_joiner(child, &w))
		sks_completion_wait_certain(&w);
}

/* Returns 1 when the wait for the child can end, or must end, by nothing but the child's end. */
static int
must_be_certain(const struct sks_child *child)
{
	const struct sks_task *task = child->parent;

	return child->cancelled ||
	    (is_thread(child) && task->cancel == NULL && task->deadline == SKS_NEVER);
}

int
sks_child_join(struct sks_child *child, int *result)
{
	if (child->parent != sks_task_current()) {
		errno = EINVAL;
		return -1;
	}
	sks_flush_dirty();
	if (!must_be_certain(child) && await_end(child) == -1)
		return -1;
	await_certain_end(child);
	if (result != NULL)
		*result = child->result;
	free_child(child);
	return 0;
}

void
sks_child_cancel(struct sks_child *child)
{
	if (child == NULL)
		return;
	child->cancelled = 1;
	if (is_thread(child))
		sks_cancel_set(&child->cancel, 1);
	else if (child->task != NULL) {
		sks_cancel_fiber(child->task);
		sks_children_cancel(child->task);
	}
}

void
sks_children_cancel(struct sks_task *task)
{
	sks_list_each (link, &task->children)
		sks_child_cancel(sks_list_entry(link, struct sks_child, link));
}

/* The oldest child of the innermost handler; NULL: there is none. */
static struct sks_child *
next_to_end(struct sks_task *task)
{
	sks_list_each (link, &task->children) {
		struct sks_child *child = sks_list_entry(link, struct sks_child, link);

		if (child->nesting >= task->nesting)
			return child;
	}
	return NULL;
}

void
sks_children_end_all(struct sks_task *task)
{
	struct sks_child *child;
	int error = errno;

	sks_list_each (link, &task->children) {
		child = sks_list_entry(link, struct sks_child, link);
		if (child->nesting >= task->nesting)
			sks_child_cancel(child);
	}
	while ((child = next_to_end(task)) != NULL) {
		await_certain_end(child);
		free_child(child);
	}
	errno = error;
}
