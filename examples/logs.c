/* SPDX-License-Identifier: MIT */
#include "logs.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <socketserver/host.h>

#include "serve.h"

static int has_files;
static volatile sig_atomic_t hung_up; /* SIGHUP has come */

int
has_log_files(void)
{
	return has_files;
}

void
reopen_logs(void)
{
	(void)sks_access_log_reopen();
	(void)sks_log_reopen();
}

static void
on_hangup(int signo)
{
	(void)signo;
	hung_up = 1;
}

/* A signal handler may not open the files, so the server does it at its next tick. */
static void
on_tick(struct sks_server *server, void *data)
{
	(void)server;
	(void)data;
	if (!hung_up)
		return;
	hung_up = 0;
	reopen_logs();
}

static void
open_log(const struct options *o)
{
	const char *where = o->log != NULL ? o->log : "stderr";

	if (sks_log_open(where, o->log_format) == -1)
		err(errno == EINVAL ? USAGE : 1, "--log %s --log-format %s", where,
		    o->log_format != NULL ? o->log_format : "text");
}

static void
open_access_log(const struct options *o)
{
	const char *format = o->access_log_format != NULL ? o->access_log_format : o->log_format;

	if (o->access_log == NULL)
		return;
	if (sks_access_log_open(o->access_log, format) == -1)
		exit(errno == EINVAL ? USAGE : 1); /* the library has said why */
	atexit(sks_access_log_close);
}

void
open_logs(struct options *o)
{
	struct sigaction action = { .sa_handler = on_hangup, .sa_flags = SA_RESTART };

	open_access_log(o);
	open_log(o);
	has_files = o->log != NULL || o->access_log != NULL;
	if (!has_files)
		return;
	o->server.on_tick = on_tick;
	if (!is_ignored(SIGHUP))
		sigaction(SIGHUP, &action, NULL);
}
