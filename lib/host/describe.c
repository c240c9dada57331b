/* SPDX-License-Identifier: MIT */
/*
 * Describes a plugin for people: what it does, where and how it runs, its options.
 */
#include "host/module.h"
#include "host/option.h"

#include "base/sys.h"
#include "server/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
print_serves(FILE *to, const struct sks_plugin *p)
{
	static const char *const kinds[] = { "", "streams", "datagrams", "streams and datagrams" };

	fprintf(to, "serves: %s\n", kinds[p->serves]);
	if (p->serves & SKS_DATAGRAMS)
		fprintf(to, "        UDP only where asked for: its senders can be forged, and\n"
			    "        replies then go to somebody else\n");
	if (p->port != 0)
		fprintf(to, "port:   %d\n", p->port);
}

/* Prints a time limit that it suggests, if it does. */
static void
print_limit(FILE *to, const char *name, int ms)
{
	static const struct sks_plugin_option duration = { .type = SKS_OPTION_DURATION };
	char text[32];

	if (ms != 0)
		fprintf(to, "%-7s %s\n", name, ms == SKS_OFF ? "no limit" :
			sks_option_format(&duration, ms, text, sizeof(text)));
}

/* Prints the modes that it refuses, or those that it does not. */
static void
print_mode_names(FILE *to, const struct sks_plugin *p, int refused, const char *before)
{
	int i;

	for (i = 0; i < SKS_MODES; i++) {
		if (((p->refuses & SKS_REFUSES(i)) != 0) != refused)
			continue;
		fprintf(to, "%s%s%s", before, sks_mode_names[i], i == p->mode ? " (default)" : "");
		before = ", ";
	}
}

static void
print_modes(FILE *to, const struct sks_plugin *p)
{
	print_mode_names(to, p, 0, "modes:  ");
	fputc('\n', to);
	if (p->refuses == 0)
		return;
	print_mode_names(to, p, 1, "        not ");
	if (p->refuses_why != NULL)
		fprintf(to, ": %s", p->refuses_why);
	fputc('\n', to);
}

static void
print_bounds(FILE *to, const struct sks_plugin_option *o)
{
	int64_t min, max;
	char text[32];

	if (o->min == 0 && o->max == 0)
		return;
	sks_option_bounds(o, &min, &max);
	fprintf(to, max == INT64_MAX ? ", at least %s" : ", %s",
	    sks_option_format(o, min, text, sizeof(text)));
	if (max != INT64_MAX)
		fprintf(to, " to %s", sks_option_format(o, max, text, sizeof(text)));
	if (!sks_option_is_number(o))
		fprintf(to, " bytes long");
}

static void
print_option(FILE *to, const struct sks_plugin_option *o)
{
	fprintf(to, "  %s=%s\n        %s (%s", o->name, o->value != NULL ? o->value : "",
	    o->help != NULL ? o->help : "", sks_option_type(o));
	print_bounds(to, o);
	fprintf(to, "%s)\n", o->required ? ", must be set" : "");
}

char *
sks_module_describe(const struct sks_module *m)
{
	char *text = NULL;
	size_t size, i;
	FILE *to;

	to = sks_sys_fault_point("malloc") == -1 ? NULL : open_memstream(&text, &size);
	if (to == NULL)
		return NULL;
	fprintf(to, "%s: %s\nfile:   %s\n", m->plugin.name, m->plugin.summary, m->path);
	print_serves(to, &m->plugin);
	print_modes(to, &m->plugin);
	print_limit(to, "idle:", m->plugin.idle_ms);
	print_limit(to, "timeout:", m->plugin.timeout_ms);
	if (m->noptions == 0)
		fprintf(to, "options: none\n");
	else
		fprintf(to, "options, with their defaults:\n");
	for (i = 0; i < m->noptions; i++)
		print_option(to, &m->options[i]);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}
