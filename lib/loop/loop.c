/* SPDX-License-Identifier: MIT */
/*
 * An event loop, its fibers and its inbox.
 *
 * Fibers are resumed straight from event callbacks, so a wake-up is one switch and no
 * queue. What a fiber leaves to be done on the loop's own stack (its connection has
 * ended, another fiber may start) is a job, and runs as soon as the fiber has switched
 * away. A fiber that lets other events go first (a yield) becomes ready: it is resumed
 * at the next turn, after a poll. That turn is asked for by a timer of 0 ms. event_active(3)
 * would be served before the next poll, and a fiber that yields without end would then keep the
 * loop from its sockets.
 */
#include "loop/loop.h"

#include "base/clock.h"
#include "base/sys.h"
#include "fiber/fiber.h"
#include "fiber/overflow.h"
#include "loop/batch.h"
#include "loop/helpers.h"

#include <errno.h>
#include <socketserver/fiber.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Events are looked for after so long at most, however many tasks are ready: each of them may
 * write SKS_BUDGET_BYTES before it lets others go on.
 */
#define READY_NS 1000000

void
sks_loop_run_inbox(struct sks_loop *loop)
{
	struct sks_message *newest, *oldest = NULL;

	pthread_mutex_lock(&loop->inbox_lock);
	newest = loop->inbox;
	loop->inbox = NULL;
	pthread_mutex_unlock(&loop->inbox_lock);

	while (newest != NULL) {
		struct sks_message *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest != NULL) {
		struct sks_message *next = oldest->next;

		oldest->run(oldest);
		oldest = next;
	}
}

void
sks_loop_wait_inbox(struct sks_loop *loop)
{
	struct pollfd p = { .fd = loop->wake_fd, .events = POLLIN };
	uint64_t count;

	(void)sks_sys_poll(&p, 1, -1);
	(void)!sks_sys_read(loop->wake_fd, &count, sizeof(count));
	sks_loop_run_inbox(loop);
	sks_loop_run_ready(loop);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct sks_loop *loop = arg;
	uint64_t count;

	(void)what;
	if (sks_loop_refuse_copy(loop))
		return;
	while (sks_sys_read(fd, &count, sizeof(count)) == -1 && errno == EINTR)
		;
	sks_loop_run_inbox(loop);
	sks_loop_run_ready(loop);
	if (loop->on_wake != NULL)
		loop->on_wake(loop->on_wake_arg);
}

static void
run_jobs(struct sks_loop *loop)
{
	struct sks_list *link;

	if (loop->running_jobs)
		return;
	loop->running_jobs = 1;
	while ((link = sks_list_pop(&loop->jobs)) != NULL) {
		struct sks_job *job = sks_list_entry(link, struct sks_job, link);

		job->run(job);
	}
	loop->running_jobs = 0;
}

static void
want_turn(struct sks_loop *loop)
{
	static const struct timeval zero;

	if (loop->turn_set)
		return;
	loop->turn_set = 1;
	if (event_add(&loop->turn, &zero) == -1) { /* no memory for a timer */
		loop->turn_set = 0;
		sks_loop_wake(loop);
	}
}

/* The tasks of this turn for which there was no time come first in the next. */
static void
keep_ready(struct sks_loop *loop, struct sks_list *left)
{
	sks_list_move_all(left, &loop->ready);
	sks_list_move_all(&loop->ready, left);
	want_turn(loop);
}

/* A task that becomes ready meanwhile, by another yield, waits for the next turn. */
void
sks_loop_run_ready(struct sks_loop *loop)
{
	struct sks_list now;
	int64_t until;

	run_jobs(loop);
	if (sks_list_empty(&loop->ready))
		return;
	sks_list_init(&now);
	sks_list_move_all(&now, &loop->ready);
	until = sks_clock_ns() + READY_NS;
	do {
		sks_loop_resume(sks_list_entry(sks_list_pop(&now), struct sks_task, ready));
	} while (!sks_list_empty(&now) && sks_clock_ns() < until);
	if (!sks_list_empty(&now))
		keep_ready(loop, &now);
}

