/* SPDX-License-Identifier: MIT */
/*
 * Sets the options of a module: first their defaults, then what the host says.
 */
#include "host/module.h"
#include "host/option.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Logs what is wrong with an option, whose name has n bytes. Returns -1, with errno. */
static int
refuse(const struct sks_module *m, int error, const char *name, size_t n, const char *which,
    const char *why)
{
	return sks_fail(SKS_LOG_HANDLER(m->plugin.name), error, "option %.*s: %s%s", (int)n, name,
	    which, why);
}

static int
set(struct sks_module *m, size_t i, const char *text, const char *which)
{
	const struct sks_plugin_option *o = &m->options[i];
	char why[SKS_OPTION_WHY], *kept;

	if (sks_option_parse(o, text, m->config, &kept, why, sizeof(why)) == -1)
		return refuse(m, errno, o->name, strlen(o->name), which, why);
	if (kept != NULL) {
		free(m->kept[i]);
		m->kept[i] = kept;
	}
	return 0;
}

int
sks_module_set_defaults(struct sks_module *m)
{
	size_t i;

	for (i = 0; i < m->noptions; i++)
		if (m->options[i].value != NULL &&
		    set(m, i, m->options[i].value, "its default ") == -1)
			return -1;
	return 0;
}

/* Says which options there are, as far as a line takes their names. */
static int
refuse_unknown(const struct sks_module *m, const char *name, size_t n)
{
	char why[420] = "there is none (but ";
	size_t i, used = strlen(why);

	if (m->noptions == 0)
		snprintf(why, sizeof(why), "there is none (%s has no options", m->plugin.name);
	for (i = 0; i < m->noptions && used < sizeof(why); i++)
		used += (size_t)snprintf(why + used, sizeof(why) - used, "%s%s", i > 0 ? ", " : "",
		    m->options[i].name);
	return refuse(m, EINVAL, name, n, why, ")");
}

int
sks_module_set(struct sks_module *m, const char *assignment)
{
	size_t i, n = strcspn(assignment, "=");
	char why[SKS_OPTION_WHY];

	if (m->is_ready)
		return refuse(m, EBUSY, assignment, n, "", "too late");
	for (i = 0; i < m->noptions; i++)
		if (strlen(m->options[i].name) == n &&
		    memcmp(m->options[i].name, assignment, n) == 0)
			break;
	if (i == m->noptions)
		return refuse_unknown(m, assignment, n);
	if (assignment[n] != '=') {
		snprintf(why, sizeof(why), "no value (%s=...)", assignment);
		return refuse(m, EINVAL, assignment, n, "", why);
	}
	if (set(m, i, assignment + n + 1, "") == -1)
		return -1;
	m->given[i] = 1;
	return 0;
}

int
sks_module_check_options(const struct sks_module *m)
{
	size_t i;

	for (i = 0; i < m->noptions; i++)
		if (m->options[i].required && !m->given[i])
			return refuse(m, EINVAL, m->options[i].name, strlen(m->options[i].name),
			    "", "must be set");
	return 0;
}
