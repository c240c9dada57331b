/* SPDX-License-Identifier: MIT */
/*
 * log_line.h - a line of a log while it is made, piece by piece. What does not fit is left out;
 * there is always room for the end of a line.
 */
#ifndef SKS_BASE_LOG_LINE_H
#define SKS_BASE_LOG_LINE_H

#include <stddef.h>
#include <time.h>

#define SKS_LOG_LINE_SIZE 1536 /* room for any line, with its newline; a pipe takes it at once */

struct sks_log_line {
	size_t used;
	char text[SKS_LOG_LINE_SIZE];
};

void sks_log_line_printf(struct sks_log_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds text, n bytes of whatever somebody chose, as sks_escape() makes it printable. */
void sks_log_line_escaped(struct sks_log_line *line, const char *text, size_t n);

/* Adds it, made printable in the same way, as a string of JSON (RFC 8259) with its quotes. */
void sks_log_line_json(struct sks_log_line *line, const char *text, size_t n);

/* Adds a time of the wall clock in UTC (RFC 3339): 2026-11-29T04:31:08.123456Z. */
void sks_log_line_time(struct sks_log_line *line, const struct timespec *wall);

/* Adds the end of the line: closing, of at most 4 bytes, and a newline. */
void sks_log_line_end(struct sks_log_line *line, const char *closing);

#endif
