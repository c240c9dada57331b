/* SPDX-License-Identifier: MIT */
/*
 * log_threads.h - threads that log the line "thread" at once, LOG_THREADS_LINES times each.
 */
#ifndef SKS_TEST_LOG_THREADS_H
#define SKS_TEST_LOG_THREADS_H

#define LOG_THREADS 3
#define LOG_THREADS_LINES 2000

void log_threads_start(void);
void log_threads_join(void);

#endif
