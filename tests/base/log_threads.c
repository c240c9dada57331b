/* SPDX-License-Identifier: MIT */
#include "log_threads.h"

#include "assertions.h"

#include <pthread.h>
#include <socketserver.h>

static pthread_t threads[LOG_THREADS];

static void *
log_often(void *arg)
{
	int i;

	for (i = 0; i < LOG_THREADS_LINES; i++)
		sks_log(SKS_LOG_INFO, "thread");
	return arg;
}

void
log_threads_start(void)
{
	int i;

	for (i = 0; i < LOG_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_often, NULL), 0);
}

void
log_threads_join(void)
{
	int i;

	for (i = 0; i < LOG_THREADS; i++)
		pthread_join(threads[i], NULL);
}
