/* SPDX-License-Identifier: MIT */
/*
 * kv: a store of keys and values in memory, for clients of redis.
 *
 * A model for handlers that keep state for all their clients:
 * - one object behind req->data, made by init and freed by exit;
 * - its lock is taken around work on memory only, never around a call that may
 *   wait, so that a plain mutex inside the store is right in every mode;
 * - a client that has said all it wanted is parked by SKS_KEEP, and costs no
 *   fiber, thread or buffer until it speaks again. While more of its commands
 *   are in the buffer they are run at once: their replies leave in one piece.
 *
 * Nothing is written to disk, and nothing is evicted: at max-memory commands
 * that need more are refused.
 */
#include "kv.h"

#include "glob.h"

#include <errno.h>
#include <inttypes.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN 65536                  /* bytes that a stream shows at once */
#define COMMAND_ROOM 65536           /* of a command beside its largest argument */
#define TTL_MAX (INT64_MAX / 4)      /* milliseconds */
#define MEMORY_MAX ((int64_t)1 << 44)
#define PATTERN_MAX 1024             /* of KEYS: looking for it takes pattern times key */
#define NAME_SHOWN 128               /* of a client's word in an error */

static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.";
static const char syntax_error[] = "-ERR syntax error";
static const char not_a_number[] = "-ERR value is not an integer or out of range";

static const struct sks_plugin_option options[] = {
	{ .name = "max-memory", .help = "bytes for keys, values and large commands",
	    .value = "256M", .type = SKS_OPTION_SIZE, .min = 65536, .max = MEMORY_MAX,
	    SKS_OPTION_AT(struct kv_config, max_memory) },
	{ .name = "max-value", .help = "bytes of the largest value", .value = "16M",
	    .type = SKS_OPTION_SIZE, .min = 1024, .max = 1 << 30,
	    SKS_OPTION_AT(struct kv_config, max_value) },
	{ .name = "max-key", .help = "bytes of the longest key", .value = "8k",
	    .type = SKS_OPTION_SIZE, .min = 1, .max = 1 << 20,
	    SKS_OPTION_AT(struct kv_config, max_key) },
	{ 0 },
};

/* A command that is being run. */
struct call {
	struct sks_wfile *w;
	const struct kv *kv;
	const struct resp_reader *r;
	int quit;
};

/* -- words -- */

static int
is_word(struct resp_arg arg, const char *word)
{
	return arg.len == strlen(word) && strncasecmp(arg.at, word, arg.len) == 0;
}

/* What a client said, for one line of text. */
static void
show(struct resp_arg arg, char text[NAME_SHOWN + 1])
{
	size_t i, n = arg.len < NAME_SHOWN ? arg.len : NAME_SHOWN;

	for (i = 0; i < n; i++)
		text[i] = (unsigned char)arg.at[i] < ' ' || arg.at[i] == 0x7f ? ' ' : arg.at[i];
	text[n] = '\0';
}

/* -- replies -- */

static int
refuse_word(struct call *c, const char *what, struct resp_arg word)
{
	char text[NAME_SHOWN + 1], line[NAME_SHOWN + 64];

	show(word, text);
	snprintf(line, sizeof(line), "-ERR %s '%s'", what, text);
	return resp_line(c->w, line);
}

/* What the store said, for those that have no words of their own. */
static int
refuse(struct call *c)
{
	return resp_line(c->w, errno == ENOSPC ? oom : "-ERR out of memory");
}

static int
reply_text(struct call *c, const char *text)
{
	return resp_bulk(c->w, text, strlen(text));
}

/* The entry is sent without a copy, and given back. */
static int
reply_bytes(struct call *c, struct kv_entry *e, const char *bytes, size_t n)
{
	int rc = resp_bulk(c->w, bytes, n);

	kv_store_release(c->kv->store, e);
	return rc;
}

/* -- commands of the store -- */

static int
run_get(struct call *c)
{
	struct resp_arg key = resp_arg(c->r, 1);
	struct kv_entry *e = kv_store_get(c->kv->store, key.at, key.len);

	if (e == NULL)
		return resp_null(c->w);
	return reply_bytes(c, e, kv_entry_value(e), e->value_len);
}

struct set_options {
	int condition;
	int64_t ttl_ms;
};

/* EX s or PX ms. NULL, or why not. */
static const char *
parse_ttl(struct set_options *set, struct resp_arg number, int64_t unit_ms)
{
	if (set->ttl_ms != 0)
		return syntax_error;
	if (kv_number(number.at, number.len, &set->ttl_ms) == -1)
		return not_a_number;
	if (set->ttl_ms <= 0 || set->ttl_ms > TTL_MAX / unit_ms)
		return "-ERR invalid expire time in 'set' command";
	set->ttl_ms *= unit_ms;
	return NULL;
}

static const char *
parse_condition(struct set_options *set, int condition)
{
	if (set->condition != 0 && set->condition != condition)
		return syntax_error;
	set->condition = condition;
	return NULL;
}

