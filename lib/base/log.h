/* SPDX-License-Identifier: MIT */
/*
 * log.h - the library's own lines.
 *
 * The public side is socketserver/log.h: sks_log() is for a line about whatever the current task
 * does, and its other calls say where lines go.
 */
#ifndef SKS_BASE_LOG_H
#define SKS_BASE_LOG_H

#include "base/log_format.h"
#include "base/log_output.h"

#include <socketserver/log.h>
#include <stdatomic.h>
#include <stdint.h>

#define SKS_LOG_LINES 10 /* a second, of what may go wrong for each request */

/* A line about a handler as a whole, as the origin of sks_log_about(). */
#define SKS_LOG_HANDLER(name) (&(const struct sks_log_origin){ .handler = (name) })

/*
 * Logs a line about somebody else than the current task; NULL: about nobody. error is the errno
 * that the line is about, or 0, and what %m stands for. Keeps errno.
 */
void sks_log_about(const struct sks_log_origin *origin, enum sks_log_level level, int error,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Which second it is, and how many lines were asked for in it: one word, so that any
 * thread may use it, and processes that share its memory. Zero it before use.
 */
struct sks_log_limit {
	_Atomic uint64_t window;
};

/*
 * Logs a line as sks_log_about(), but not more than `most` of them in a second; the first line of a
 * later second says how many were dropped. The arguments of a line that is dropped, or whose level
 * is not wanted, are not evaluated, so strerror(3) costs nothing then. Keeps errno.
 */
#define sks_log_limited(limit, most, origin, level, ...)                                   \
	do {                                                                               \
		unsigned int sks_dropped;                                                  \
		if (sks_log_is_on(level) && sks_log_limit_allows(limit, most, &sks_dropped)) \
			sks_log_with_dropped(sks_dropped, origin, level, __VA_ARGS__);     \
	} while (0)

/* For sks_log_limited(): returns 1 when a line may be logged; *missing were dropped before it. */
int sks_log_limit_allows(struct sks_log_limit *limit, unsigned int most, unsigned int *missing);
void sks_log_with_dropped(unsigned int n, const struct sks_log_origin *origin,
    enum sks_log_level level, int error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

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

/* Returns whom the current task serves, or NULL. */
const struct sks_log_origin *sks_log_origin(void);

/* What knows that: set by fiber/task before main(), and NULL in a program without tasks. */
extern const struct sks_log_origin *(*sks_log_find_origin)(void);

#endif
