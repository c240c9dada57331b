/* SPDX-License-Identifier: MIT */
/*
 * thread.h - starting the library's own threads, and condition variables that go by the clock
 * of clock.h.
 */
#ifndef SKS_BASE_THREAD_H
#define SKS_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Starts a thread, which is to be joined or detached. stack_size is in bytes; 0 is libc's
 * default. The thread has all signals blocked, since they are the host's and must find the host's
 * own threads, except those of a thread's own faults (SIGSEGV and its kin): the kernel ends the
 * process where one of these is blocked, and no handler of the host's would see it.
 * 0, or -1: EAGAIN or ENOMEM.
 */
int sks_thread_start(pthread_t *thread, size_t stack_size, void *(*run)(void *arg), void *arg);

/* For sks_cond_wait_until(). It is destroyed by pthread_cond_destroy(3). */
void sks_cond_init(pthread_cond_t *cond);

/*
 * Waits as pthread_cond_timedwait(3) does: 0 or ETIMEDOUT. The deadline is in ms of
 * sks_clock_ms().
 */
int sks_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline);

#endif
