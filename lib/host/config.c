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

static int
set(struct sks_module *m, size_t i, const char *text, const char *which)
{
	const struct sks_plugin_option *o = &m->options[i];
	char why[SKS_OPTION_WHY], *kept;

	if (sks_option_parse(o, text, m->config, &kept, why, sizeof(why)) == -1) {
		sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_ERROR, errno, "option %s: %s%s", o->name,
		    which, why);
		return -1;
	}
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

/* Writes the names of all options, as "max, greeting", cut to size - 1 bytes. Returns buf. */
static char *
names(const struct sks_module *m, char *buf, size_t size)
{
	size_t i, used = 0;

	buf[0] = '\0';
	for (i = 0; i < m->noptions && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "",
		    m->options[i].name);
	return buf;
}

static int
refuse_unknown(const struct sks_module *m, const char *name, size_t n)
{
	char known[400];

	if (m->noptions == 0)
		sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_ERROR, EINVAL, 
		    "option %.*s: there is none (%s has no options)", (int)n, name, m->plugin.name);
	else
		sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_ERROR, EINVAL, 
		    "option %.*s: there is none (but %s)", (int)n, name, names(m, known, sizeof(known)));
	errno = EINVAL;
	return -1;
}

int
sks_module_set(struct sks_module *m, const char *assignment)
{
	size_t i, n = strcspn(assignment, "=");

	if (m->is_ready) {
		sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_ERROR, EBUSY, 
		    "option %.*s: too late", (int)n, assignment);
		errno = EBUSY;
		return -1;
	}
	for (i = 0; i < m->noptions; i++)
		if (strlen(m->options[i].name) == n &&
		    memcmp(m->options[i].name, assignment, n) == 0)
			break;
	if (i == m->noptions)
		return refuse_unknown(m, assignment, n);
	if (assignment[n] != '=') {
		sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_ERROR, EINVAL, 
		    "option %s: no value (%s=...)", assignment, assignment);
		errno = EINVAL;
		return -1;
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

	for (i = 0; i < m->noptions; i++) {
		if (m->options[i].required && !m->given[i]) {
			sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_ERROR, EINVAL, 
			    "option %s: must be set", m->options[i].name);
			errno = EINVAL;
			return -1;
		}
	}
	return 0;
}
