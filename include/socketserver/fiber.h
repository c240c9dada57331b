/* SPDX-License-Identifier: MIT */
/*
 * socketserver/fiber.h - what sequential code needs beside streams: to sleep, to
 * yield, to wait for a descriptor, to call what blocks, and a lock that may be
 * held across a wait.
 *
 * Each call works on a fiber and on a thread. On a fiber nothing else may block:
 * sleep(3), a database client or a pthread mutex that somebody holds across a
 * wait stops the loop with all its clients.
 */
#ifndef SOCKETSERVER_FIBER_H
#define SOCKETSERVER_FIBER_H

#include <socketserver/export.h>

SKS_BEGIN_DECLS

/*
 * Sleeps for ms milliseconds at least. 0: only lets others run, and fails where a
 * wait would; SKS_OFF: until the task is cancelled. Waits.
 * Returns 0, or -1: EINVAL for another negative number; ETIMEDOUT, ECANCELED and
 * ENOMEM as all calls that may wait. Python: time.sleep().
 */
SKS_API int sks_sleep(int ms);

/*
 * Lets all other fibers of the loop that can run, and its events, go first. On a
 * thread it is sched_yield(2). Python: asyncio.sleep(0).
 */
SKS_API void sks_yield(void);

/* Events of a descriptor. */
#define SKS_READ 1  /* it can be read, or a client accepted, without waiting */
#define SKS_WRITE 2 /* it can be written without waiting */

/*
 * Waits until fd has one of the events; an error, and a peer that is gone, count
 * as every event that is asked for. One fiber at a time may wait for a
 * descriptor, and none for that of a request's own streams. May wait; with a
 * timeout_ms of 0 it only looks.
 * Returns the events that hold, of those asked for, or -1:
 *   ETIMEDOUT  none came in time
 *   EINVAL     there are no such events, or timeout_ms is another negative number
 *   EBADF      fd is not open
 *   EPERM      on a fiber: fd is a regular file, which is always ready
 *   ECANCELED, ENOMEM   as all calls that may wait
 * POSIX: poll().
 */
SKS_API int sks_wait_fd(int fd, int events, int timeout_ms);

/*
 * Calls run(arg), which blocks outside of the library: a database client, a file
 * on a slow disk, a long computation. On a fiber run is called on a helper
 * thread, while the fiber is parked; on a thread it is simply called. Waits.
 *
 * Once run has begun its end is waited for, also when the task is cancelled or a
 * time limit passes. So arg may point to the caller's stack. The process has 32
 * helper threads at most, which end after 10 s without work, and 1,024 calls may
 * wait for one. The host's signals are blocked there. Calls of the library in run
 * block the helper thread, and know nothing of the caller's time limits.
 *
 * Returns 0 when run was called; what it found is in what arg points to, and its
 * errno is lost. Returns -1 when it was not called and will not be: ETIMEDOUT or
 * ECANCELED, which came first; EAGAIN when too many calls wait, or no thread can
 * be made; ENOMEM. Python: asyncio.to_thread().
 */
SKS_API int sks_offload(void (*run)(void *arg), void *arg);

/*
 * A lock that may be held across waits, in every mode, by fibers of any loop and
 * by threads. It is not shared between processes: each child has a copy, for which no
 * task waits.
 */
struct sks_mutex;

/* Makes a lock that nobody holds. Returns it, or NULL: ENOMEM. */
SKS_API struct sks_mutex *sks_mutex_new(void);

/* Frees a lock. Nobody may hold it or wait for it. NULL is fine. */
SKS_API void sks_mutex_free(struct sks_mutex *mutex);

/*
 * Takes the lock, in the order of asking. May wait.
 * Returns 0, or -1: EDEADLK when this task has it; ETIMEDOUT, ECANCELED and
 * ENOMEM as all calls that may wait; on a thread EMFILE or ENFILE, since a thread
 * that waits needs a descriptor. Python: asyncio.Lock.acquire().
 */
SKS_API int sks_mutex_lock(struct sks_mutex *mutex) SKS_MUST_CHECK;

/*
 * Takes the lock under all circumstances: for finish, and for what a task must put
 * right after it was cancelled. No time limit and no cancellation ends the wait, and
 * none of its means can run out. So whoever has the lock meanwhile must give it back
 * soon. May wait. Returns 0, or -1: EDEADLK when this task has it, a mistake of the
 * program.
 */
SKS_API int sks_mutex_lock_certain(struct sks_mutex *mutex);

/* Takes the lock if nobody has it. Returns 0, or -1: EBUSY, or EDEADLK when this task has it. */
SKS_API int sks_mutex_trylock(struct sks_mutex *mutex) SKS_MUST_CHECK;

/*
 * Gives the lock to the task that waits longest, or back. Returns 0, or -1: EPERM
 * when this task does not have it.
 */
SKS_API int sks_mutex_unlock(struct sks_mutex *mutex);

/*
 * From now on a handler that overflows the stack of its fiber is named, with its
 * peer, in one line on standard error; then the process dies of SIGSEGV as it
 * would have done. The call installs handlers for SIGSEGV and SIGBUS, and each
 * thread that runs fibers gets an alternate signal stack, unless it has one. Call
 * it before servers run.
 * Returns 0, or -1: ENOMEM; EAGAIN when the process has no key for data of threads left.
 */
SKS_API int sks_fiber_report_overflow(void);

SKS_END_DECLS

#endif
