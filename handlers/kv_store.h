/* SPDX-License-Identifier: MIT */
/*
 * kv_store.h - a store of keys and values, for any number of threads.
 *
 * Each call locks the store for as long as it works on a few entries. It neither
 * copies nor frees large values then, and never waits for anything else. So the
 * lock is a plain mutex: no fiber can be switched away while it holds it.
 *
 * Errors: -1 and errno, and the store is as it was. ENOSPC: the memory bound
 * would be passed. ENOMEM: malloc(3) has none. Others where they are named.
 *
 * Expired keys are gone for every call, and each call frees some of them; one
 * that finds no memory frees more.
 *
 * A large value needs its memory before the one that it replaces is freed.
 */
#ifndef HANDLERS_KV_STORE_H
#define HANDLERS_KV_STORE_H

#include "budget.h"
#include "kv_table.h"

#include <stddef.h>
#include <stdint.h>

struct kv_store;

/* All that is stored, and its tables, take at most max_memory bytes (0: no bound). */
struct kv_store *kv_store_new(size_t max_memory);

/* NULL is fine. Nobody may use it any more. */
void kv_store_free(struct kv_store *store);

/* The budget behind the bound, for what else should count. */
struct budget *kv_store_budget(struct kv_store *store);

/* Milliseconds that never go back; NULL is CLOCK_MONOTONIC again. Before the store is used. */
void kv_store_set_clock(struct kv_store *store, int64_t (*now_ms)(void *arg), void *arg);

/* The entry, which is the caller's until kv_store_release(); NULL: there is none. */
struct kv_entry *kv_store_get(struct kv_store *store, const void *key, size_t key_len);
void kv_store_release(struct kv_store *store, struct kv_entry *e);

#define KV_IF_NEW 1 /* only when the key is not there */
#define KV_IF_OLD 2 /* only when it is */

/*
 * 1: stored, to expire in ttl_ms (0: never). 0: the condition does not hold.
 * -1: as above.
 */
int kv_store_set(struct kv_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len, int64_t ttl_ms, int condition);

/* 1: there was one. 0. */
int kv_store_delete(struct kv_store *store, const void *key, size_t key_len);
int kv_store_exists(struct kv_store *store, const void *key, size_t key_len);

/*
 * Adds to a number, 0 when there is none; how long it lives does not change. 0
 * with the sum, or -1: EINVAL when it is not a number, ERANGE when the sum
 * would not fit, or as above.
 */
int kv_store_add(struct kv_store *store, const void *key, size_t key_len, int64_t more,
    int64_t *sum);

#define KV_WALK_MOST 64

/* A walk over all entries, in steps. Zeroed, it begins. */
struct kv_walk {
	uint64_t turn;                        /* the store's */
	size_t n;                             /* of the entries that were met in this step */
	struct kv_entry *found[KV_WALK_MOST]; /* each the caller's until kv_store_release() */
};

/*
 * One step. 1: n entries were met, also none; 0: there are no more, and n is 0.
 * Between two steps the store may change. A key that is there from the walk's
 * begin to its end is met once; one that comes or goes meanwhile, once or never.
 */
int kv_store_walk(struct kv_store *store, struct kv_walk *walk);

struct kv_store_stats {
	size_t keys;       /* some may be due */
	size_t expiring;   /* of those */
	size_t used_memory;
	size_t max_memory;
	uint64_t expired;  /* so far */
};
void kv_store_stats(struct kv_store *store, struct kv_store_stats *stats);

#endif
