/* SPDX-License-Identifier: MIT */
/*
 * log_limit.h - how many lines of one kind are logged in a second; sks_log_limited() of log.h asks.
 */
#ifndef SKS_BASE_LOG_LIMIT_H
#define SKS_BASE_LOG_LIMIT_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * Which second it is, and how many lines were asked for in it: one word, so that any
 * thread may use it, and processes that share its memory. Zero it before use.
 */
struct sks_log_limit {
	_Atomic uint64_t window;
};

/* Returns 1 when a line may be logged, which is told that *missing were dropped before it. */
int sks_log_limit_allows(struct sks_log_limit *limit, unsigned int most, unsigned int *missing);

#endif
