/* SPDX-License-Identifier: MIT */
/*
 * kv_store.h - a store of keys and values, for any number of threads.
 *
 * Each call locks the store while it works on a few entries. Under the lock it neither
 * copies nor frees large values, and never waits. So the lock is a plain mutex: no fiber
 * can be suspended while it holds the lock.
 *
 * A call that fails returns -1 and leaves the store as it was. errno is ENOSPC when the
 * bound on memory would be passed, ENOMEM when malloc(3) fails, or what the call names.
 *
 * A key that has expired is not there for any call. Each call frees some expired keys,
 * and one that finds no memory frees more.
 *
 * A large value needs its memory before that of the old value is freed.
 */
#ifndef HANDLERS_KV_STORE_H
#define HANDLERS_KV_STORE_H

#include "budget.h"
#include "kv_table.h"

#include <stddef.h>
#include <stdint.h>

struct kv_store;

/*
 * A store whose entries and tables take at most max_memory bytes; 0: no bound. NULL:
 * ENOSPC, ENOMEM.
 */
struct kv_store *kv_store_new(size_t max_memory);

/* Frees the store, which no thread uses any more. store may be NULL. */
void kv_store_free(struct kv_store *store);

/* The budget of the bound on memory, for other memory that counts. */
struct budget *kv_store_budget(struct kv_store *store);

/*
 * Sets the clock, in milliseconds that never go back; NULL is CLOCK_MONOTONIC. Before any
 * other call.
 */
void kv_store_set_clock(struct kv_store *store, int64_t (*now_ms)(void *arg), void *arg);

/* The entry of a key, until kv_store_release(); NULL: there is none. */
struct kv_entry *kv_store_get(struct kv_store *store, const void *key, size_t key_len);
void kv_store_release(struct kv_store *store, struct kv_entry *e);

#define KV_IF_NEW 1 /* only when the key is not there */
#define KV_IF_OLD 2 /* only when it is */

/*
 * Stores a value, which expires in ttl_ms; 0: never. 1: it is stored; 0: the condition
 * does not hold; -1: as above.
 */
int kv_store_set(struct kv_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len, int64_t ttl_ms, int condition);

/* Each returns 1 when the key was there, or 0. */
int kv_store_delete(struct kv_store *store, const void *key, size_t key_len);
int kv_store_exists(struct kv_store *store, const void *key, size_t key_len);

/*
 * Adds to the number that the key has; 0 when it has none. When the key expires does not
 * change. 0 and *sum, or -1: EINVAL when the value is no number, ERANGE when the sum does
 * not fit, or as above.
 */
int kv_store_add(struct kv_store *store, const void *key, size_t key_len, int64_t more,
    int64_t *sum);

#define KV_WALK_MOST 64

/* A walk over all entries, in steps. It begins with zeroes. */
struct kv_walk {
	uint64_t turn;                        /* where it stands, for the store */
	size_t n;                             /* entries that the last step has found */
	struct kv_entry *found[KV_WALK_MOST]; /* until kv_store_release() of each */
};

/*
 * Walks one step. 1: it has found n entries, perhaps none; 0: the walk is at its end, and
 * n is 0. The store may change between two steps. A key that is there during the whole
 * walk is found once; another one is found once or not at all.
 */
int kv_store_walk(struct kv_store *store, struct kv_walk *walk);

struct kv_store_stats {
	size_t keys;       /* some may have expired */
	size_t expiring;   /* keys that will expire */
	size_t used_memory;
	size_t max_memory;
	uint64_t expired;  /* keys that have expired so far */
};
void kv_store_stats(struct kv_store *store, struct kv_store_stats *stats);

#endif
