/* SPDX-License-Identifier: MIT */
/*
 * kv_table.h - keys and their values, found by the key's hash.
 *
 * The table knows no lock, no clock and no expiry. Its memory and that of the entries are
 * taken from one budget.
 */
#ifndef HANDLERS_KV_TABLE_H
#define HANDLERS_KV_TABLE_H

#include "budget.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A key and its value in one piece of memory. */
struct kv_entry {
	struct kv_entry *next; /* in the same bucket */
	uint32_t hash;
	uint32_t due;          /* its index in the heap of kv_expiry.h; 0: it never expires */
	atomic_uint refs;      /* of the table, and of each command that has the entry */
	uint32_t key_len;
	uint32_t value_len;
	uint32_t room;         /* bytes for a value */
	char bytes[];          /* the key, then the value */
};

static inline char *
kv_entry_value(struct kv_entry *e)
{
	return e->bytes + e->key_len;
}

/*
 * A new entry with one reference, which is the caller's. NULL: ENOSPC, ENOMEM. Lengths are
 * under 2 GiB.
 */
struct kv_entry *kv_entry_new(struct budget *budget, uint32_t hash, const void *key,
    size_t key_len, const void *value, size_t value_len);

/* Gives a reference back; the last one frees the entry. Any thread may call it. */
void kv_entry_release(struct budget *budget, struct kv_entry *e);

#define KV_TABLE_FIRST 64   /* buckets that are always there */
#define KV_TABLE_SEGMENTS 27

struct kv_table {
	struct budget *budget;
	uint64_t key[2];        /* the secret key of the hash */
	size_t count;           /* entries */
	size_t buckets;         /* in use: between low and 2 * low */
	size_t low;             /* a power of two */
	struct kv_entry **segments[KV_TABLE_SEGMENTS];
};

/* Makes an empty table. 0, or -1: ENOSPC, ENOMEM. */
int kv_table_init(struct kv_table *table, struct budget *budget, const uint64_t key[2]);

/* Frees the table, and gives its references back. */
void kv_table_end(struct kv_table *table);

uint32_t kv_table_hash(const struct kv_table *table, const void *key, size_t key_len);

/*
 * The place of a key: where the table has the pointer to its entry. When there is no such
 * entry the pointer at the place is NULL. Valid until the next insertion or removal.
 */
struct kv_entry **kv_table_find(struct kv_table *table, uint32_t hash, const void *key,
    size_t key_len);

/* Puts e at a free place. The table takes the reference over. */
void kv_table_insert(struct kv_table *table, struct kv_entry **at, struct kv_entry *e);

/* Takes the entry at a place out of the table. The caller gets the reference. */
struct kv_entry *kv_table_remove(struct kv_table *table, struct kv_entry **at);

/* Puts e in the place of another entry, which is returned. The references go with the entries. */
struct kv_entry *kv_table_replace(struct kv_entry **at, struct kv_entry *e);

/* The place of an entry that the table has. Valid as long as that of kv_table_find(). */
struct kv_entry **kv_table_place(struct kv_table *table, const struct kv_entry *e);

/*
 * The turn of an entry: its place in an order of all entries that does not change when
 * the table grows or shrinks. A bucket has the entries of consecutive turns.
 */
uint32_t kv_table_turn(const struct kv_entry *e);

/*
 * The first entry of the bucket that this turn belongs to. *last is the last turn of that
 * bucket.
 */
struct kv_entry *kv_table_bucket(const struct kv_table *table, uint32_t turn, uint32_t *last);

#endif
