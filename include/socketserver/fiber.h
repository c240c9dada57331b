/* SPDX-License-Identifier: MIT */
/*
 * socketserver/fiber.h - what sequential code needs beside streams: to sleep,
 * to yield, to wait for a descriptor, to call what blocks, to hold a lock
 * across a wait.
 *
 * Each call works on a fiber, where it parks and lets the loop go on, and
 * outside of one, where it blocks the thread. Each flushes first what this
 * task has written (the flush rule of stream.h). Never hold a pthread mutex
 * across a call that may wait: on a fiber that stops the whole loop; use
 * sks_mutex.
 */
#ifndef SOCKETSERVER_FIBER_H
#define SOCKETSERVER_FIBER_H

#include <socketserver/export.h>

SKS_BEGIN_DECLS

/*
 * Sleeps for ms milliseconds; 0 yields, SKS_OFF sleeps until it is cancelled.
 * 0, or -1: ECANCELED, ETIMEDOUT when sks_deadline() or another limit came
 * first, EINVAL for another negative number.
 */
SKS_API int sks_sleep(int ms);

/* Lets every other ready fiber of the loop, and its events, go first. */
SKS_API void sks_yield(void);

#define SKS_READ 1
#define SKS_WRITE 2

/*
 * Waits until fd can be read or written without blocking, or has an error, or
 * its peer is gone. timeout_ms: SKS_OFF waits without limit, 0 only looks.
 * Returns the events that hold, or -1: ETIMEDOUT, ECANCELED, EBADF, EINVAL, ENOMEM; EPERM
 * for a regular file, which is always ready, on a fiber. One fiber at a time
 * may wait for an fd, and none for the fd of a request's own streams.
 */
SKS_API int sks_wait_fd(int fd, int events, int timeout_ms);

/*
 * Runs a function that blocks (a database client, a file on a slow disk, a
 * long computation) on a helper thread, while the fiber is parked; on a thread
 * or in a child process it is simply called. Python: asyncio.to_thread().
 *
 * 0: run has been called and has returned; what it found is in what arg points
 * to (its errno is lost). Once it has begun the caller waits for its end, also
 * when it is cancelled or its deadline passes meanwhile, so arg may point to
 * the caller's stack.
 * -1: it has not been called and never will be: ECANCELED or ETIMEDOUT when
 * that came first, EAGAIN when too much waits for a thread or none can be had,
 * ENOMEM.
 *
 * The process has 32 such threads, made when they are needed, and 1024 calls
 * may wait for one. They run with all signals blocked, and end after ten idle
 * seconds or with the last server. Calls of the library that wait block the
 * helper thread there, and know nothing of the caller's deadline.
 */
SKS_API int sks_offload(void (*run)(void *arg), void *arg);

struct sks_mutex;

/* A lock that may be held across waits, in every mode. NULL: ENOMEM. */
SKS_API struct sks_mutex *sks_mutex_new(void);

/* NULL is fine. Nobody may hold it or wait for it. */
SKS_API void sks_mutex_free(struct sks_mutex *mutex);

/*
 * Takes the lock, in the order of asking. 0, or -1: ECANCELED and ETIMEDOUT as
 * for every wait, EDEADLK when this task holds it already.
 */
SKS_API int sks_mutex_lock(struct sks_mutex *mutex) SKS_MUST_CHECK;

/* Takes the lock without waiting: 0, or -1 with EBUSY (EDEADLK as above). */
SKS_API int sks_mutex_trylock(struct sks_mutex *mutex) SKS_MUST_CHECK;

/* Gives it to who waits longest. 0, or -1 with EPERM when this task does not hold it. */
SKS_API int sks_mutex_unlock(struct sks_mutex *mutex);

/*
 * From now on a handler that overflows its fiber's stack is named, with its
 * peer, in one line on standard error before the process dies of SIGSEGV as
 * it would have anyway. Installs handlers for SIGSEGV and SIGBUS and, on each
 * thread that runs fibers, an alternate signal stack unless it has one. 0, or
 * -1 and errno of sigaction(2) or sigaltstack(2).
 */
SKS_API int sks_fiber_report_overflow(void);

SKS_END_DECLS

#endif
