/* SPDX-License-Identifier: MIT */
/*
 * logs.h - the log and the access log of the example servers, and what SIGHUP does to them.
 */
#ifndef EXAMPLES_LOGS_H
#define EXAMPLES_LOGS_H

#include "options.h"

/*
 * Opens both, as the command line says. If there is --log or --access-log, the server opens files
 * again soon after a SIGHUP. Does not return when a file or a format is not good.
 */
void open_logs(struct options *o);

/* Says whether SIGHUP is for the logs. */
int has_log_files(void);

/* Opens files again, by their names; the library logs where that fails. Not in a signal handler. */
void reopen_logs(void);

#endif
