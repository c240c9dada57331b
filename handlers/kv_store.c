/* SPDX-License-Identifier: MIT */
/*
 * The store: a table, a heap of what expires, and one lock around both.
 *
 * One lock, not one for each part of the keys: what is done under it takes
 * some hundred nanoseconds, and a command is some microseconds of other work.
 *
 * Nothing is copied under the lock to be sent: an entry is counted by who sends
 * it, and a changed value goes into a new entry unless the store alone has the
 * old one.
 */
#include "kv_store.h"

#include "kv_expiry.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define EXPIRE_SOME 16   /* with each change */
#define EXPIRE_MANY 1024 /* when there is no memory */
#define NUMBER_MAX 21    /* of an int64_t as text */

struct kv_store {
	pthread_mutex_t lock;
	struct budget budget;
	struct kv_table table;
	struct kv_expiry expiry;
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

/* -- under the lock -- */

static void
drop(struct kv_store *store, struct kv_entry **at)
{
	kv_expiry_clear(&store->expiry, *at);
	kv_entry_release(&store->budget, kv_table_remove(&store->table, at));
}

/* What is due, up to max entries. How many there were. */
static int
expire(struct kv_store *store, int max)
{
	const struct kv_due *first = kv_expiry_first(&store->expiry);
	int64_t now;
	int n;

	if (first == NULL)
		return 0;
	now = store->now_ms(store->clock_arg);
	for (n = 0; n < max && first != NULL && first->at <= now; n++) {
		struct kv_entry *e = first->entry;

		drop(store, kv_table_find(&store->table, e->hash, e->bytes, e->key_len));
		store->expired++;
		first = kv_expiry_first(&store->expiry);
	}
	return n;
}

/* The place of a key; what has expired there is gone. */
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
overwrite(struct kv_entry *e, const void *value, size_t value_len)
{
	/* Only the table can lend it to others, and that under the lock. */
	if (value_len > e->room || value_len < e->room / 2 ||
	    atomic_load_explicit(&e->refs, memory_order_acquire) != 1)
		return -1;
	memcpy(kv_entry_value(e), value, value_len);
	e->value_len = (uint32_t)value_len;
	return 0;
}

/* The entry at a place gets this value, or a new one does; its time to live stays. */
static struct kv_entry *
store_at(struct kv_store *store, struct kv_entry **at, const struct name *name, const void *value,
    size_t value_len)
{
	struct kv_entry *e, *old = *at;

	if (old != NULL && overwrite(old, value, value_len) == 0)
		return old;
	e = kv_entry_new(&store->budget, name->hash, name->key, name->len, value, value_len);
	if (e == NULL)
		return NULL;
	if (old == NULL) {
		kv_table_insert(&store->table, at, e);
		return e;
	}
	kv_table_replace(at, e);
	kv_expiry_move(&store->expiry, old, e);
	kv_entry_release(&store->budget, old);
	return e;
}

static int
set(struct kv_store *store, const struct name *name, const void *value, size_t value_len,
    int64_t ttl_ms, int condition)
{
	struct kv_entry **at = find(store, name), *e;

	if ((condition == KV_IF_NEW && *at != NULL) || (condition == KV_IF_OLD && *at == NULL))
		return 0;
	if (ttl_ms > 0 && (*at == NULL || (*at)->due == 0) &&
	    kv_expiry_reserve(&store->expiry) == -1)
		return -1;
	e = store_at(store, at, name, value, value_len);
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
	char text[NUMBER_MAX + 1];
	int64_t number = 0;
	int n;

	if (*at != NULL && kv_number(kv_entry_value(*at), (*at)->value_len, &number) == -1) {
		errno = EINVAL;
		return -1;
	}
	if (__builtin_add_overflow(number, more, &number)) {
		errno = ERANGE;
		return -1;
	}
	n = snprintf(text, sizeof(text), "%" PRId64, number);
	if (store_at(store, at, name, text, (size_t)n) == NULL)
		return -1;
	*sum = number;
	return 0;
}

/* How many live entries match; they are put into list, unless it is NULL. */
static size_t
matching(struct kv_store *store, int (*match)(const char *, size_t, void *), void *arg,
    struct kv_entry **list)
{
	int64_t now = store->now_ms(store->clock_arg);
	struct kv_entry *e;
	size_t i, n = 0;

