/* SPDX-License-Identifier: MIT */
/*
 * loop.h - an event loop: a libevent base, its fibers, and an inbox.
 *
 * A base of the loop's own is made without locks, and is only touched on the thread that
 * runs it. Other threads and signal handlers reach a loop through one eventfd and, with
 * a message, through its inbox. All calls are for the loop's thread, unless they say
 * otherwise.
 */
#ifndef SKS_LOOP_LOOP_H
#define SKS_LOOP_LOOP_H

#include "base/buf.h"
#include "base/fork.h"
#include "base/list.h"
#include "fiber/task.h"
#include "loop/shared_watch.h"
#include "loop/watch.h"
#include "loop/watchdog.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>

#define SKS_LOOP_SCRATCH 65536

/* Work for the loop's own stack, done as soon as the running callback or fiber lets go of it. */
struct sks_job {
	struct sks_list link;
	void (*run)(struct sks_job *);
};

/* Work that another thread has for the loop. The loop owns the message until it calls run. */
struct sks_message {
	struct sks_message *next;
	void (*run)(struct sks_message *);
};

struct sks_loop {
	struct event_base *base;
	int own_base;
	unsigned int forks;         /* sks_forks when it was made: elsewhere it is a copy */
	int wake_fd;                /* an eventfd: for messages and sks_loop_wake() */
	struct event wake;          /* on wake_fd, while the loop is open */
	void (*on_wake)(void *arg); /* called after each wake-up; the owner's to set */
	void *on_wake_arg;
	void (*on_copy)(void *arg); /* an event of it has come in a child; likewise, or NULL */
	void *on_copy_arg;
	pthread_mutex_t inbox_lock;
	struct sks_message *inbox;  /* the newest first */
	struct sks_list ready;      /* tasks to resume at the next turn */
	struct sks_list jobs;
	struct event turn;          /* a timer of zero: there are jobs or ready tasks */
	int turn_set;
	int running_jobs;
	int stopped;                /* by sks_loop_stop(), since it began to run */
	size_t certain_waits;       /* fibers that only a completion can wake */
	_Atomic pthread_t thread;   /* which runs the loop; any thread may look */
	struct sks_buf_pool bufs;
	struct sks_watch_set watches;
	struct sks_shared_watches shared_watches;
	struct event input;         /* on the watches' epoll set, while the loop is open */
	struct sks_watched watched; /* for the watchdog: which fiber runs; the owner's to set */
	unsigned char *scratch;     /* SKS_LOOP_SCRATCH bytes, made at their first use */
};

/*
 * Makes a loop on the given base, or on one of its own if base is NULL. NULL: EMFILE,
 * ENFILE, ENOMEM. (libevent exits the process if it finds no descriptors for a new base,
 * so the call looks before whether there are some.)
 */
struct sks_loop *sks_loop_new(struct event_base *base);

/* Frees a loop without ready tasks and pending events of its users. loop may be NULL. */
void sks_loop_free(struct sks_loop *loop);

/* Returns 1 in a child process whose loop is a copy of one of the parent (base/fork.h). */
static inline int
sks_loop_is_copy(const struct sks_loop *loop)
{
	return loop->forks != sks_forks;
}

/*
 * Makes a copy this process's own, before its events are deleted: its base, unless that is the
 * host's, which has called event_reinit(3) already, and its lock. With drop_messages the messages
 * of tasks that exist only in the parent are dropped.
 */
void sks_loop_claim(struct sks_loop *loop, int drop_messages);

/*
 * Called first when an event of the loop has come. 1: the loop is a copy, so the event is not for
 * this process. Then on_copy was called for the owner, and the loop may be gone; without on_copy, a
 * loop on a base of its own stops.
 */
int sks_loop_refuse_copy(struct sks_loop *loop);

/* The calling thread runs the loop from now on. */
void sks_loop_enter(struct sks_loop *loop);

/* Returns 1 when the calling thread runs the loop. Any thread may call it. */
int sks_loop_is_here(const struct sks_loop *loop);

/*
 * Makes the inbox and the watches events of the base, which then has something to wait for.
 * 0, or -1 as sks_event_add(). sks_loop_shut() deletes these events.
 */
int sks_loop_open(struct sks_loop *loop);
void sks_loop_shut(struct sks_loop *loop);

/*
 * Dispatches events until sks_loop_stop(), or until the host that the base belongs to calls
 * event_base_loopexit(3) or event_base_loopbreak(3). 0, or -1: libevent has failed.
 */
int sks_loop_run(struct sks_loop *loop);

/* From a callback or a fiber: sks_loop_run() returns when that lets go. */
void sks_loop_stop(struct sks_loop *loop);

/* Returns 1 when the host has ended the last sks_loop_run(). */
int sks_loop_was_left(const struct sks_loop *loop);

/*
 * Runs all jobs, and resumes ready tasks, each once, for a millisecond at most; the others stay
 * ready. Does not wait for events.
 */
void sks_loop_run_ready(struct sks_loop *loop);

/* Returns 1 when there are jobs or ready tasks. */
int sks_loop_has_ready(const struct sks_loop *loop);

/* Runs the messages that are there, without waiting. */
void sks_loop_run_inbox(struct sks_loop *loop);

/* Blocks until there is a message, or a wake-up. Runs the messages, jobs and ready tasks. */
void sks_loop_wait_inbox(struct sks_loop *loop);

/* From any thread or signal handler: on_wake will be called. Keeps errno. */
void sks_loop_wake(struct sks_loop *loop);

/* From any thread: the loop will call message->run, soon and on its own stack. */
void sks_loop_post(struct sks_loop *loop, struct sks_message *message);

/* The loop will run the job as soon as the running callback or fiber lets go. */
void sks_loop_defer(struct sks_loop *loop, struct sks_job *job);

/* The loop will resume the fiber at its next turn, after it has looked for events. */
void sks_loop_ready(struct sks_loop *loop, struct sks_task *task);

/* On the loop's own stack: resumes a fiber now, then runs the jobs it has left. 1: it has ended. */
int sks_loop_resume(struct sks_task *task);

/* Makes a task that is a fiber one of the loop: it uses the loop's memory, and is resumed by it. */
static inline void
sks_loop_take_fiber(struct sks_loop *loop, struct sks_task *task)
{
	task->loop = loop;
	task->bufs = &loop->bufs;
}

/* Returns the shared watches of the task's loop. NULL: the task is a thread. */
static inline struct sks_shared_watches *
sks_loop_shared_watches(const struct sks_task *task)
{
	return task->fiber != NULL ? &task->loop->shared_watches : NULL;
}

/* Returns SKS_LOOP_SCRATCH bytes whose content nobody keeps across a wait. NULL: ENOMEM. */
unsigned char *sks_loop_scratch(struct sks_loop *loop);

#endif
