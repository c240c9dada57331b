/* SPDX-License-Identifier: MIT */
/*
 * The store: a table, a heap of what expires, and one lock around both.
 *
 * There is one lock for all keys, not one for each part of them: a command holds it for
 * some hundred nanoseconds, and takes some microseconds for other work. So no call does
 * more under the lock than with a few entries. A walk over all keys releases it after
 * each step. A large value is copied before the lock is taken, and freed after it was
 * released.
 *
 * A value is not copied to be sent. The command that sends it holds a reference to the
 * entry, and a new value goes into a new entry unless the store has the only reference.
 */
#include "kv_store.h"

#include "kv_expiry.h"
#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define EXPIRE_SOME 16    /* entries that each call expires at most */
#define EXPIRE_MANY 256   /* the same when there is no memory, */
#define EXPIRE_ROUNDS 5   /* in so many rounds at most */
#define COPIED_MOST 4096  /* bytes of a value that are copied under the lock */
#define WALK_BUCKETS 256  /* buckets that one step of a walk looks at */
#define WALK_END ((uint64_t)1 << 32)

struct kv_store {
	pthread_mutex_t lock;
	struct budget budget;
	struct kv_table table;
	struct kv_expiry expiry;
	struct kv_entry *dropped; /* taken out of the table; unlock() releases them */
	uint64_t expired;
	int64_t (*now_ms)(void *);
	void *clock_arg;
};

/* A key, hashed before the lock is taken. */
struct name {
	const void *key;
	size_t len;
	uint32_t hash;
};

/* A value. When it is large it is in an entry already, `made`, until the table takes that. */
struct value {
	const void *bytes;
	size_t len;
	struct kv_entry *made;
};