int
sks_loop_has_ready(const struct sks_loop *loop)
{
	return !sks_list_empty(&loop->ready) || !sks_list_empty(&loop->jobs);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct sks_loop *loop = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(loop))
		return;
	sks_shared_watches_reap(&loop->shared_watches);
	(void)sks_batch_serve(&loop->watches);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct sks_loop *loop = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(loop))
		return;
	loop->turn_set = 0;
	sks_loop_run_ready(loop);
}

/* libevent exits when a new base gets no descriptors: it takes up to four. */
static int
descriptors_left(void)
{
	int fd[4], n, ok;

	for (n = 0; n < 4; n++) {
		fd[n] = sks_sys_eventfd(0, EFD_CLOEXEC);
		if (fd[n] == -1)
			break;
	}
	ok = n == 4;
	while (n-- > 0)
		close(fd[n]);
	return ok ? 0 : -1;
}

static struct event_base *
new_base(void)
{
	struct event_config *config;
	struct event_base *base = NULL;

	if (descriptors_left() == -1)
		return NULL;
	config = event_config_new();
	if (config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	if (base == NULL)
		errno = ENOMEM;
	return base;
}

struct sks_loop *
sks_loop_new(struct event_base *base)
{
	struct sks_loop *loop;
	int error;

	loop = sks_sys_calloc(1, sizeof(*loop));
	if (loop == NULL)
		return NULL;
	sks_list_init(&loop->ready);
	sks_list_init(&loop->jobs);
	sks_shared_watches_init(&loop->shared_watches, &loop->watches);
	pthread_mutex_init(&loop->inbox_lock, NULL);
	sks_helpers_retain();
	sks_fork_watch();
	loop->forks = sks_forks;
	loop->thread = pthread_self();
	loop->own_base = base == NULL;
	loop->wake_fd = sks_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd == -1)
		goto fail;
	loop->base = base != NULL ? base : new_base();
	if (loop->base == NULL)
		goto fail;
	if (sks_watch_set_init(&loop->watches, loop->base) == -1)
		goto fail;
	sks_event_assign(&loop->input, loop->base, loop->watches.fd, EV_READ | EV_PERSIST, on_input,
	    loop);
	sks_event_assign(&loop->turn, loop->base, -1, 0, on_turn, loop);
	sks_event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake,
	    loop);
	return loop;

fail:
	error = errno;
	sks_loop_free(loop);
	errno = error;
	return NULL;
}

void
sks_loop_free(struct sks_loop *loop)
{
	if (loop == NULL)
		return;
	if (sks_loop_is_copy(loop))
		sks_loop_claim(loop, 1);
	sks_loop_run_inbox(loop); /* messages that came too late free what they hold */
	if (loop->base != NULL) {
		if (event_initialized(&loop->turn)) {
			sks_event_end(&loop->input);
			sks_event_end(&loop->wake);
			sks_event_end(&loop->turn);
		}
		sks_shared_watches_end(&loop->shared_watches);
		sks_watch_set_end(&loop->watches);
		if (loop->own_base)
			event_base_free(loop->base);
	}
	if (loop->wake_fd != -1)
		close(loop->wake_fd);
	sks_helpers_release();
	pthread_mutex_destroy(&loop->inbox_lock);
	sks_buf_pool_drain(&loop->bufs);
	sks_sys_free(loop->scratch);
	sks_sys_free(loop);
}

void
sks_loop_claim(struct sks_loop *loop, int drop_messages)
{
	if (!sks_loop_is_copy(loop))
		return;
	loop->forks = sks_forks;
	pthread_mutex_init(&loop->inbox_lock, NULL); /* a thread of the parent may have had it */
	if (drop_messages)
		loop->inbox = NULL;
	if (loop->own_base && loop->base != NULL)
		(void)event_reinit(loop->base); /* a new epoll set for it */
}

