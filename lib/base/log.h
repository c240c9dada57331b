/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line for each thing that went wrong.
 *
 * The public side is sks_set_log() in socketserver/server.h. Without it, lines
 * go to standard error, never waiting for it: a line that a full pipe does not
 * take is dropped and counted, and the count is told when the pipe takes lines
 * again. Bytes below 0x20 and 0x7f are printed as \xNN, so that no peer can
 * forge a line.
 */
#ifndef SKS_BASE_LOG_H
#define SKS_BASE_LOG_H

#include <stdint.h>

/* Keeps errno. A line is cut at 1 KiB. */
void sks_logf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * At most `most` lines in any second; of the others it says how many there
 * were. Zero it before use; any thread may use it.
 */
struct sks_log_limit {
	int64_t second;
	unsigned int lines;
	unsigned int dropped;
};

void sks_log_limited(struct sks_log_limit *limit, unsigned int most, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As sks_set_log (socketserver/server.h): NULL is standard error again. */
void sks_log_set(void (*write_line)(const char *line, void *arg), void *arg);

#endif
