/* SPDX-License-Identifier: MIT */
/*
 * The commands of kv that have one key, or a few.
 */
#include "kv.h"
#include "number.h"

#include <errno.h>
#include <string.h>

#define TTL_MAX (INT64_MAX / 4) /* milliseconds */
#define STEPS_OF_A_KEY 300      /* of work for each key of DEL or EXISTS */

static const char syntax_error[] = "-ERR syntax error";

/* Sends the value of an entry without a copy, and releases the entry. */
static int
send_value(struct kv_call *c, struct kv_entry *e)
{
	int rc = resp_bulk(c->w, kv_entry_value(e), e->value_len);

	kv_store_release(c->kv->store, e);
	return rc;
}

int
kv_get(struct kv_call *c)
{
	struct resp_arg key = resp_arg(c->r, 1);
	struct kv_entry *e = kv_store_get(c->kv->store, key.at, key.len);

	if (e == NULL)
		return kv_reply_null(c);
	return send_value(c, e);
}

struct set_options {
	int condition;
	int64_t ttl_ms;
};

/* Reads the number of EX or PX. NULL, or the error for the client. */
static const char *
parse_ttl(struct set_options *set, struct resp_arg number, int64_t unit_ms)
{
	if (set->ttl_ms != 0)
		return syntax_error;
	if (parse_number(number.at, number.len, &set->ttl_ms) == -1)
		return kv_not_a_number;
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

		if (kv_is_word(word, "nx"))
			problem = parse_condition(set, KV_IF_NEW);
		else if (kv_is_word(word, "xx"))
			problem = parse_condition(set, KV_IF_OLD);
		else if (kv_is_word(word, "ex") && more)
			problem = parse_ttl(set, resp_arg(r, ++i), 1000);
		else if (kv_is_word(word, "px") && more)
			problem = parse_ttl(set, resp_arg(r, ++i), 1);
		else
			problem = syntax_error;
	}
	return problem;
}

int
kv_set(struct kv_call *c)
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
		return kv_reply_null(c);
	default:
		return kv_refuse_memory(c);
	}
}

int
kv_incr(struct kv_call *c)
{
	struct resp_arg key = resp_arg(c->r, 1);
	int64_t sum;

	if (key.len > c->kv->config->max_key)
		return resp_line(c->w, "-ERR key is too long");
	if (kv_store_add(c->kv->store, key.at, key.len, 1, &sum) == 0)
		return resp_number(c->w, sum);
	if (errno == EINVAL)
		return resp_line(c->w, kv_not_a_number);
	if (errno == ERANGE)
		return resp_line(c->w, "-ERR increment or decrement would overflow");
	return kv_refuse_memory(c);
}

/* For DEL and EXISTS: replies for how many keys `one` returned 1. */
static int
count(struct kv_call *c, int (*one)(struct kv_store *, const void *, size_t))
{
	int64_t n = 0;
	size_t i;

	for (i = 1; i < c->r->nargs; i++) {
		struct resp_arg key = resp_arg(c->r, i);

		n += one(c->kv->store, key.at, key.len);
		if (kv_work(c, STEPS_OF_A_KEY + key.len) == -1)
			return -1;
	}
	return resp_number(c->w, n);
}

int
kv_del(struct kv_call *c)
{
	return count(c, kv_store_delete);
}

int
kv_exists(struct kv_call *c)
{
	return count(c, kv_store_exists);
}

int
kv_dbsize(struct kv_call *c)
{
	struct kv_store_stats stats;

	kv_store_stats(c->kv->store, &stats);
	return resp_number(c->w, (int64_t)stats.keys);
}
