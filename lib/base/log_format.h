/* SPDX-License-Identifier: MIT */
/*
 * log_format.h - how what is logged becomes a line.
 */
#ifndef SKS_BASE_LOG_FORMAT_H
#define SKS_BASE_LOG_FORMAT_H

#include "base/log_line.h"

#include <socketserver/log.h>
#include <sys/socket.h>

/* By level; NULL: there is no such level. */
#define SKS_LOG_LEVELS (SKS_LOG_DEBUG + 1)
extern const char *const sks_log_level_names[SKS_LOG_LEVELS];

/* Whom a line is about. */
struct sks_log_origin {
	const char *handler;         /* its name; NULL: none */
	const struct sockaddr *peer; /* whom it serves; NULL: none */
	socklen_t peer_len;
};

/* What is logged. The text is as somebody chose it. */
struct sks_log_entry {
	enum sks_log_level level;
	int error;
	struct timespec monotonic, wall;
	struct sks_log_origin origin;
	const char *text;
};

/* What stands in front of a line. */
enum sks_log_head {
	SKS_LOG_HEAD_NAME,   /* "socketserver: " */
	SKS_LOG_HEAD_LEVEL,  /* "<3>", for systemd's journal */
	SKS_LOG_HEAD_SYSLOG, /* "<27>program[123]: " */
	SKS_LOG_HEAD_TIME    /* "2026-11-29T04:31:08.123456Z error " */
};

struct sks_log_style {
	enum sks_log_head head;
	int json; /* an object, which has the time, so only a level or a syslog needs a head */
};

/* Makes the line, with its newline. */
void sks_log_format(struct sks_log_line *line, const struct sks_log_style *style,
    const struct sks_log_entry *entry);

/* Adds the names, "echo: 192.0.2.1:4711: ", as far as they are known. */
void sks_log_format_origin(struct sks_log_line *line, const struct sks_log_origin *origin);

/* Writes the peer as text that is printable, or returns NULL: there is none. */
const char *sks_log_format_peer(const struct sks_log_origin *origin, char *buf, size_t size);

#endif
