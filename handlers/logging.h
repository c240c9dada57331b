/* SPDX-License-Identifier: MIT */
/*
 * logging.h - the log as the command line of socketserverd says.
 */
#ifndef HANDLERS_LOGGING_H
#define HANDLERS_LOGGING_H

struct logging {
	const char *where;  /* as sks_log_open() takes it; NULL: standard error */
	const char *format; /* "text" or "json"; NULL: text */
};

/* --log-format and --log-level. Each returns 0, or -1: there is no such format or level. */
int logging_set_format(struct logging *l, const char *name);
int logging_set_level(const char *name);

/* Opens the log. Returns 0, or -1 after one line on standard error. */
int logging_open(const struct logging *l);

/* Opens a log that is a file again, and logs where that fails. Returns 1 when it is a file. */
int logging_reopen(void);

#endif
