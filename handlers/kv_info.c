/* SPDX-License-Identifier: MIT */
/*
 * The commands of kv that are about the server: INFO and CONFIG.
 */
#include "kv.h"

#include "glob.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_OF_A_PATTERN 10000

/* -- INFO -- */

struct text {
	char bytes[1024];
	size_t len;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct text *text, const char *format, ...)
{
	size_t room = sizeof(text->bytes) - text->len;
	va_list args;

	va_start(args, format);
	text->len += (size_t)vsnprintf(text->bytes + text->len, room, format, args);
	va_end(args);
}

static void
add_server(struct text *text, const struct kv_store_stats *stats)
{
	(void)stats;
	add(text, "redis_version:%s\r\nredis_mode:standalone\r\nserver:libsocketserver kv\r\n",
	    KV_REDIS_VERSION);
}

static void
add_memory(struct text *text, const struct kv_store_stats *stats)
{
	add(text, "used_memory:%zu\r\nmaxmemory:%zu\r\nmaxmemory_policy:noeviction\r\n",
	    stats->used_memory, stats->max_memory);
}

static void
add_stats(struct text *text, const struct kv_store_stats *stats)
{
	add(text, "expired_keys:%" PRIu64 "\r\n", stats->expired);
}

static void
add_replication(struct text *text, const struct kv_store_stats *stats)
{
	(void)stats;
	add(text, "role:master\r\n");
}

static void
add_keyspace(struct text *text, const struct kv_store_stats *stats)
{
	if (stats->keys > 0)
		add(text, "db0:keys=%zu,expires=%zu,avg_ttl=0\r\n", stats->keys, stats->expiring);
}

static const struct {
	const char *name;
	void (*add)(struct text *, const struct kv_store_stats *);
} sections[] = {
	{ "Server", add_server },
	{ "Memory", add_memory },
	{ "Stats", add_stats },
	{ "Replication", add_replication },
	{ "Keyspace", add_keyspace },
};

#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

static int
is_wanted(const struct kv_call *c, const char *section)
{
	size_t i;

	for (i = 1; i < c->r->nargs; i++) {
		struct resp_arg word = resp_arg(c->r, i);

		if (kv_is_word(word, section) || kv_is_word(word, "all") ||
		    kv_is_word(word, "default") || kv_is_word(word, "everything"))
			return 1;
	}
	return c->r->nargs == 1;
}

int
kv_info(struct kv_call *c)
{
	struct text text = { .len = 0 };
	struct kv_store_stats stats;
	size_t i;

	kv_store_stats(c->kv->store, &stats);
	for (i = 0; i < SECTIONS; i++) {
		if (!is_wanted(c, sections[i].name))
			continue;
		add(&text, "%s# %s\r\n", text.len > 0 ? "\r\n" : "", sections[i].name);
		sections[i].add(&text, &stats);
	}
	if (!c->client->resp3)
		return resp_bulk(c->w, text.bytes, text.len);
	if (resp_head(c->w, '=', 4 + text.len) == -1 || sks_puts(c->w, "txt:") == -1 ||
	    sks_write(c->w, text.bytes, text.len) == -1)
		return -1;
	return sks_puts(c->w, "\r\n");
}

/* -- CONFIG -- */

/* The parameters: those that redis-benchmark asks for, and the memory bound. */
enum { APPENDONLY, DATABASES, MAXMEMORY, MAXMEMORY_POLICY, SAVE, PARAMETERS };

static const char *const parameters[PARAMETERS] = {
	[APPENDONLY] = "appendonly",
	[DATABASES] = "databases",
	[MAXMEMORY] = "maxmemory",
	[MAXMEMORY_POLICY] = "maxmemory-policy",
	[SAVE] = "save",
};

static int
reply_value(struct kv_call *c, int parameter)
{
	char max_memory[24];

	switch (parameter) {
	case APPENDONLY:
		return kv_reply_text(c, "no");
	case DATABASES:
		return kv_reply_text(c, "1");
	case MAXMEMORY:
		snprintf(max_memory, sizeof(max_memory), "%zu", c->kv->config->max_memory);
		return kv_reply_text(c, max_memory);
	case MAXMEMORY_POLICY:
		return kv_reply_text(c, "noeviction");
	default:
		return kv_reply_text(c, "");
	}
}

/* Notes which parameters a pattern matches. Returns how many of them are new. */
static size_t
match(struct glob *glob, struct resp_arg pattern, int wanted[PARAMETERS])
{
	char small[GLOB_MOST];
	size_t n = 0, i;

	if (pattern.len > sizeof(small))
		return 0;
	for (i = 0; i < pattern.len; i++)
		small[i] = (char)(pattern.at[i] >= 'A' && pattern.at[i] <= 'Z' ? pattern.at[i] + 32
									       : pattern.at[i]);
	glob_compile(glob, small, pattern.len);
	for (i = 0; i < PARAMETERS; i++) {
		glob_begin(glob);
		if (wanted[i] || !glob_feed(glob, parameters[i], strlen(parameters[i])) ||
		    !glob_end(glob))
			continue;
		wanted[i] = 1;
		n++;
	}
	return n;
}

static int
get(struct kv_call *c)
{
	struct glob *glob = malloc(sizeof(*glob));
	int wanted[PARAMETERS] = { 0 }, i, rc;
	size_t k, n = 0;

	if (glob == NULL)
		return kv_refuse_memory(c);
	for (k = 2; k < c->r->nargs; k++) {
		n += match(glob, resp_arg(c->r, k), wanted);
		if (kv_work(c, STEPS_OF_A_PATTERN) == -1)
			break;
	}
	free(glob);
	if (k < c->r->nargs)
		return -1;
	rc = kv_reply_map(c, n);
	for (i = 0; i < PARAMETERS && rc == 0; i++)
		if (wanted[i])
			rc = kv_reply_text(c, parameters[i]) == -1 ? -1 : reply_value(c, i);
	return rc;
}

/* No parameter can be changed while kv runs. */
static int
refuse_set(struct kv_call *c)
{
	char word[64], line[192];
	size_t i;

	kv_show(resp_arg(c->r, 2), word, sizeof(word));
	snprintf(line, sizeof(line),
	    "-ERR Unknown option or number of arguments for CONFIG SET - '%s'", word);
	for (i = 0; i < PARAMETERS; i++)
		if (kv_is_word(resp_arg(c->r, 2), parameters[i]))
			snprintf(line, sizeof(line),
			    "-ERR CONFIG SET failed (possibly related to argument "
			    "'%s') - can't set immutable config",
			    word);
	return resp_line(c->w, line);
}

int
kv_config(struct kv_call *c)
{
	struct resp_arg what = resp_arg(c->r, 1);

	if (kv_is_word(what, "get"))
		return c->r->nargs > 2 ? get(c) : kv_refuse_arity(c, "config|get");
	if (kv_is_word(what, "set"))
		return c->r->nargs > 3 ? refuse_set(c) : kv_refuse_arity(c, "config|set");
	return kv_refuse_subcommand(c, "CONFIG");
}
