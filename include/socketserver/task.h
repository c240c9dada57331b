/* SPDX-License-Identifier: MIT */
/*
 * socketserver/task.h - several things at once within a handler, and time
 * limits over several calls.
 *
 * Python: concurrent.futures, asyncio.TaskGroup, gevent.spawn(), gevent.Timeout.
 */
#ifndef SOCKETSERVER_TASK_H
#define SOCKETSERVER_TASK_H

#include <socketserver/export.h>
#include <stdint.h>

SKS_BEGIN_DECLS

/*
 * A child: a function that runs beside the one that started it. On a fiber it
 * is a fiber of the same loop, with a stack of the same size; on a thread or
 * in a child process it is a thread, with all signals blocked.
 *
 * Children do not outlive their handler. When setup, handle or finish returns,
 * those it has not joined are cancelled and waited for (before on_error, before
 * finish, and before a connection is parked by SKS_KEEP), and a child's own
 * when it returns. Outside of a server, a thread must join all it has started.
 *
 * What run uses must live until it has ended: of what lies in the frame of
 * handle itself, only children may be told that handle joins. sks_child_cancel() and
 * then sks_child_join() always does that, whatever else has happened.
 *
 * A child may use the streams of its request, one reader and one writer at a
 * time: else EBUSY, also between threads, where that may strike two short calls
 * as well, so share an sks_mutex. What it has written is flushed before its
 * waits and at its end; on threads each write is sent at once while there are
 * children.
 *
 * The limits of time that are in force when it is started hold for the child
 * too, and who cancels the parent cancels it.
 */
struct sks_child;

/*
 * Starts run(arg). On a fiber it runs for the first time when this one waits.
 * NULL: ENOMEM, EAGAIN (no more threads, or 15 of them inside of each other),
 * EMFILE or ENFILE (a thread needs a descriptor to be cancelled by).
 */
SKS_API struct sks_child *sks_go(int (*run)(void *arg), void *arg) SKS_MUST_CHECK;

/*
 * Waits for its end. 0: *result, which may be NULL, is what run returned, and
 * the handle is gone. -1, and the child goes on and may be joined again:
 * ETIMEDOUT, ECANCELED (of the caller), ENOMEM, EMFILE, ENFILE; EINVAL when it
 * is not a child of this task. A child that was cancelled by sks_child_cancel() is
 * waited for in any case, since it ends as soon as it waits.
 */
SKS_API int sks_child_join(struct sks_child *child, int *result);

/*
 * From now on every wait of the child, and of its children, answers ECANCELED.
 * Does not wait. Only for the task that started it, which still has to join it
 * (or to end). NULL is fine.
 */
SKS_API void sks_child_cancel(struct sks_child *child);

/*
 * A limit over the waits between begin and end: once it has passed they answer
 * ETIMEDOUT. They may be nested, each ended before the one around it; an inner
 * one never extends an outer one, nor sks_deadline(), which holds beside them.
 * One that is not ended ends with setup, handle, finish or the child.
 */
struct sks_timeout {
	int64_t moment;      /* the library's: when it passes */
	int64_t outer;       /* and what was in force around it */
	int64_t reserved[2]; /* 0 */
};

/*
 * SKS_OFF: no limit; 0: what would wait answers ETIMEDOUT at once. 0, or -1 and
 * EINVAL for another negative number; then there is no limit.
 */
SKS_API int sks_timeout_begin(struct sks_timeout *timeout, int ms);

/* Returns 1 when its time had passed, else 0. */
SKS_API int sks_timeout_end(struct sks_timeout *timeout);

SKS_END_DECLS

#endif
