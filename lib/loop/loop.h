/* SPDX-License-Identifier: MIT */
/*
 * loop.h - an event loop: a libevent base, its fibers, and an inbox.
 *
 * The one room that knows libevent's base. Its own base is made without locks
 * and is only touched on the thread that runs it; other threads and signal
 * handlers reach a loop through one eventfd and, with a message, an inbox.
 */
#ifndef SKS_LOOP_LOOP_H
#define SKS_LOOP_LOOP_H

#include "base/buf.h"
#include "base/list.h"
#include "fiber/task.h"
#include "loop/event.h"
#include "loop/shared_watch.h"
#include "loop/watch.h"
#include "loop/watchdog.h"

#include <pthread.h>

#define SKS_LOOP_SCRATCH 65536

/* Work for the loop's own stack, as soon as the running callback or fiber lets go. */
struct sks_job {
	struct sks_list link;
	void (*run)(struct sks_job *);
};

/* Word from another thread. Whoever posts it owns it until run is called. */
struct sks_message {
	struct sks_message *next;
	void (*run)(struct sks_message *);
};

struct sks_loop {
	struct event_base *base;
	int own_base;
	int wake_fd;               /* eventfd: an inbox with mail, or sks_loop_wake() */
	struct event wake;         /* on wake_fd, while the loop is open */
	void (*on_wake)(void *arg); /* after each wake-up; set by the owner */
	void *on_wake_arg;
	pthread_mutex_t inbox_lock;
	struct sks_message *inbox;  /* newest first */
	struct sks_list ready;      /* tasks to resume at the next turn */
	struct sks_list jobs;
	struct event turn;          /* zero timer: jobs and ready tasks are due */
	int turn_set;
	int running_jobs;
	size_t held;                /* fibers that nothing but a message can wake */
	_Atomic pthread_t thread;   /* others ask whether it is they */
	struct sks_buf_pool bufs;
	struct sks_watch_set watches;
	struct sks_guests guests;
	struct event input;        /* some of them have input; while the loop is open */
	struct sks_watched watched; /* which fiber runs, and for how long it may; the owner's to set */
	unsigned char *scratch;     /* SKS_LOOP_SCRATCH bytes for what is thrown away or copied on */
};

/*
 * A loop on a base of its own, or on the given one. NULL: EMFILE, ENFILE,
 * ENOMEM. (libevent exits the process when a base finds no descriptors, so
 * they are asked for first.)
 */
struct sks_loop *sks_loop_new(struct event_base *base);

/* NULL is fine. Nothing may be ready, and no event of the loop pending. */
void sks_loop_free(struct sks_loop *loop);

/* The calling thread is the loop's from now on. */
void sks_loop_enter(struct sks_loop *loop);
int sks_loop_is_here(const struct sks_loop *loop);

/*
 * Its inbox and its watches become events of the base, which has then
 * something to wait for; and go again. 0, or -1 as sks_loop_add().
 */
int sks_loop_open(struct sks_loop *loop);
void sks_loop_shut(struct sks_loop *loop);

/* Dispatches until sks_loop_stop(). 0, or -1 when libevent failed. */
int sks_loop_run(struct sks_loop *loop);
void sks_loop_stop(struct sks_loop *loop);

/* Runs jobs and ready tasks now, without waiting for events. */
void sks_loop_settle(struct sks_loop *loop);
int sks_loop_is_settled(const struct sks_loop *loop); /* there are none */

/* Runs the messages that are there; never waits. */
void sks_loop_take_inbox(struct sks_loop *loop);

/* Blocks until another thread has posted something, and runs that. */
void sks_loop_read_inbox(struct sks_loop *loop);

/* From any thread, or a signal handler: on_wake will be called. Keeps errno. */
void sks_loop_wake(struct sks_loop *loop);

/* From any thread. */
void sks_loop_post(struct sks_loop *loop, struct sks_message *message);

/* The next two, and all below: on the loop's thread only. */
void sks_loop_defer(struct sks_loop *loop, struct sks_job *job);
void sks_loop_ready(struct sks_loop *loop, struct sks_task *task);

/* Resumes a fiber from the loop's own stack, then runs the jobs it left. 1: it ended. */
int sks_loop_resume(struct sks_task *task);

/* event_add(3) with a time limit; ms < 0: none. 0, or -1: ENOMEM or what epoll_ctl(2) said. */
int sks_loop_add(struct event *ev, int64_t ms);

/* The memory that a task may use without asking anybody; NULL: it runs on no loop. */
static inline struct sks_buf_pool *
sks_loop_bufs(const struct sks_task *task)
{
	return task->fiber != NULL ? &task->loop->bufs : NULL;
}

/* The guests of a fiber's loop, for sks_guest_watch(); NULL: the task is no fiber. */
static inline struct sks_guests *
sks_loop_guests(const struct sks_task *task)
{
	return task->fiber != NULL ? &task->loop->guests : NULL;
}

/* NULL: ENOMEM. */
unsigned char *sks_loop_scratch(struct sks_loop *loop);

#endif
