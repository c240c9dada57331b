/* SPDX-License-Identifier: MIT */
/*
 * Reads the text of an option into a member of the plugin's struct.
 *
 * The library parses, not the plugin: so all plugins take the same suffixes, refuse the
 * same mistakes in the same words, and can be described before they run. A text is
 * understood as a whole or refused: "5x" is not 5, and no number overflows.
 */
#include "host/option.h"

#include "base/sys.h"
#include "base/util.h"
#include "base/why.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <socketserver/host.h>

struct suffix {
	const char *text;
	int64_t factor;
};

/* The largest first, for printing; the last one is for a number without a suffix. */
static const struct suffix sizes[] = {
	{ "G", 1 << 30 }, { "M", 1 << 20 }, { "k", 1 << 10 }, { "K", 1 << 10 }, { "", 1 },
	{ NULL, 0 }
};
static const struct suffix times[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 }
};
static const struct suffix plain[] = { { "", 1 }, { NULL, 0 } };

static const struct type {
	const char *name;
	const char *wrong;
	const struct suffix *suffixes; /* NULL: the type is no number */
	int is_text;
} types[] = {
	[SKS_OPTION_STRING] = { "string", "", NULL, 1 },
	[SKS_OPTION_INTEGER] = { "number", "not a number", plain, 0 },
	[SKS_OPTION_SIZE] = { "size", "not a size (as 100, 64k, 10M, 1G)", sizes, 0 },
	[SKS_OPTION_DURATION] = { "time", "not a time (as 500ms, 30s, 5m, 1h)", times, 0 },
	[SKS_OPTION_BOOLEAN] = { "yes or no", "not yes or no", NULL, 0 },
	[SKS_OPTION_PATH] = { "path", "not a path", NULL, 1 },
};

static int
is_known(int type)
{
	return type >= SKS_OPTION_STRING && type < (int)SKS_ARRAY_LEN(types);
}

const char *
sks_option_type(const struct sks_plugin_option *option)
{
	return types[option->type].name;
}

int
sks_option_is_number(const struct sks_plugin_option *option)
{
	return types[option->type].suffixes != NULL;
}

void
sks_option_bounds(const struct sks_plugin_option *option, int64_t *min, int64_t *max)
{
	*min = option->type == SKS_OPTION_INTEGER ? INT64_MIN : 0;
	*max = INT64_MAX;
	if (sks_option_is_number(option) && option->size == sizeof(int32_t)) {
		*min = option->type == SKS_OPTION_INTEGER ? INT32_MIN : 0;
		*max = INT32_MAX;
	}
	if (option->min == 0 && option->max == 0)
		return;
	*min = option->min > *min ? option->min : *min;
	*max = option->max < *max ? option->max : *max;
}

char *
sks_option_format(const struct sks_plugin_option *option, int64_t n, char *buf, size_t size)
{
	const struct suffix *s = types[option->type].suffixes;

	if (s == NULL || n == 0) {
		snprintf(buf, size, "%" PRId64, n);
		return buf;
	}
	while (n % s->factor != 0)
		s++;
	snprintf(buf, size, "%" PRId64 "%s", n / s->factor, s->text);
	return buf;
}

static size_t
member_size(int type)
{
	if (types[type].is_text)
		return sizeof(char *);
	return type == SKS_OPTION_BOOLEAN ? sizeof(int) : sizeof(int64_t);
}

const char *
sks_option_check(const struct sks_plugin_option *option, size_t config_size)
{
	int64_t min, max;

	if (!is_known(option->type))
		return "its type is unknown";
	if (option->size != member_size(option->type) &&
	    (option->size != sizeof(int32_t) || !sks_option_is_number(option)))
		return "its member has the wrong size for its type";
	if (option->size > config_size || option->offset > config_size - option->size ||
	    option->offset % option->size != 0)
		return "its member lies outside of config";
	sks_option_bounds(option, &min, &max);
	return min > max ? "its bounds hold no value" : NULL;
}

/* -- parsing -- */

static int
refuse(char *why, size_t size, const char *text, const char *reason)
{
	return sks_refuse_in(EINVAL, why, size, "%.64s: %s", *text != '\0' ? text : "(nothing)",
	    reason);
}

