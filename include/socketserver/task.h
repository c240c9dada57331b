/* SPDX-License-Identifier: MIT */
/*
 * socketserver/task.h - several things at once within a handler, and time limits
 * over several calls.
 *
 * Python: concurrent.futures, asyncio.TaskGroup, asyncio.timeout(), gevent.spawn().
 */
#ifndef SOCKETSERVER_TASK_H
#define SOCKETSERVER_TASK_H

#include <socketserver/export.h>
#include <stdint.h>

SKS_BEGIN_DECLS

/*
 * A child: a function that runs beside the task that has started it. On a fiber
 * the child is a fiber of the same loop, with a stack of the same size. On a
 * thread it is a thread, where the host's signals are blocked.
 *
 * A child does not outlive its handler. When setup, handle, on_error or finish returns,
 * children that were not joined are cancelled and waited for: before on_error and
 * finish, and before SKS_KEEP parks the connection. The same happens to a child's
 * own children when its function returns. Outside of a handler a thread joins
 * all that it has started. So main() has a background task: a thread, started before
 * sks_serve_forever(), and cancelled and joined after it. In a child process of
 * SKS_PROCESSES it does not run.
 *
 * What the function uses lives until the child has ended. Of the local variables
 * of handle itself that is so only when handle joins the child. sks_child_cancel()
 * and then sks_child_join() do that under all circumstances.
 *
 * A child may use the streams of its request, with one reader and one writer at a
 * time: else EBUSY, which on threads strikes also two short calls that meet. What
 * it has written is sent before its waits and at its end; on threads each write is
 * sent at once while there are children.
 *
 * The time limits that hold where a child is started hold for the child too.
 * Cancelling a task cancels its children.
 */
struct sks_child;

/*
 * Starts run(arg) as a child. On a fiber it runs for the first time when this
 * fiber waits.
 * Returns the child, which sks_child_join() takes back, or NULL: ENOMEM; on a
 * thread EAGAIN when no thread can be made or 15 children are inside of each
 * other, and EMFILE or ENFILE, since a thread needs a descriptor to be cancelled
 * by.
 */
SKS_API struct sks_child *sks_go(int (*run)(void *arg), void *arg) SKS_MUST_CHECK;

/*
 * Waits for the end of a child, which is freed then. *result, unless it is NULL,
 * gets what its function has returned. A child that sks_child_cancel() was called
 * for is waited for under all circumstances, as its waits fail.
 * Returns 0, or -1, and the child goes on and may be joined again: EINVAL when it
 * is no child of this task; ETIMEDOUT, ECANCELED and ENOMEM as all calls that may
 * wait; on a thread EMFILE or ENFILE.
 */
SKS_API int sks_child_join(struct sks_child *child, int *result);

/*
 * From now on all waits of the child and of its children fail with ECANCELED. It
 * still has to be joined, or to be left to the end of the handler. Only the task
 * that has started the child may call it. NULL is fine.
 */
SKS_API void sks_child_cancel(struct sks_child *child);

/*
 * A time limit over all waits between begin and end, of this task and of the
 * children that it starts there. It is the caller's memory, on the stack as a
 * rule. Limits may be nested, each ended before the one around it. An inner one
 * never extends an outer one, nor sks_deadline(), which holds beside them. A limit
 * that is not ended ends with setup, handle, finish or the child's function.
 */
struct sks_timeout {
	int64_t moment;      /* the library's: when it passes, */
	int64_t outer;       /* and the limit around it */
	int64_t reserved[2]; /* 0 */
};

/*
 * Begins a limit of ms milliseconds; then waits fail with ETIMEDOUT. SKS_OFF: no
 * limit; 0: what would wait fails at once.
 * Returns 0, or -1: EINVAL for another negative number; then it is no limit, and
 * may be ended like one.
 */
SKS_API int sks_timeout_begin(struct sks_timeout *timeout, int ms);

/* Ends a limit. Returns 1 when it had passed, else 0. */
SKS_API int sks_timeout_end(struct sks_timeout *timeout);

SKS_END_DECLS

#endif
