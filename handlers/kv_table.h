/* SPDX-License-Identifier: MIT */
/*
 * kv_table.h - keys and their values, found by the key's hash.
 *
 * A plain table: it knows no lock, no clock and no expiry. The entries' memory
 * and its own are taken from one budget.
 */
#ifndef HANDLERS_KV_TABLE_H
#define HANDLERS_KV_TABLE_H

#include "budget.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A key and its value in one piece of memory. */
struct kv_entry {
	struct kv_entry *next; /* in its bucket */
	uint32_t hash;
	uint32_t due;          /* where the heap of kv_expiry.h has it; 0: never expires */
	atomic_uint refs;      /* the table's, and those of who is sending the value */
	uint32_t key_len;
	uint32_t value_len;
	uint32_t room;         /* for the value */
	char bytes[];          /* key, value */
};

static inline char *
kv_entry_value(struct kv_entry *e)
{
	return e->bytes + e->key_len;
}

/* With one reference, the caller's. NULL: ENOSPC or ENOMEM. Lengths are under 2 GiB. */
struct kv_entry *kv_entry_new(struct budget *budget, uint32_t hash, const void *key,
    size_t key_len, const void *value, size_t value_len);

/* Gives a reference back; the last one frees. From any thread. */
void kv_entry_release(struct budget *budget, struct kv_entry *e);

#define KV_TABLE_FIRST 64   /* buckets, always there */
#define KV_TABLE_SEGMENTS 27

struct kv_table {
	struct budget *budget;
	uint64_t key[2];        /* of the hash */
	size_t count;           /* entries */
	size_t buckets;         /* in use: between low and 2 * low */
	size_t low;             /* a power of two */
	struct kv_entry **segments[KV_TABLE_SEGMENTS];
};

/* 0, or -1: ENOSPC, ENOMEM. */
int kv_table_init(struct kv_table *table, struct budget *budget, const uint64_t key[2]);

/* Gives up its references. */
void kv_table_end(struct kv_table *table);

uint32_t kv_table_hash(const struct kv_table *table, const void *key, size_t key_len);

/*
 * Where the pointer to this key's entry is, or would be (then *it is NULL);
 * good until the next insertion or removal.
 */
struct kv_entry **kv_table_find(struct kv_table *table, uint32_t hash, const void *key,
    size_t key_len);

/* Puts e, with its reference, at a place that kv_table_find() gave, and that is free. */
void kv_table_insert(struct kv_table *table, struct kv_entry **at, struct kv_entry *e);

/* Takes the entry at a place out, with its reference. */
struct kv_entry *kv_table_remove(struct kv_table *table, struct kv_entry **at);

/* Puts e, with its reference, instead of the entry at a place; that one is returned with its. */
struct kv_entry *kv_table_replace(struct kv_entry **at, struct kv_entry *e);

/* Where the pointer to e is, which the table has. Good as long as that of kv_table_find(). */
struct kv_entry **kv_table_place(struct kv_table *table, const struct kv_entry *e);

/*
 * An order of all entries that stays as it is while the table grows and shrinks:
 * each entry has a turn, which its hash gives, and a bucket has the entries of
 * turns that follow each other.
 */
uint32_t kv_table_turn(const struct kv_entry *e);

/* The first entry of the bucket that has this turn; the last turn that it has is *last. */
struct kv_entry *kv_table_bucket(const struct kv_table *table, uint32_t turn, uint32_t *last);

#endif
