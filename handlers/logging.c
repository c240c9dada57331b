/* SPDX-License-Identifier: MIT */
#include "logging.h"

#include <err.h>
#include <string.h>

#include <socketserver.h>
#include <socketserver/host.h>

static int log_is_file, has_access_log;

int
logging_is_format(const char *name)
{
	return strcmp(name, "text") == 0 || strcmp(name, "json") == 0;
}

int
logging_set_level(const char *name)
{
	int level = sks_log_level_by_name(name);

	return level == -1 ? -1 : sks_set_log_level((enum sks_log_level)level);
}

static int
open_log(const struct logging *l)
{
	const char *where = l->where != NULL ? l->where : "stderr";

	if (sks_log_open(where, l->format) == -1) {
		warn("--log %s", where);
		return -1;
	}
	log_is_file = strcmp(where, "stderr") != 0 && strcmp(where, "journal") != 0 &&
	    strcmp(where, "syslog") != 0 && strncmp(where, "syslog:", 7) != 0;
	return 0;
}

static int
open_access_log(const struct logging *l)
{
	if (l->access_file == NULL)
		return 0;
	has_access_log = 1;
	return sks_access_log_open(l->access_file,
	    l->access_format != NULL ? l->access_format : l->format);
}

int
logging_open(const struct logging *l)
{
	return open_access_log(l) == -1 ? -1 : open_log(l);
}

int
logging_reopen(void)
{
	(void)sks_access_log_reopen();
	if (log_is_file)
		(void)sks_log_reopen();
	return log_is_file || has_access_log;
}

void
logging_close(void)
{
	sks_access_log_close();
}