static int
refuse_bounds(const struct sks_plugin_option *option, const char *text, char *why, size_t size)
{
	const char *unit = sks_option_is_number(option) ? "" : " bytes long";
	char least[32], most[32], reason[96];
	int64_t min, max;

	sks_option_bounds(option, &min, &max);
	sks_option_format(option, min, least, sizeof(least));
	sks_option_format(option, max, most, sizeof(most));
	if (max == INT64_MAX)
		snprintf(reason, sizeof(reason), "must be at least %s%s", least, unit);
	else
		snprintf(reason, sizeof(reason), "must be %s to %s%s", least, most, unit);
	return refuse(why, size, text, reason);
}

static int
is_within(const struct sks_plugin_option *option, int64_t n)
{
	int64_t min, max;

	sks_option_bounds(option, &min, &max);
	return n >= min && n <= max;
}

static void
store(const struct sks_plugin_option *option, void *config, int64_t n)
{
	char *member = (char *)config + option->offset;
	int32_t small = (int32_t)n;

	if (option->size == sizeof(small))
		memcpy(member, &small, sizeof(small));
	else
		memcpy(member, &n, sizeof(n));
}

static const struct suffix *
find_suffix(const struct suffix *s, const char *text)
{
	for (; s->text != NULL; s++)
		if (strcmp(s->text, text) == 0)
			return s;
	return NULL;
}

static int
parse_number(const struct sks_plugin_option *option, const char *text, void *config, char *why,
    size_t size)
{
	const struct type *type = &types[option->type];
	const char *digits = text + (*text == '-');
	const struct suffix *suffix;
	long long n;
	int64_t value;
	char *end;

	/* strtoll(3) would skip blanks, and take a + */
	if (*digits < '0' || *digits > '9')
		return refuse(why, size, text, type->wrong);
	errno = 0;
	n = strtoll(text, &end, 10);
	suffix = find_suffix(type->suffixes, end);
	if (suffix == NULL && (n != 0 || *end != '\0')) /* only 0 needs no unit */
		return refuse(why, size, text, type->wrong);
	if (errno == ERANGE ||
	    __builtin_mul_overflow((int64_t)n, suffix != NULL ? suffix->factor : 1, &value) ||
	    !is_within(option, value))
		return refuse_bounds(option, text, why, size);
	store(option, config, value);
	return 0;
}

static int
parse_boolean(const struct sks_plugin_option *option, const char *text, void *config, char *why,
    size_t size)
{
	static const char *const words[] = { "no", "yes", "off", "on", "false", "true", "0", "1" };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(words); i++) {
		if (strcmp(words[i], text) == 0) {
			store(option, config, (int64_t)(i % 2));
			return 0;
		}
	}
	return refuse(why, size, text, types[option->type].wrong);
}

/* Makes a string of three. */
static char *
join(const char *a, const char *b, const char *c)
{
	size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
	char *joined = sks_sys_malloc(size);

	if (joined != NULL)
		snprintf(joined, size, "%s%s%s", a, b, c);
	return joined;
}

/* Makes a path absolute: it is the same file when the daemon changes its directory. */
static char *
absolute(const char *path)
{
	char *folder, *joined;

	if (*path == '/')
		return join("", "", path);
	folder = sks_sys_getcwd(NULL, 0);
	if (folder == NULL)
		return NULL;
	joined = join(folder, strcmp(folder, "/") == 0 ? "" : "/", path);
	free(folder);
	return joined;
}

static int
parse_text(const struct sks_plugin_option *option, const char *text, void *config, char **kept,
    char *why, size_t size)
{
	char *copy;

	if (option->type == SKS_OPTION_PATH && *text == '\0')
		return refuse(why, size, text, types[option->type].wrong);
	copy = option->type == SKS_OPTION_PATH ? absolute(text) : join("", "", text);
	if (copy == NULL)
		return sks_refuse_in(errno, why, size, "%.64s: %s", text, strerror(errno));
	/* A plugin has room for so many bytes, so the bounds are those of the path that it gets. */
	if (!is_within(option, (int64_t)strlen(copy))) {
		refuse_bounds(option, copy, why, size);
		sks_sys_free(copy);
		errno = EINVAL;
		return -1;
	}
	memcpy((char *)config + option->offset, &copy, sizeof(copy));
	*kept = copy;
	sks_sys_give_away(copy);
	return 0;
}

int
sks_option_parse(const struct sks_plugin_option *option, const char *text, void *config,
    char **kept, char *why, size_t size)
{
	*kept = NULL;
	if (!is_known(option->type))
		return refuse(why, size, text, "its type is unknown");
	if (types[option->type].is_text)
		return parse_text(option, text, config, kept, why, size);
	if (option->type == SKS_OPTION_BOOLEAN)
		return parse_boolean(option, text, config, why, size);
	return parse_number(option, text, config, why, size);
}
