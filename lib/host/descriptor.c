/* SPDX-License-Identifier: MIT */
/*
 * Reads the descriptor of a plugin, which may be of an older version than this library.
 *
 * Three structs may have grown since then: the descriptor, the handler in its middle, and
 * the entries of the table of options. The plugin tells the size that each had when it was
 * built. So each is copied by that size, and members that it did not have are zero. Two
 * alternatives were rejected: with a pointer to the handler each plugin would need one
 * name more, and reserved words behind the handler would be a guess.
 */
#include "host/module.h"
#include "host/option.h"

#include "base/sys.h"
#include "base/util.h"
#include "base/why.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HANDLER_AT offsetof(struct sks_plugin, handler)

/* The sizes of version 1.0, which every plugin has at least. */
#define HANDLER_LEAST (offsetof(struct sks_handler, refuses) + sizeof(int))
#define OPTION_LEAST (offsetof(struct sks_plugin_option, max) + sizeof(int64_t))
#define REST_LEAST \
	(offsetof(struct sks_plugin, port) + sizeof(int) - HANDLER_AT - sizeof(struct sks_handler))

#define NAME_MOST 63
#define CONFIG_MOST ((size_t)16 << 20)
#define OPTIONS_MOST 1000

/* There is no padding, so an appended member has no bytes that an old plugin left undefined. */
static_assert(sizeof(struct sks_plugin) == sizeof(struct sks_handler) + 24 + 6 * sizeof(void *) +
	    sizeof(size_t) + 6 * sizeof(int),
    "struct sks_plugin has no padding");
static_assert(sizeof(void *) < 8 ||
	sizeof(struct sks_plugin_option) == 3 * sizeof(char *) + 2 * sizeof(int) +
		2 * sizeof(size_t) + 2 * sizeof(int64_t),
    "struct sks_plugin_option has no padding");

static int
check_version(const struct sks_plugin *p, char *why, size_t size)
{
	const char *age;

	if (p->magic != SKS_PLUGIN_MAGIC)
		return sks_refuse_in(ENOEXEC, why, size,
		    "its descriptor is none (wrong magic number)");
	if (p->major == SKS_PLUGIN_MAJOR && p->minor <= SKS_PLUGIN_MINOR)
		return 0;
	age = p->major < SKS_PLUGIN_MAJOR ? "too old" : "too new";
	return sks_refuse_in(ENOEXEC, why, size,
	    "%s: built for version %u.%u of plugins, this library takes %d.0 to %d.%d",
	    age, p->major, p->minor, SKS_PLUGIN_MAJOR, SKS_PLUGIN_MAJOR, SKS_PLUGIN_MINOR);
}

static int
check_sizes(const struct sks_plugin *p, char *why, size_t size)
{
	/* A larger size would be of a newer version, which was refused. */
	if (p->handler_size < HANDLER_LEAST || p->handler_size > sizeof(struct sks_handler) ||
	    p->option_size < OPTION_LEAST || p->option_size > sizeof(struct sks_plugin_option) ||
	    p->size < HANDLER_AT + p->handler_size + REST_LEAST ||
	    p->size > sizeof(struct sks_plugin))
		return sks_refuse_in(EINVAL, why, size, "its descriptor has a wrong size");
	return 0;
}

static int
is_name(const char *name, size_t most)
{
	size_t n = name != NULL ? strspn(name, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") : 0;

	return n > 0 && n <= most && name[n] == '\0';
}

static int
check_members(const struct sks_plugin *p, char *why, size_t size)
{
	const char *wrong = NULL;

	if (!is_name(p->name, NAME_MOST))
		wrong = "its name is not one";
	else if (p->summary == NULL)
		wrong = "it has no summary";
	else if (p->handler.handle == NULL)
		wrong = "its handler has no handle";
	else if (p->mode < SKS_FIBERS || p->mode > SKS_PROCESSES ||
	    p->refuses & SKS_REFUSES(p->mode))
		wrong = "the mode it suggests is none, or one it refuses";
	else if (p->serves < 0 || p->serves > (SKS_STREAMS | SKS_DATAGRAMS))
		wrong = "it serves neither streams nor datagrams";
	else if (p->port < 0 || p->port > 65535)
		wrong = "its port is none";
	else if (p->idle_ms < SKS_OFF || p->timeout_ms < SKS_OFF)
		wrong = "the idle_ms or timeout_ms it suggests is no time limit";
	else if (p->config_size > CONFIG_MOST)
		wrong = "its config_size is over 16 MiB";
	return wrong == NULL ? 0 : sks_refuse_in(EINVAL, why, size, "%s", wrong);
}

static int
check_option(const struct sks_plugin *p, const struct sks_plugin_option *o, size_t before,
    char *why, size_t size)
{
	const char *wrong = is_name(o->name, NAME_MOST) ? sks_option_check(o, p->config_size) :
							    "its name is not one";
	size_t i;

	for (i = 0; i < before && wrong == NULL; i++)
		if (strcmp(p->options[i].name, o->name) == 0)
			wrong = "it is there twice";
	if (wrong == NULL)
		return 0;
	return sks_refuse_in(EINVAL, why, size, "its option %.63s: %s", o->name, wrong);
}

/* Counts entries of `each` bytes, up to one without a name, which is their first member. */
static size_t
count_options(const char *table, size_t each)
{
	const char *name;
	size_t n = 0;

	if (table == NULL)
		return 0;
	for (; n < OPTIONS_MOST; n++) {
		memcpy(&name, table + n * each, sizeof(name));
		if (name == NULL)
			break;
	}
	return n;
}

/* Copies the table at `from`, whose entries have `each` bytes, to entries of this version. */
static int
copy_options(struct sks_plugin *p, const char *from, size_t each, size_t *noptions, char *why,
    size_t size)
{
	struct sks_plugin_option *to;
	size_t i, n = count_options(from, each);

	to = sks_sys_calloc(n + 1, sizeof(*to));
	if (to == NULL)
		return sks_refuse_in(ENOMEM, why, size, "%s", strerror(ENOMEM));
	p->options = to;
	*noptions = n;
	for (i = 0; i < n; i++) {
		memcpy(&to[i], from + i * each, each);
		if (check_option(p, &to[i], i, why, size) == -1) {
			sks_sys_free(to);
			return -1;
		}
	}
	return 0;
}

int
sks_descriptor_read(const void *descriptor, struct sks_plugin *plugin, size_t *noptions, char *why,
    size_t size)
{
	const char *from = descriptor;
	struct sks_plugin *p = plugin;

	memset(p, 0, sizeof(*p));
	memcpy(p, from, HANDLER_AT);
	if (check_version(p, why, size) == -1 || check_sizes(p, why, size) == -1)
		return -1;
	memcpy(&p->handler, from + HANDLER_AT, p->handler_size);
	memcpy((char *)p + HANDLER_AT + sizeof(p->handler), from + HANDLER_AT + p->handler_size,
	    p->size - HANDLER_AT - p->handler_size);
	p->refuses |= p->handler.refuses;
	if (check_members(p, why, size) == -1)
		return -1;
	if (p->serves == 0)
		p->serves = SKS_STREAMS | SKS_DATAGRAMS;
	if (p->handler.name == NULL)
		p->handler.name = p->name;
	return copy_options(p, (const char *)p->options, p->option_size, noptions, why, size);
}
