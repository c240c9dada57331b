/* SPDX-License-Identifier: MIT */
/*
 * log.h - the library's own lines.
 *
 * The public side is socketserver/log.h: sks_log() is for a line about whatever the current task
 * does, and its other calls say where lines go.
 */
#ifndef SKS_BASE_LOG_H
#define SKS_BASE_LOG_H

#include "base/log_limit.h"
#include "base/log_target.h"

#include <socketserver/log.h>

#define SKS_LOG_LINES 10 /* a second, of what may go wrong for each request */

/* A line about a handler as a whole, as the origin of sks_log_about(). */
#define SKS_LOG_HANDLER(name) (&(const struct sks_log_origin){ .handler = (name) })

/*
 * Logs a line about somebody else than the current task; NULL: about nobody. error is the errno
 * that the line is about, or 0, and what %m stands for. Keeps errno.
 */
void sks_log_about(const struct sks_log_origin *origin, enum sks_log_level level, int error,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Logs an error as sks_log_about() does, and sets errno to it. Returns -1. */
int sks_fail(const struct sks_log_origin *origin, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

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

/* For sks_log_limited(). */
void sks_log_with_dropped(unsigned int n, const struct sks_log_origin *origin,
    enum sks_log_level level, int error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Returns whom the current task serves, or NULL. */
const struct sks_log_origin *sks_log_origin(void);

/* What knows that: set by fiber/task before main(), and NULL in a program without tasks. */
extern const struct sks_log_origin *(*sks_log_find_origin)(void);

#endif