	for (i = 0; i < store->table.buckets; i++)
		for (e = kv_table_bucket(&store->table, i); e != NULL; e = e->next) {
			if (kv_expiry_is_due(&store->expiry, e, now) ||
			    !match(e->bytes, e->key_len, arg))
				continue;
			if (list != NULL) {
				atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
				list[n] = e;
			}
			n++;
		}
	return n;
}

/* -- calls -- */

struct kv_entry *
kv_store_get(struct kv_store *store, const void *key, size_t key_len)
{
	struct name name = name_of(store, key, key_len);
	struct kv_entry *e;

	pthread_mutex_lock(&store->lock);
	expire(store, EXPIRE_SOME);
	e = *find(store, &name);
	if (e != NULL)
		atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&store->lock);
	return e;
}

void
kv_store_release(struct kv_store *store, struct kv_entry *e)
{
	kv_entry_release(&store->budget, e);
}

int
kv_store_set(struct kv_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len, int64_t ttl_ms, int condition)
{
	struct name name = name_of(store, key, key_len);
	int rc;

	pthread_mutex_lock(&store->lock);
	expire(store, EXPIRE_SOME);
	rc = set(store, &name, value, value_len, ttl_ms, condition);
	if (rc == -1 && errno == ENOSPC && expire(store, EXPIRE_MANY) > 0)
		rc = set(store, &name, value, value_len, ttl_ms, condition);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

int
kv_store_delete(struct kv_store *store, const void *key, size_t key_len)
{
	struct name name = name_of(store, key, key_len);
	struct kv_entry **at;
	int there;

	pthread_mutex_lock(&store->lock);
	expire(store, EXPIRE_SOME);
	at = find(store, &name);
	there = *at != NULL;
	if (there)
		drop(store, at);
	pthread_mutex_unlock(&store->lock);
	return there;
}

int
kv_store_exists(struct kv_store *store, const void *key, size_t key_len)
{
	struct name name = name_of(store, key, key_len);
	int there;

	pthread_mutex_lock(&store->lock);
	expire(store, EXPIRE_SOME);
	there = *find(store, &name) != NULL;
	pthread_mutex_unlock(&store->lock);
	return there;
}

int
kv_store_add(struct kv_store *store, const void *key, size_t key_len, int64_t more, int64_t *sum)
{
	struct name name = name_of(store, key, key_len);
	int rc;

	pthread_mutex_lock(&store->lock);
	expire(store, EXPIRE_SOME);
	rc = add(store, &name, more, sum);
	if (rc == -1 && errno == ENOSPC && expire(store, EXPIRE_MANY) > 0)
		rc = add(store, &name, more, sum);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

int
kv_store_list(struct kv_store *store, int (*match)(const char *, size_t, void *), void *arg,
    struct kv_entry ***list, size_t *n)
{
	int rc = -1;

	*list = NULL;
	pthread_mutex_lock(&store->lock);
	*n = matching(store, match, arg, NULL);
	if (budget_take(&store->budget, *n * sizeof(**list)) == 0) {
		*list = malloc(*n > 0 ? *n * sizeof(**list) : 1);
		if (*list != NULL) {
			/* The clock may have moved on: then it is fewer. */
			size_t found = matching(store, match, arg, *list);

			budget_give(&store->budget, (*n - found) * sizeof(**list));
			*n = found;
			rc = 0;
		} else
			budget_give(&store->budget, *n * sizeof(**list));
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

void
kv_store_free_list(struct kv_store *store, struct kv_entry **list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		kv_store_release(store, list[i]);
	free(list);
	budget_give(&store->budget, n * sizeof(*list));
}

void
kv_store_stats(struct kv_store *store, struct kv_store_stats *stats)
{
	pthread_mutex_lock(&store->lock);
	expire(store, EXPIRE_SOME);
	*stats = (struct kv_store_stats){
		.keys = store->table.count,
		.expiring = store->expiry.count,
		.used_memory = budget_used(&store->budget),
		.max_memory = store->budget.max,
		.expired = store->expired,
	};
	pthread_mutex_unlock(&store->lock);
}

/* As redis: no blanks, no plus, no leading zeros. */
int
kv_number(const char *text, size_t n, int64_t *number)
{
	uint64_t value = 0;
	size_t i = 0;
	int negative = n > 1 && text[0] == '-';

	i = (size_t)negative;
	if (n == 0 || n > NUMBER_MAX - 1 || (text[i] == '0' && (n > 1 || negative)))
		return -1;
	for (; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -1;
	}
	if (value > (uint64_t)INT64_MAX + (uint64_t)negative)
		return -1;
	*number = negative ? (int64_t)(0 - value) : (int64_t)value;
	return 0;
}
