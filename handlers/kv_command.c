/* SPDX-License-Identifier: MIT */
/*
 * Which commands kv has, and COMMAND, which tells of them.
 */
#include "kv.h"

#include <stdio.h>
#include <string.h>

static const struct kv_command commands[] = {
	/* The most frequent ones stand first, as the table is searched from its begin. */
	{ "get", 2, 2, kv_get, "readonly fast", 1, 1 },
	{ "set", 3, 0, kv_set, "write denyoom", 1, 1 },
	{ "ping", 1, 2, kv_ping, "fast", 0, 0 },
	{ "incr", 2, 2, kv_incr, "write denyoom fast", 1, 1 },
	{ "del", 2, 0, kv_del, "write", 1, -1 },
	{ "exists", 2, 0, kv_exists, "readonly fast", 1, -1 },
	{ "echo", 2, 2, kv_echo, "fast", 0, 0 },
	{ "keys", 2, 2, kv_keys, "readonly", 0, 0 },
	{ "dbsize", 1, 1, kv_dbsize, "readonly fast", 0, 0 },
	{ "info", 1, 0, kv_info, "loading stale", 0, 0 },
	{ "quit", 1, 0, kv_quit, "noscript loading stale fast no_auth", 0, 0 },
	{ "reset", 1, 1, kv_reset, "noscript loading stale fast no_auth", 0, 0 },
	{ "select", 2, 2, kv_select, "loading stale fast", 0, 0 },
	{ "auth", 2, 0, kv_auth, "noscript loading stale fast no_auth", 0, 0 },
	{ "hello", 1, 0, kv_hello, "noscript loading stale fast no_auth", 0, 0 },
	{ "command", 1, 0, kv_command, "loading stale", 0, 0 },
	{ "config", 2, 0, kv_config, "admin noscript loading stale", 0, 0 },
	{ "client", 2, 0, kv_client, "admin noscript loading stale", 0, 0 },
};

#define COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct kv_command *
find(struct resp_arg name)
{
	size_t i;

	for (i = 0; i < COUNT; i++)
		if (kv_is_word(name, commands[i].name))
			return &commands[i];
	return NULL;
}

/*
 * Replies in the words of redis: "unknown command 'FOO', with args beginning with: 'bar' 'baz' ".
 */
static int
refuse(struct kv_call *c)
{
	char name[KV_WORD_SHOWN + 1], word[KV_WORD_SHOWN + 1];
	char args[2 * KV_WORD_SHOWN] = "", line[4 * KV_WORD_SHOWN];
	size_t i, used = 0;

	for (i = 1; i < c->r->nargs && used < KV_WORD_SHOWN; i++) {
		kv_show(resp_arg(c->r, i), word, KV_WORD_SHOWN - used + 1);
		used += (size_t)snprintf(args + used, sizeof(args) - used, "'%s' ", word);
	}
	snprintf(line, sizeof(line), "-ERR unknown command '%s', with args beginning with: %s",
	    kv_show(resp_arg(c->r, 0), name, sizeof(name)), args);
	return resp_line(c->w, line);
}

int
kv_run(struct kv_call *c)
{
	const struct kv_command *command = find(resp_arg(c->r, 0));

	if (command == NULL)
		return refuse(c);
	if (c->r->nargs < command->min || (command->max != 0 && c->r->nargs > command->max))
		return kv_refuse_arity(c, command->name);
	return command->run(c);
}

/* -- COMMAND -- */

static int
reply_flags(struct kv_call *c, const char *flags)
{
	char one[32] = "+";
	const char *at;
	size_t n = 1;

	for (at = flags; *at != '\0'; at++)
		n += *at == ' ';
	if (kv_reply_set(c, n) == -1)
		return -1;
	for (at = flags; n > 0; n--, at += strlen(one)) {
		snprintf(one, sizeof(one), "+%.*s", (int)strcspn(at, " "), at);
		if (resp_line(c->w, one) == -1)
			return -1;
	}
	return 0;
}

/* A command as ten elements. The last four are empty: kv has nothing of what they tell. */
static int
reply_command(struct kv_call *c, const struct kv_command *command)
{
	int64_t words = (int64_t)command->min;

	if (resp_array(c->w, 10) == -1 || kv_reply_text(c, command->name) == -1 ||
	    resp_number(c->w, command->max == command->min ? words : -words) == -1 ||
	    reply_flags(c, command->flags) == -1 || resp_number(c->w, command->first) == -1 ||
	    resp_number(c->w, command->last) == -1 || resp_number(c->w, command->first != 0) == -1)
		return -1;
	return kv_reply_set(c, 0) == -1 || kv_reply_set(c, 0) == -1 || kv_reply_set(c, 0) == -1 ||
		       kv_reply_set(c, 0) == -1
		   ? -1
		   : 0;
}

/* Tells of the commands that are named from the third word on, or of all. */
static int
reply_commands(struct kv_call *c)
{
	size_t i;

	if (c->r->nargs <= 2) {
		if (resp_array(c->w, COUNT) == -1)
			return -1;
		for (i = 0; i < COUNT; i++)
			if (reply_command(c, &commands[i]) == -1)
				return -1;
		return 0;
	}
	if (resp_array(c->w, c->r->nargs - 2) == -1)
		return -1;
	for (i = 2; i < c->r->nargs; i++) {
		const struct kv_command *command = find(resp_arg(c->r, i));

		if ((command != NULL ? reply_command(c, command) : kv_reply_null(c)) == -1)
			return -1;
	}
	return 0;
}

static int
reply_names(struct kv_call *c)
{
	size_t i;

	if (resp_array(c->w, COUNT) == -1)
		return -1;
	for (i = 0; i < COUNT; i++)
		if (kv_reply_text(c, commands[i].name) == -1)
			return -1;
	return 0;
}

/* COMMAND DOCS is empty: redis-cli asks for help texts, and works without them. */
int
kv_command(struct kv_call *c)
{
	struct resp_arg what;

	if (c->r->nargs == 1)
		return reply_commands(c);
	what = resp_arg(c->r, 1);
	if (kv_is_word(what, "count"))
		return c->r->nargs == 2 ? resp_number(c->w, COUNT)
					: kv_refuse_arity(c, "command|count");
	if (kv_is_word(what, "info"))
		return reply_commands(c);
	if (kv_is_word(what, "list"))
		return c->r->nargs == 2 ? reply_names(c) : resp_line(c->w, "-ERR syntax error");
	if (kv_is_word(what, "docs"))
		return kv_reply_map(c, 0);
	return kv_refuse_subcommand(c, "COMMAND");
}
