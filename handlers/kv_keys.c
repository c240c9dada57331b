/* SPDX-License-Identifier: MIT */
/*
 * KEYS: the keys that match a pattern.
 *
 * The store is walked in steps. Its lock is held while a step collects a few entries, and
 * their keys are compared without it. So neither a slow pattern nor a large store keeps
 * other clients waiting. A look at all entries under the lock would need less code, and
 * would show one moment of the store; but it took seconds.
 */
#include "kv.h"

#include "glob.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_FIRST 64
#define PIECE 4096        /* bytes of a key that are compared between two counts of steps */
#define STEPS_OF_A_KEY 50 /* of work for each key beside the comparison */

/* The entries whose keys match, with a reference to each. */
struct keys {
	struct kv_store *store;
	struct budget *budget;
	struct kv_entry **list;
	size_t n, room;
};

static int
reserve(struct keys *keys, size_t more)
{
	size_t room = keys->room == 0 ? ROOM_FIRST : 2 * keys->room;
	size_t size = (room - keys->room) * sizeof(*keys->list);
	struct kv_entry **list;

	if (keys->room - keys->n >= more)
		return 0;
	if (budget_take(keys->budget, size) == -1)
		return -1;
	list = realloc(keys->list, room * sizeof(*list));
	if (list == NULL) {
		budget_give(keys->budget, size);
		return -1;
	}
	keys->list = list;
	keys->room = room;
	return 0;
}

static void
release(struct kv_call *c, struct keys *keys)
{
	size_t i;

	for (i = 0; i < keys->n; i++) {
		kv_store_release(keys->store, keys->list[i]);
		(void)kv_work(c, STEPS_OF_A_KEY);
	}
	free(keys->list);
	budget_give(keys->budget, keys->room * sizeof(*keys->list));
}

/* Returns 1 when the key of e matches, 0 when it does not, -1 and ECANCELED. */
static int
matches(struct kv_call *c, struct glob *glob, const struct kv_entry *e)
{
	size_t at, n;

	glob_begin(glob);
	for (at = 0; at < e->key_len; at += n) {
		n = e->key_len - at < PIECE ? e->key_len - at : PIECE;
		if (!glob_feed(glob, e->bytes + at, n))
			return kv_work(c, n);
		if (kv_work(c, n * glob->words) == -1)
			return -1;
	}
	return glob_end(glob);
}

/*
 * Keeps the entries of a step that match, and releases the others. 0, or -1: ECANCELED,
 * ENOSPC, ENOMEM.
 */
static int
sort_out(struct kv_call *c, struct glob *glob, const struct kv_walk *walk, struct keys *keys)
{
	int rc = reserve(keys, walk->n);
	size_t i;

	for (i = 0; i < walk->n; i++) {
		int match = rc == 0 ? matches(c, glob, walk->found[i]) : 0;

		if (match == 1)
			keys->list[keys->n++] = walk->found[i];
		else
			kv_store_release(keys->store, walk->found[i]);
		if (match == -1 || kv_work(c, STEPS_OF_A_KEY) == -1)
			rc = -1;
	}
	return rc;
}

static int
collect(struct kv_call *c, struct keys *keys)
{
	struct resp_arg pattern = resp_arg(c->r, 1);
	struct kv_walk walk = { 0 };
	struct glob *glob;
	int rc = 0;

	if (budget_take(keys->budget, sizeof(*glob)) == -1)
		return -1;
	glob = malloc(sizeof(*glob));
	if (glob != NULL) {
		glob_compile(glob, pattern.at, pattern.len);
		while (rc == 0 && kv_store_walk(keys->store, &walk))
			rc = sort_out(c, glob, &walk, keys);
	} else
		rc = -1;
	free(glob);
	budget_give(keys->budget, sizeof(*glob));
	return rc;
}

static int
reply(struct kv_call *c, const struct keys *keys)
{
	int rc = resp_array(c->w, keys->n);
	size_t i;

	for (i = 0; i < keys->n && rc == 0; i++) {
		rc = resp_bulk(c->w, keys->list[i]->bytes, keys->list[i]->key_len);
		if (rc == 0)
			rc = kv_work(c, STEPS_OF_A_KEY);
	}
	return rc;
}

int
kv_keys(struct kv_call *c)
{
	struct keys keys = { .store = c->kv->store, .budget = kv_store_budget(c->kv->store) };
	int rc, error;

	if (resp_arg(c->r, 1).len > GLOB_MOST)
		return resp_line(c->w, "-ERR pattern is too long");
	if (collect(c, &keys) == 0)
		rc = reply(c, &keys);
	else
		rc = errno == ECANCELED ? -1 : kv_refuse_memory(c);
	error = errno;
	release(c, &keys);
	errno = error;
	return rc;
}