static int64_t
monotonic_ms(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct kv_store *
kv_store_new(size_t max_memory)
{
	struct kv_store *store = calloc(1, sizeof(*store));
	uint64_t key[2];

	if (store == NULL)
		return NULL;
	store->budget.max = max_memory;
	store->now_ms = monotonic_ms;
	kv_expiry_init(&store->expiry, &store->budget);
	if (getrandom(key, sizeof(key), 0) != sizeof(key) ||
	    kv_table_init(&store->table, &store->budget, key) == -1) {
		free(store);
		return NULL;
	}
	pthread_mutex_init(&store->lock, NULL);
	return store;
}

void
kv_store_free(struct kv_store *store)
{
	if (store == NULL)
		return;
	kv_expiry_end(&store->expiry);
	kv_table_end(&store->table);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

struct budget *
kv_store_budget(struct kv_store *store)
{
	return &store->budget;
}

void
kv_store_set_clock(struct kv_store *store, int64_t (*now_ms)(void *), void *arg)
{
	store->now_ms = now_ms != NULL ? now_ms : monotonic_ms;
	store->clock_arg = arg;
}

static struct name
name_of(struct kv_store *store, const void *key, size_t len)
{
	return (struct name){ key, len, kv_table_hash(&store->table, key, len) };
}

static void
lock(struct kv_store *store)
{
	pthread_mutex_lock(&store->lock);
}

/* Releases the lock, and then the entries that were dropped. Keeps errno. */
static void
unlock(struct kv_store *store)
{
	struct kv_entry *e = store->dropped, *next;
	int error = errno;

	store->dropped = NULL;
	pthread_mutex_unlock(&store->lock);
	for (; e != NULL; e = next) {
		next = e->next;
		kv_entry_release(&store->budget, e);
	}
	errno = error;
}

/* -- under the lock -- */

/* Has unlock() release the reference to e that the table had. */
static void
give_up(struct kv_store *store, struct kv_entry *e)
{
	e->next = store->dropped;
	store->dropped = e;
}

static void
drop(struct kv_store *store, struct kv_entry **at)
{
	kv_expiry_clear(&store->expiry, *at);
	give_up(store, kv_table_remove(&store->table, at));
}

/* Drops entries that are due, max of them at most. */
static void
expire(struct kv_store *store, int max)
{
	const struct kv_due *first = kv_expiry_first(&store->expiry);
	int64_t now;
	int n;

	if (first == NULL)
		return;
	now = store->now_ms(store->clock_arg);
	for (n = 0; n < max && first != NULL && first->at <= now; n++) {
		drop(store, kv_table_place(&store->table, first->entry));
		store->expired++;
		first = kv_expiry_first(&store->expiry);
	}
}

/* The place of a key, as of kv_table_find(). An entry there that has expired is dropped. */
static struct kv_entry **
find(struct kv_store *store, const struct name *name)
{
	struct kv_entry **at = kv_table_find(&store->table, name->hash, name->key, name->len);

	if (*at == NULL || (*at)->due == 0 ||
	    !kv_expiry_is_due(&store->expiry, *at, store->now_ms(store->clock_arg)))
		return at;
	drop(store, at);
	store->expired++;
	return kv_table_find(&store->table, name->hash, name->key, name->len);
}

static int
overwrite(struct kv_entry *e, const struct value *value)
{
	/* Nobody else can get a reference now: that needs the lock. */
	if (value->len > e->room || value->len < e->room / 2 ||
	    atomic_load_explicit(&e->refs, memory_order_acquire) != 1)
		return -1;
	memcpy(kv_entry_value(e), value->bytes, value->len);
	e->value_len = (uint32_t)value->len;
	return 0;
}

/* Stores a value at a place, in the old entry or in a new one. When it expires stays the same. */
static struct kv_entry *
store_at(struct kv_store *store, struct kv_entry **at, const struct name *name,
    struct value *value)
{
	struct kv_entry *e = value->made, *old = *at;

	if (e == NULL && old != NULL && overwrite(old, value) == 0)
		return old;
	if (e == NULL)
		e = kv_entry_new(&store->budget, name->hash, name->key, name->len, value->bytes,
		    value->len);
	if (e == NULL)
		return NULL;
	value->made = NULL;
	if (old == NULL) {
		kv_table_insert(&store->table, at, e);
		return e;
	}
	kv_table_replace(at, e);
	kv_expiry_move(&store->expiry, old, e);
	give_up(store, old);
	return e;
}

static int
set(struct kv_store *store, const struct name *name, struct value *value, int64_t ttl_ms,
    int condition)
{
	struct kv_entry **at = find(store, name), *e;

	if ((condition == KV_IF_NEW && *at != NULL) || (condition == KV_IF_OLD && *at == NULL))
		return 0;
	if (ttl_ms > 0 && (*at == NULL || (*at)->due == 0) &&
	    kv_expiry_reserve(&store->expiry) == -1)
		return -1;
	e = store_at(store, at, name, value);
	if (e == NULL)
		return -1;
	if (ttl_ms > 0)
		kv_expiry_set(&store->expiry, e, store->now_ms(store->clock_arg) + ttl_ms);
	else
		kv_expiry_clear(&store->expiry, e);
	return 1;
}

static int
add(struct kv_store *store, const struct name *name, int64_t more, int64_t *sum)
{
	struct kv_entry **at = find(store, name);
	char text[NUMBER_MOST + 1];
	struct value value = { .bytes = text };
	int64_t number = 0;

	if (*at != NULL && parse_number(kv_entry_value(*at), (*at)->value_len, &number) == -1) {
		errno = EINVAL;
		return -1;
	}
	if (__builtin_add_overflow(number, more, &number)) {
		errno = ERANGE;
		return -1;
	}
	value.len = (size_t)snprintf(text, sizeof(text), "%" PRId64, number);
	if (store_at(store, at, name, &value) == NULL)
		return -1;
	*sum = number;
	return 0;
}

/* -- a walk, under the lock -- */

static size_t
count_turns(const struct kv_entry *e, uint32_t first, uint32_t last)
{
	size_t n = 0;

	for (; e != NULL; e = e->next)
		n += kv_table_turn(e) >= first && kv_table_turn(e) <= last;
	return n;
}

/* Adds the live entries of these turns to the step, as many as there is room for. */
static void
lend(struct kv_store *store, struct kv_walk *walk, struct kv_entry *e, uint32_t last)
{
	int64_t now = store->now_ms(store->clock_arg);

	for (; e != NULL && walk->n < KV_WALK_MOST; e = e->next) {
		if (kv_table_turn(e) < walk->turn || kv_table_turn(e) > last ||
		    kv_expiry_is_due(&store->expiry, e, now))
			continue;
		atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
		walk->found[walk->n++] = e;
	}
}

/* Walks the next bucket, or a part of one that is too long for a step. 0: the step is full. */
static int
walk_bucket(struct kv_store *store, struct kv_walk *walk)
{
	uint32_t turn = (uint32_t)walk->turn, last;
	struct kv_entry *first = kv_table_bucket(&store->table, turn, &last);

	if (walk->n > 0 && count_turns(first, turn, last) > KV_WALK_MOST - walk->n)
		return 0;
	/* A bucket may be that long when there was no memory for the table to grow. */
	while (last > turn && count_turns(first, turn, last) > KV_WALK_MOST)
		last = turn + (last - turn) / 2;
	lend(store, walk, first, last);
	walk->turn = (uint64_t)last + 1;
	return 1;
}

/* -- calls -- */

struct kv_entry *
kv_store_get(struct kv_store *store, const void *key, size_t key_len)
{
	struct name name = name_of(store, key, key_len);
	struct kv_entry *e;

	lock(store);
	expire(store, EXPIRE_SOME);
	e = *find(store, &name);
	if (e != NULL)
		atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	unlock(store);
	return e;
}

void
kv_store_release(struct kv_store *store, struct kv_entry *e)
{
	kv_entry_release(&store->budget, e);
}

/* Copies a large value, before the lock is taken. 0, or -1: ENOSPC, ENOMEM. */
static int
prepare(struct kv_store *store, const struct name *name, struct value *value)
{
	if (value->len <= COPIED_MOST || value->made != NULL)
		return 0;
	value->made = kv_entry_new(&store->budget, name->hash, name->key, name->len, value->bytes,
	    value->len);
	return value->made != NULL ? 0 : -1;
}

int
kv_store_set(struct kv_store *store, const void *key, size_t key_len, const void *bytes,
    size_t value_len, int64_t ttl_ms, int condition)
{
	struct name name = name_of(store, key, key_len);
	struct value value = { .bytes = bytes, .len = value_len };
	int round, rc = -1, error = ENOSPC;

	for (round = 0; round < EXPIRE_ROUNDS && rc == -1 && error == ENOSPC; round++) {
		rc = prepare(store, &name, &value);
		error = errno;
		lock(store);
		expire(store, round == 0 ? EXPIRE_SOME : EXPIRE_MANY);
		if (rc == 0) {
			rc = set(store, &name, &value, ttl_ms, condition);
			error = errno;
		}
		unlock(store);
	}
	if (value.made != NULL)
		kv_store_release(store, value.made);
	errno = error;
	return rc;
}

int
kv_store_delete(struct kv_store *store, const void *key, size_t key_len)
{
	struct name name = name_of(store, key, key_len);
	struct kv_entry **at;
	int there;

	lock(store);
	expire(store, EXPIRE_SOME);
	at = find(store, &name);
	there = *at != NULL;
	if (there)
		drop(store, at);
	unlock(store);
	return there;
}

int
kv_store_exists(struct kv_store *store, const void *key, size_t key_len)
{
	struct name name = name_of(store, key, key_len);
	int there;

	lock(store);
	expire(store, EXPIRE_SOME);
	there = *find(store, &name) != NULL;
	unlock(store);
	return there;
}

int
kv_store_add(struct kv_store *store, const void *key, size_t key_len, int64_t more, int64_t *sum)
{
	struct name name = name_of(store, key, key_len);
	int round, rc = -1;

	errno = ENOSPC;
	for (round = 0; round < EXPIRE_ROUNDS && rc == -1 && errno == ENOSPC; round++) {
		lock(store);
		expire(store, round == 0 ? EXPIRE_SOME : EXPIRE_MANY);
		rc = add(store, &name, more, sum);
		unlock(store);
	}
	return rc;
}

int
kv_store_walk(struct kv_store *store, struct kv_walk *walk)
{
	int i, more;

	walk->n = 0;
	lock(store);
	more = walk->turn < WALK_END;
	for (i = 0; i < WALK_BUCKETS && walk->turn < WALK_END && walk_bucket(store, walk); i++)
		;
	unlock(store);
	return more;
}

void
kv_store_stats(struct kv_store *store, struct kv_store_stats *stats)
{
	lock(store);
	expire(store, EXPIRE_SOME);
	*stats = (struct kv_store_stats){
		.keys = store->table.count,
		.expiring = store->expiry.count,
		.used_memory = budget_used(&store->budget),
		.max_memory = store->budget.max,
		.expired = store->expired,
	};
	unlock(store);
}
