/* SPDX-License-Identifier: MIT */
#include "logging.h"

#include <err.h>
#include <string.h>

#include <socketserver.h>

static int is_file;

int
logging_set_format(struct logging *l, const char *name)
{
	l->format = name;
	return strcmp(name, "text") == 0 || strcmp(name, "json") == 0 ? 0 : -1;
}

int
logging_set_level(const char *name)
{
	int level = sks_log_level_by_name(name);

	return level == -1 ? -1 : sks_set_log_level((enum sks_log_level)level);
}

int
logging_open(const struct logging *l)
{
	const char *where = l->where != NULL ? l->where : "stderr";

	if (sks_log_open(where, l->format) == -1) {
		warn("--log %s", where);
		return -1;
	}
	is_file = strcmp(where, "stderr") != 0 && strcmp(where, "journal") != 0 &&
	    strcmp(where, "syslog") != 0 && strncmp(where, "syslog:", 7) != 0;
	return 0;
}

int
logging_reopen(void)
{
	if (is_file)
		(void)sks_log_reopen();
	return is_file;
}