int
sks_loop_refuse_copy(struct sks_loop *loop)
{
	if (!sks_loop_is_copy(loop))
		return 0;
	if (loop->on_copy != NULL)
		loop->on_copy(loop->on_copy_arg);
	else if (loop->own_base)
		sks_loop_stop(loop);
	return 1;
}

static atomic_int report_overflow;

int
sks_fiber_report_overflow(void)
{
	if (sks_overflow_watch() == -1)
		return -1;
	atomic_store(&report_overflow, 1);
	return 0;
}

int
sks_loop_open(struct sks_loop *loop)
{
	if (sks_event_add(&loop->wake, -1) == -1)
		return -1;
	if (sks_event_add(&loop->input, -1) == 0)
		return 0;
	event_del(&loop->wake);
	return -1;
}

void
sks_loop_shut(struct sks_loop *loop)
{
	event_del(&loop->input);
	event_del(&loop->wake);
}

void
sks_loop_enter(struct sks_loop *loop)
{
	loop->thread = pthread_self();
	if (atomic_load(&report_overflow))
		(void)sks_overflow_watch(); /* at worst the report is missing */
}

int
sks_loop_is_here(const struct sks_loop *loop)
{
	return pthread_equal(loop->thread, pthread_self());
}

int
sks_loop_run(struct sks_loop *loop)
{
	loop->stopped = 0;
	return event_base_loop(loop->base, 0) == -1 ? -1 : 0;
}

int
sks_loop_was_left(const struct sks_loop *loop)
{
	return !loop->stopped &&
	    (event_base_got_exit(loop->base) || event_base_got_break(loop->base));
}

void
sks_loop_stop(struct sks_loop *loop)
{
	loop->stopped = 1;
	event_base_loopbreak(loop->base);
}

void
sks_loop_wake(struct sks_loop *loop)
{
	static const uint64_t one = 1;
	int error = errno;

	/* EAGAIN: the counter is full, so the loop is awake already. */
	while (write(loop->wake_fd, &one, sizeof(one)) == -1 && errno == EINTR)
		;
	errno = error;
}

void
sks_loop_post(struct sks_loop *loop, struct sks_message *message)
{
	int first;

	pthread_mutex_lock(&loop->inbox_lock);
	first = loop->inbox == NULL;
	message->next = loop->inbox;
	loop->inbox = message;
	/* Under the lock: once it is read, nothing may keep the loop from being freed. */
	if (first)
		sks_loop_wake(loop);
	pthread_mutex_unlock(&loop->inbox_lock);
}

void
sks_loop_defer(struct sks_loop *loop, struct sks_job *job)
{
	sks_list_append(&loop->jobs, &job->link);
	if (sks_task_current()->loop != loop && !loop->running_jobs)
		want_turn(loop);
}

void
sks_loop_ready(struct sks_loop *loop, struct sks_task *task)
{
	sks_list_append(&loop->ready, &task->ready);
	want_turn(loop);
}

int
sks_loop_resume(struct sks_task *task)
{
	struct sks_loop *loop = task->loop;
	int ended;

	sks_task_renew_budget(task);
	if (loop->watched.limit_ms == 0) {
		ended = sks_fiber_resume(task->fiber);
	} else {
		sks_watched_begin(&loop->watched, task);
		ended = sks_fiber_resume(task->fiber);
		/* An ended fiber's task can still be read: it is idle, not gone. */
		sks_watched_end(&loop->watched);
	}
	if (!sks_list_empty(&loop->jobs))
		run_jobs(loop);
	return ended;
}

unsigned char *
sks_loop_scratch(struct sks_loop *loop)
{
	if (loop->scratch == NULL)
		loop->scratch = sks_sys_malloc(SKS_LOOP_SCRATCH);
	return loop->scratch;
}
