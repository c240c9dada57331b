/* SPDX-License-Identifier: MIT */
/*
 * The commands of kv that are about the connection, and what clients ask first.
 */
#include "kv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
reply_text(struct kv_call *c, const char *text)
{
	return resp_bulk(c->w, text, strlen(text));
}

int
kv_info(struct kv_call *c)
{
	struct kv_store_stats stats;
	char text[512];

	kv_store_stats(c->kv->store, &stats);
	snprintf(text, sizeof(text),
	    "# Server\r\nserver:libsocketserver kv\r\n\r\n"
	    "# Memory\r\nused_memory:%zu\r\nmaxmemory:%zu\r\nmaxmemory_policy:noeviction\r\n\r\n"
	    "# Stats\r\nexpired_keys:%" PRIu64 "\r\n\r\n"
	    "# Keyspace\r\ndb0:keys=%zu,expires=%zu\r\n",
	    stats.used_memory, stats.max_memory, stats.expired, stats.keys, stats.expiring);
	return reply_text(c, text);
}

int
kv_ping(struct kv_call *c)
{
	struct resp_arg text;

	if (c->r->nargs == 1)
		return sks_write(c->w, "+PONG\r\n", 7);
	text = resp_arg(c->r, 1);
	return resp_bulk(c->w, text.at, text.len);
}

int
kv_echo(struct kv_call *c)
{
	struct resp_arg text = resp_arg(c->r, 1);

	return resp_bulk(c->w, text.at, text.len);
}

int
kv_quit(struct kv_call *c)
{
	c->quit = 1;
	return resp_line(c->w, "+OK");
}

int
kv_select(struct kv_call *c)
{
	int64_t n;

	if (kv_number(resp_arg(c->r, 1).at, resp_arg(c->r, 1).len, &n) == -1)
		return resp_line(c->w, kv_not_a_number);
	return resp_line(c->w, n == 0 ? "+OK" : "-ERR DB index is out of range");
}

/* COMMAND, COMMAND DOCS: redis-cli wants help texts, and does without. */
int
kv_command(struct kv_call *c)
{
	return resp_array(c->w, 0);
}

/* CONFIG GET of what redis-benchmark prints, and of the bound. */
int
kv_config_get(struct kv_call *c)
{
	char max_memory[24];
	struct resp_arg name;
	const char *value;

	if (!kv_is_word(resp_arg(c->r, 1), "get"))
		return kv_refuse_word(c, "unknown subcommand", resp_arg(c->r, 1));
	if (c->r->nargs != 3)
		return resp_line(c->w, "-ERR wrong number of arguments for 'config|get' command");
	name = resp_arg(c->r, 2);
	snprintf(max_memory, sizeof(max_memory), "%zu", c->kv->config->max_memory);
	value = kv_is_word(name, "save") ? "" : kv_is_word(name, "appendonly") ? "no" :
	    kv_is_word(name, "maxmemory") ? max_memory : NULL;
	if (value == NULL)
		return resp_array(c->w, 0);
	if (resp_array(c->w, 2) == -1 || resp_bulk(c->w, name.at, name.len) == -1)
		return -1;
	return reply_text(c, value);
}

/* CLIENT SETNAME, CLIENT SETINFO: taken note of by nobody. */
int
kv_client(struct kv_call *c)
{
	struct resp_arg what = resp_arg(c->r, 1);

	if (kv_is_word(what, "setname") || kv_is_word(what, "setinfo"))
		return resp_line(c->w, "+OK");
	return kv_refuse_word(c, "unknown subcommand", what);
}
