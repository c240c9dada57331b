/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line for each thing that went wrong.
 *
 * The public side is sks_set_log() in socketserver/server.h. Without it, lines
 * go to standard error, never waiting for it: a line that a full pipe does not
 * take is dropped and counted, and the count is logged when the pipe takes lines
 * again. Bytes that are not printable are escaped (sks_escape in
 * socketserver/request.h), so that no peer can forge a line or steer a terminal.
 */
#ifndef SKS_BASE_LOG_H
#define SKS_BASE_LOG_H

#include "base/log_output.h"

#include <stdatomic.h>
#include <stdint.h>

#define SKS_LOG_LINES 10 /* a second, of what may go wrong for each request */

/* Keeps errno. A line is cut at 1 KiB. */
void sks_logf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Which second it is, and how many lines were asked for in it: one word, so that any
 * thread may use it, and processes that share its memory. Zero it before use.
 */
struct sks_log_limit {
	_Atomic uint64_t window;
};

/*
 * Logs a line, but not more than `most` of them in a second; the first line of a
 * later second says how many were dropped. The arguments of a line that is dropped
 * are not evaluated, so an address or strerror(3) costs nothing then. Keeps errno.
 */
#define sks_log_limited(limit, most, ...)                                   \
	do {                                                                \
		unsigned int sks_dropped;                                   \
		if (sks_log_limit_allows(limit, most, &sks_dropped))        \
			sks_log_with_dropped(sks_dropped, __VA_ARGS__);     \
	} while (0)

/* For sks_log_limited(): returns 1 when a line may be logged; *missing were dropped before it. */
int sks_log_limit_allows(struct sks_log_limit *limit, unsigned int most, unsigned int *missing);
void sks_log_with_dropped(unsigned int n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The counts that this process and its forked children share, once sks_log_share() was called. */
struct sks_log_counts {
	struct sks_log_output_counts output; /* of standard error */
	struct sks_log_limit connects;       /* of lines on clients that could not connect */
};
extern struct sks_log_counts *_Atomic sks_log_counts;

/*
 * Any thread, before a fork. The shared memory stays to the end of the process: other threads may
 * be using it. Where there is none, each child goes on counting with a copy.
 */
void sks_log_share(void);

/* Does what sks_set_log() says (socketserver/server.h): NULL is standard error again. */
void sks_log_set(void (*write_line)(const char *line, void *arg), void *arg);

#endif
