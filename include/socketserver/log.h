/* SPDX-License-Identifier: MIT */
/*
 * socketserver/log.h - the log of the library, which handlers and plugins write to as well, and
 * where its lines go.
 *
 * Each line says one thing, and has the names of the handler and the peer in front where it is
 * about a request: "echo: 192.0.2.1:4711: Connection reset by peer". Bytes that are not printable
 * stand there as "\x1b" (sks_escape), so that no peer can forge a line or steer a terminal. A
 * text is cut at 1 KiB.
 *
 * Without a call of this header the lines go to standard error. No line waits for whoever reads
 * it: one that is not taken, as by a full pipe or a full disk, is dropped and counted, and the
 * count is logged when lines are taken again. Where standard error is a client, as inetd(8) has
 * it, no line goes there.
 *
 * Python: logging.
 */
#ifndef SOCKETSERVER_LOG_H
#define SOCKETSERVER_LOG_H

#include <socketserver/export.h>
#include <stdarg.h>
#include <time.h>

SKS_BEGIN_DECLS

/* How grave a line is. The numbers are those of syslog(3). */
enum sks_log_level {
	SKS_LOG_ERROR = 3, /* something has failed */
	SKS_LOG_WARN = 4,  /* something was refused or cut off, or soon may be */
	SKS_LOG_INFO = 6,  /* what a daemon tells of its life: where it listens, that it stops */
	SKS_LOG_DEBUG = 7  /* what is in order, and helps to find an error */
};

/* A line, as sks_set_log() has it. All of it is valid until the callback returns. */
struct sks_log_record {
	enum sks_log_level level;
	int error;                 /* the errno that the line is about; 0: none */
	struct timespec monotonic; /* when it was logged, by CLOCK_MONOTONIC */
	struct timespec wall;      /* and by CLOCK_REALTIME */
	const char *line;          /* handler, peer and text, as standard error gets them */
	const char *text;          /* what it says, without the names in front */
	const char *handler;       /* the name of the handler that it is about; NULL: none */
	const char *peer;          /* the peer that it serves, as sks_peer() has it; NULL: none */
};

/*
 * Logs a line, as printf(3) formats it; %m is errno as strerror(3) has it, and then record.error
 * has it, too. A newline at its end is not needed. In a handler, its children and the hooks of a
 * request the line has the handler's name and the peer in front. Where lines of this level are not
 * wanted nothing is formatted. Any thread or fiber may call it; a signal handler may not. Keeps
 * errno.
 */
SKS_API void sks_log(enum sks_log_level level, const char *format, ...) SKS_PRINTF(2, 3);

/* Logs a line as sks_log() does, with the arguments as vprintf(3) takes them. */
SKS_API void sks_vlog(enum sks_log_level level, const char *format, va_list args) SKS_PRINTF(2, 0);

/*
 * Returns 1 when lines of this level are logged, else 0. A program asks before it computes
 * arguments of a line that cost time. Any thread may call it.
 */
SKS_API int sks_log_is_on(enum sks_log_level level);

/*
 * Sets which lines are logged, for the whole process: those of this level and graver ones. It is
 * SKS_LOG_INFO before. Any thread may call it.
 * Returns 0, or -1: EINVAL when there is no such level.
 */
SKS_API int sks_set_log_level(enum sks_log_level level);

/*
 * Returns the level that is called "error", "warn", "info" or "debug", or -1: EINVAL for another
 * name. Any thread may call it.
 */
SKS_API int sks_log_level_by_name(const char *name);

/*
 * Sets where log lines go, for the whole process: write_line gets each as a record, and arg. It is
 * called on any thread that the library uses, on several at once, and must not wait; it may log.
 * NULL is what sks_log_open() says, or standard error, again. Set it before servers run.
 */
SKS_API void sks_set_log(void (*write_line)(const struct sks_log_record *record, void *arg),
    void *arg);

/*
 * Opens a log, for the whole process and the children that it forks:
 *   "stderr"        standard error, as at the start
 *   "journal"       standard error, with the level of each line in front as "<3>", as
 *                   systemd's journal takes it (sd-daemon(3))
 *   "syslog"        the syslog, as facility daemon; "syslog:/path" is its socket where that is
 *                   not /dev/log. One that is away is no error
 *   "/path"         any other text: a file, which is appended to and made with mode 0640, or a
 *                   FIFO, which needs no reader
 * format is "text", or "json": an object in each line (RFC 8259) with time (UTC, RFC 3339), level,
 * pid and text, and with handler, peer and errno where there are any. NULL is "text". In files
 * the lines of text begin with time and level.
 * When a file or a syslog takes no lines standard error is told once. A path is looked up again by
 * sks_log_reopen(). Call it while no other thread logs.
 * Returns 0, or -1: EINVAL for another format or an empty path; as open(2) and socket(2); ENOMEM.
 * Then the log is as it was.
 */
SKS_API int sks_log_open(const char *where, const char *format);

/*
 * Opens the file of sks_log_open() again, by its name, because it was renamed: for SIGHUP, but not
 * in a signal handler. No line is lost, and child processes follow with their next line. Where the
 * log is no file it does nothing. Any thread may call it.
 * Returns 0, or -1 as open(2), after one line in the old file, which goes on.
 */
SKS_API int sks_log_reopen(void);

SKS_END_DECLS

#endif
