/* SPDX-License-Identifier: MIT */
/*
 * The options of a server on a command line: their names and help are those of
 * the table in server/options.c, and their text is read as a plugin's options are.
 */
#include "base/sys.h"
#include "base/why.h"
#include "host/option.h"
#include "server/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <socketserver/host.h>

static const struct {
	int type;         /* as of an option of a plugin */
	const char *text; /* what stands for its value in a help */
} kinds[] = {
	[SKS_KIND_MODE] = { SKS_OPTION_STRING, "MODE" },
	[SKS_KIND_COUNT] = { SKS_OPTION_INTEGER, "N" },
	[SKS_KIND_TIME] = { SKS_OPTION_DURATION, "TIME" },
	[SKS_KIND_SIZE] = { SKS_OPTION_SIZE, "SIZE" },
	[SKS_KIND_FLAG] = { SKS_OPTION_BOOLEAN, "YES" },
};

/* Returns the i-th of the rows that a command line may set; NULL: there are no more. */
static const struct sks_option_rule *
find(unsigned int i)
{
	size_t n;
	const struct sks_option_rule *rule = sks_option_rules(&n), *end = rule + n;

	for (; rule < end; rule++)
		if (rule->name != NULL && i-- == 0)
			return rule;
	return NULL;
}

const char *
sks_options_name(unsigned int i)
{
	const struct sks_option_rule *rule = find(i);

	return rule != NULL ? rule->name : NULL;
}

/* SKS_OFF and SKS_AUTO are -1, and a command line says 0 for them. */
static int
may_be_off(const struct sks_option_rule *rule)
{
	return rule->least == -1;
}

static struct sks_plugin_option
as_plugin_option(const struct sks_option_rule *rule)
{
	return (struct sks_plugin_option){
		.name = rule->name,
		.type = kinds[rule->kind].type,
		.offset = rule->offset,
		.size = rule->size,
		.min = may_be_off(rule) ? 0 : rule->least,
		.max = rule->most,
	};
}

static int
set_mode(struct sks_options *o, const char *text, char *why, size_t size)
{
	int i;

	for (i = 0; i < SKS_MODES; i++) {
		if (strcmp(sks_mode_names[i], text) == 0) {
			o->mode = i;
			return 0;
		}
	}
	return sks_refuse_in(EINVAL, why, size,
	    "%.64s: not a mode (fibers, serial, threads, processes)", text);
}

static int
set_number(const struct sks_option_rule *rule, struct sks_options *o, const char *text, char *why,
    size_t size)
{
	const struct sks_plugin_option option = as_plugin_option(rule);
	int *member = (int *)(void *)((char *)o + rule->offset);
	char *kept;

	if (sks_option_parse(&option, text, o, &kept, why, size) == -1)
		return -1;
	if (may_be_off(rule) && *member == 0)
		*member = -1;
	return 0;
}

int
sks_options_set_abi(struct sks_options *options, size_t options_size, const char *name,
    const char *text, char *why, size_t size)
{
	const struct sks_option_rule *rule;
	unsigned int i;

	for (i = 0; (rule = find(i)) != NULL; i++)
		if (strcmp(rule->name, name) == 0)
			break;
	if (rule == NULL || rule->offset + rule->size > options_size)
		return sks_refuse_in(EINVAL, why, size, "%.64s: there is no such option", name);
	return rule->kind == SKS_KIND_MODE ? set_mode(options, text, why, size) :
					     set_number(rule, options, text, why, size);
}

static void
print_default(FILE *to, const struct sks_option_rule *rule)
{
	const struct sks_plugin_option option = as_plugin_option(rule);
	char text[32];
	int i;

	if (rule->kind == SKS_KIND_MODE) {
		for (i = 0; i < SKS_MODES; i++)
			fprintf(to, "%s%s", i == 0 ? ": " : ", ", sks_mode_names[i]);
	} else if (rule->kind == SKS_KIND_FLAG) {
		fprintf(to, " (no)");
	} else if (rule->fallback > 0) {
		fprintf(to, " (%s)",
		    sks_option_format(&option, rule->fallback, text, sizeof(text)));
	}
	if (rule->kind == SKS_KIND_TIME && may_be_off(rule))
		fprintf(to, "; 0: no limit");
}

char *
sks_options_describe(void)
{
	const struct sks_option_rule *rule;
	char *text = NULL, name[64];
	unsigned int i;
	size_t size;
	FILE *to;

	to = sks_sys_fault_point("malloc") == -1 ? NULL : open_memstream(&text, &size);
	if (to == NULL)
		return NULL;
	for (i = 0; (rule = find(i)) != NULL; i++) {
		snprintf(name, sizeof(name), "--%s %s", rule->name, kinds[rule->kind].text);
		fprintf(to, "  %-20s %s", name, rule->help);
		print_default(to, rule);
		fputc('\n', to);
	}
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}