static const char *
parse_set(const struct resp_reader *r, struct set_options *set)
{
	const char *problem = NULL;
	size_t i;

	for (i = 3; i < r->nargs && problem == NULL; i++) {
		struct resp_arg word = resp_arg(r, i);
		int more = i + 1 < r->nargs;

		if (is_word(word, "nx"))
			problem = parse_condition(set, KV_IF_NEW);
		else if (is_word(word, "xx"))
			problem = parse_condition(set, KV_IF_OLD);
		else if (is_word(word, "ex") && more)
			problem = parse_ttl(set, resp_arg(r, ++i), 1000);
		else if (is_word(word, "px") && more)
			problem = parse_ttl(set, resp_arg(r, ++i), 1);
		else
			problem = syntax_error;
	}
	return problem;
}

static int
run_set(struct call *c)
{
	struct resp_arg key = resp_arg(c->r, 1), value = resp_arg(c->r, 2);
	struct set_options set = { 0 };
	const char *problem = parse_set(c->r, &set);

	if (problem == NULL && key.len > c->kv->config->max_key)
		problem = "-ERR key is too long";
	if (problem != NULL)
		return resp_line(c->w, problem);
	switch (kv_store_set(c->kv->store, key.at, key.len, value.at, value.len, set.ttl_ms,
	    set.condition)) {
	case 1:
		return sks_write(c->w, "+OK\r\n", 5);
	case 0:
		return resp_null(c->w);
	default:
		return refuse(c);
	}
}

static int
run_incr(struct call *c)
{
	struct resp_arg key = resp_arg(c->r, 1);
	int64_t sum;

	if (key.len > c->kv->config->max_key)
		return resp_line(c->w, "-ERR key is too long");
	if (kv_store_add(c->kv->store, key.at, key.len, 1, &sum) == 0)
		return resp_number(c->w, sum);
	if (errno == EINVAL)
		return resp_line(c->w, not_a_number);
	if (errno == ERANGE)
		return resp_line(c->w, "-ERR increment or decrement would overflow");
	return refuse(c);
}

/* For DEL and EXISTS: of how many keys something is true. */
static int
run_count(struct call *c, int (*one)(struct kv_store *, const void *, size_t))
{
	int64_t n = 0;
	size_t i;

	for (i = 1; i < c->r->nargs; i++) {
		struct resp_arg key = resp_arg(c->r, i);

		n += one(c->kv->store, key.at, key.len);
	}
	return resp_number(c->w, n);
}

static int
run_del(struct call *c)
{
	return run_count(c, kv_store_delete);
}

static int
run_exists(struct call *c)
{
	return run_count(c, kv_store_exists);
}

static int
run_dbsize(struct call *c)
{
	struct kv_store_stats stats;

	kv_store_stats(c->kv->store, &stats);
	return resp_number(c->w, (int64_t)stats.keys);
}

static int
matches(const char *key, size_t n, void *pattern)
{
	const struct resp_arg *p = pattern;

	return glob(p->at, p->len, key, n);
}

static int
run_keys(struct call *c)
{
	struct resp_arg pattern = resp_arg(c->r, 1);
	struct kv_entry **list;
	size_t i, n;
	int rc;

	if (pattern.len > PATTERN_MAX)
		return resp_line(c->w, "-ERR pattern is too long");
	if (kv_store_list(c->kv->store, matches, &pattern, &list, &n) == -1)
		return refuse(c);
	rc = resp_array(c->w, n);
	for (i = 0; i < n && rc == 0; i++)
		rc = resp_bulk(c->w, list[i]->bytes, list[i]->key_len);
	kv_store_free_list(c->kv->store, list, n);
	/* It looked at every key: now let others go first. */
	sks_yield();
	return rc;
}

static int
run_info(struct call *c)
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

/* -- commands of the connection, and what clients ask first -- */

static int
run_ping(struct call *c)
{
	struct resp_arg text;

	if (c->r->nargs == 1)
		return sks_write(c->w, "+PONG\r\n", 7);
	text = resp_arg(c->r, 1);
	return resp_bulk(c->w, text.at, text.len);
}

static int
run_echo(struct call *c)
{
	struct resp_arg text = resp_arg(c->r, 1);

	return resp_bulk(c->w, text.at, text.len);
}

static int
run_quit(struct call *c)
{
	c->quit = 1;
	return resp_line(c->w, "+OK");
}

static int
run_select(struct call *c)
{
	int64_t n;

	if (kv_number(resp_arg(c->r, 1).at, resp_arg(c->r, 1).len, &n) == -1)
		return resp_line(c->w, not_a_number);
	return resp_line(c->w, n == 0 ? "+OK" : "-ERR DB index is out of range");
}

/* COMMAND, COMMAND DOCS: redis-cli wants help texts, and does without. */
static int
run_command(struct call *c)
{
	return resp_array(c->w, 0);
}

