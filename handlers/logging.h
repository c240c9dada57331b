/* SPDX-License-Identifier: MIT */
/*
 * logging.h - the log and the access log, as the command line of socketserverd says.
 */
#ifndef HANDLERS_LOGGING_H
#define HANDLERS_LOGGING_H

struct logging {
	const char *where;  /* as sks_log_open() takes it; NULL: standard error */
	const char *format; /* "text" or "json"; NULL: text */
	const char *access_file;   /* of the access log; NULL: there is none */
	const char *access_format; /* NULL: that of the log */
};

/* Returns 1 when there is such a format, else 0. */
int logging_is_format(const char *name);

/* Returns 0, or -1: there is no such level. */
int logging_set_level(const char *name);

/* Opens both. Returns 0, or -1 after one line on standard error. */
int logging_open(const struct logging *l);

/* Opens those that are files again, and logs where that fails. Returns 1 when one is a file. */
int logging_reopen(void);

/* Closes the access log; the log stays open for the last lines. */
void logging_close(void);

#endif