/* CONFIG GET of what redis-benchmark prints, and of the bound. */
static int
run_config(struct call *c)
{
	char max_memory[24];
	struct resp_arg name;
	const char *value;

	if (!is_word(resp_arg(c->r, 1), "get"))
		return refuse_word(c, "unknown subcommand", resp_arg(c->r, 1));
	if (c->r->nargs != 3)
		return resp_line(c->w, "-ERR wrong number of arguments for 'config|get' command");
	name = resp_arg(c->r, 2);
	snprintf(max_memory, sizeof(max_memory), "%zu", c->kv->config->max_memory);
	value = is_word(name, "save") ? "" : is_word(name, "appendonly") ? "no" :
	    is_word(name, "maxmemory") ? max_memory : NULL;
	if (value == NULL)
		return resp_array(c->w, 0);
	if (resp_array(c->w, 2) == -1 || resp_bulk(c->w, name.at, name.len) == -1)
		return -1;
	return reply_text(c, value);
}

/* CLIENT SETNAME, CLIENT SETINFO: taken note of by nobody. */
static int
run_client(struct call *c)
{
	struct resp_arg what = resp_arg(c->r, 1);

	if (is_word(what, "setname") || is_word(what, "setinfo"))
		return resp_line(c->w, "+OK");
	return refuse_word(c, "unknown subcommand", what);
}

/* -- running them -- */

static const struct command {
	const char *name;
	size_t len;
	size_t min, max; /* words, with the name; max 0: any number */
	int (*run)(struct call *);
} commands[] = {
#define COMMAND(name_, min_, max_, run_) { name_, sizeof(name_) - 1, min_, max_, run_ }
	/* The ones that are used most first. HELLO is missing as it was before RESP3. */
	COMMAND("get", 2, 2, run_get),
	COMMAND("set", 3, 0, run_set),
	COMMAND("ping", 1, 2, run_ping),
	COMMAND("incr", 2, 2, run_incr),
	COMMAND("del", 2, 0, run_del),
	COMMAND("exists", 2, 0, run_exists),
	COMMAND("echo", 2, 2, run_echo),
	COMMAND("keys", 2, 2, run_keys),
	COMMAND("dbsize", 1, 1, run_dbsize),
	COMMAND("info", 1, 0, run_info),
	COMMAND("quit", 1, 0, run_quit),
	COMMAND("select", 2, 2, run_select),
	COMMAND("command", 1, 0, run_command),
	COMMAND("config", 2, 0, run_config),
	COMMAND("client", 2, 0, run_client),
#undef COMMAND
};

static const struct command *
find_command(struct resp_arg name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].len == name.len &&
		    strncasecmp(commands[i].name, name.at, name.len) == 0)
			return &commands[i];
	return NULL;
}

static int
run(struct call *c)
{
	const struct command *command = find_command(resp_arg(c->r, 0));
	char line[96];

	if (command == NULL)
		return refuse_word(c, "unknown command", resp_arg(c->r, 0));
	if (c->r->nargs >= command->min && (command->max == 0 || c->r->nargs <= command->max))
		return command->run(c);
	snprintf(line, sizeof(line), "-ERR wrong number of arguments for '%s' command",
	    command->name);
	return resp_line(c->w, line);
}

/* What could not be read: the client hears why, where there are words for it. */
static int
give_up(struct call *c)
{
	char line[128];

	if (errno == EPROTO)
		snprintf(line, sizeof(line), "-ERR Protocol error: %s", c->r->problem);
	else if (errno == ENOSPC)
		snprintf(line, sizeof(line), "%s", oom);
	else
		return -1;
	return resp_line(c->w, line);
}

static int
serve(struct sks_request *req)
{
	struct resp_reader reader;
	struct call c = { .w = req->wfile, .kv = req->data, .r = &reader };
	int rc, error;

	resp_open(&reader, req->rfile, &c.kv->limits);
	rc = resp_wait(&reader);
	if (rc == 0) {
		while ((rc = resp_read(&reader)) == 1)
			if (run(&c) == -1 || c.quit)
				break;
		if (rc == -1)
			rc = give_up(&c) == -1 ? -1 : SKS_DONE;
		else if (rc == 0)
			rc = SKS_KEEP;
		else
			rc = c.quit ? SKS_DONE : -1;
	}
	error = errno;
	resp_close(&reader);
	errno = error;
	return rc;
}

/* -- the plugin -- */

static int
init(const void *config, void **data)
{
	struct kv *kv = calloc(1, sizeof(*kv));

	if (kv == NULL)
		return -1;
	kv->config = config;
	kv->store = kv_store_new(kv->config->max_memory);
	if (kv->store == NULL) {
		free(kv);
		return -1;
	}
	kv->limits = (struct resp_limits){
		.max_shown = SHOWN,
		.max_bulk = kv->config->max_value,
		.max_command = kv->config->max_value + COMMAND_ROOM,
		.budget = kv_store_budget(kv->store),
	};
	*data = kv;
	return 0;
}

static void
end(void *data)
{
	struct kv *kv = data;

	kv_store_free(kv->store);
	free(kv);
}

SKS_PLUGIN(.name = "kv",
    .summary = "a store of keys and values in memory, for clients of redis",
    .handler = { .name = "kv", .handle = serve, .client_first = 1 },
    .options = options, .config_size = sizeof(struct kv_config), .init = init, .exit = end,
    .refuses = SKS_REFUSES(SKS_PROCESSES),
    .refuses_why = "each process would have a store of its own",
    .serves = SKS_STREAMS, .port = 6379);
