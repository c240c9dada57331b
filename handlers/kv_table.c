/* SPDX-License-Identifier: MIT */
/*
 * A linear hash table (Litwin): an insertion adds one bucket and a removal takes one
 * away, so no command has to move a whole table. The alternative is two tables, and a few
 * buckets that move from one to the other with each command. It needs two look-ups and
 * both arrays while they move.
 *
 * Bucket i lies in a segment of its own power of two, so that the array grows
 * without being copied: 0..63, 64..127, 128..255, and so on.
 *
 * Without memory for the next segment the table keeps its size and gets a little slower,
 * since a bucket is small beside an entry.
 */
#include "kv_table.h"

#include "siphash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returns how much memory malloc(3) takes for n bytes: one word more, and all of it rounded up. */
static size_t
chunk(size_t n)
{
	return (n + 8 + 15) & ~(size_t)15;
}

/* -- entries -- */

static size_t
entry_size(const struct kv_entry *e)
{
	return chunk(sizeof(*e) + e->key_len + e->room);
}

struct kv_entry *
kv_entry_new(struct budget *budget, uint32_t hash, const void *key, size_t key_len,
    const void *value, size_t value_len)
{
	size_t size = chunk(sizeof(struct kv_entry) + key_len + value_len);
	struct kv_entry *e;

	if (budget_take(budget, size) == -1)
		return NULL;
	e = malloc(size - 8);
	if (e == NULL) {
		budget_give(budget, size);
		return NULL;
	}
	e->next = NULL;
	e->hash = hash;
	e->due = 0;
	atomic_init(&e->refs, 1);
	e->key_len = (uint32_t)key_len;
	e->value_len = (uint32_t)value_len;
	e->room = (uint32_t)(size - 8 - sizeof(*e) - key_len);
	memcpy(e->bytes, key, key_len);
	memcpy(e->bytes + key_len, value, value_len);
	return e;
}

void
kv_entry_release(struct budget *budget, struct kv_entry *e)
{
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
		return;
	budget_give(budget, entry_size(e));
	free(e);
}

/* -- buckets -- */

static unsigned int
segment_of(size_t i)
{
	if (i < KV_TABLE_FIRST)
		return 0;
	return (unsigned int)(63 - __builtin_clzll(i)) - 5;
}

static size_t
segment_start(unsigned int s)
{
	return s == 0 ? 0 : (size_t)KV_TABLE_FIRST << (s - 1);
}

static size_t
segment_length(unsigned int s)
{
	return s == 0 ? KV_TABLE_FIRST : segment_start(s);
}

static struct kv_entry **
bucket(const struct kv_table *table, size_t i)
{
	unsigned int s = segment_of(i);

	return &table->segments[s][i - segment_start(s)];
}

static struct kv_entry **
bucket_of(const struct kv_table *table, uint32_t hash)
{
	size_t i = hash & (2 * table->low - 1);

	return bucket(table, i < table->buckets ? i : i - table->low);
}

static int
have_segment(struct kv_table *table, unsigned int s)
{
	size_t size = chunk(segment_length(s) * sizeof(struct kv_entry *));

	if (table->segments[s] != NULL)
		return 0;
	if (budget_take(table->budget, size) == -1)
		return -1;
	table->segments[s] = calloc(1, size - 8);
	if (table->segments[s] == NULL) {
		budget_give(table->budget, size);
		return -1;
	}
	return 0;
}

static void
drop_segment(struct kv_table *table, unsigned int s)
{
	if (table->segments[s] == NULL)
		return;
	free(table->segments[s]);
	table->segments[s] = NULL;
	budget_give(table->budget, chunk(segment_length(s) * sizeof(struct kv_entry *)));
}

/* Adds a bucket. Some entries of the bucket half as far belong into it, and move. */
static void
grow(struct kv_table *table)
{
	size_t i = table->buckets;
	struct kv_entry **from, **to, *e;

	if (segment_of(i) >= KV_TABLE_SEGMENTS || have_segment(table, segment_of(i)) == -1)
		return;
	from = bucket(table, i - table->low);
	to = bucket(table, i);
	while ((e = *from) != NULL) {
		if (e->hash & table->low) {
			*from = e->next;
			e->next = NULL;
			*to = e;
			to = &e->next;
		} else
			from = &e->next;
	}
	if (++table->buckets == 2 * table->low)
		table->low *= 2;
}

/* Takes the last bucket away. The next segment is kept, or it would come and go at its edge. */
static void
shrink(struct kv_table *table)
{
	struct kv_entry **from, **to;
	size_t i;

	if (table->buckets == KV_TABLE_FIRST)
		return;
	if (table->buckets == table->low)
		table->low /= 2;
	i = --table->buckets;
	from = bucket(table, i);
	to = bucket(table, i - table->low);
	while (*to != NULL)
		to = &(*to)->next;
	*to = *from;
	*from = NULL;
	if (segment_of(i) + 2 < KV_TABLE_SEGMENTS)
		drop_segment(table, segment_of(i) + 2);
}

/* -- the table -- */

int
kv_table_init(struct kv_table *table, struct budget *budget, const uint64_t key[2])
{
	memset(table, 0, sizeof(*table));
	table->budget = budget;
	table->key[0] = key[0];
	table->key[1] = key[1];
	table->buckets = table->low = KV_TABLE_FIRST;
	return have_segment(table, 0);
}

void
kv_table_end(struct kv_table *table)
{
	unsigned int s;
	size_t i;

	for (i = 0; table->segments[0] != NULL && i < table->buckets; i++) {
		struct kv_entry *e, *next;

		for (e = *bucket(table, i); e != NULL; e = next) {
			next = e->next;
			kv_entry_release(table->budget, e);
		}
	}
	for (s = 0; s < KV_TABLE_SEGMENTS; s++)
		drop_segment(table, s);
	table->count = 0;
}

uint32_t
kv_table_hash(const struct kv_table *table, const void *key, size_t key_len)
{
	return (uint32_t)siphash(table->key, key, key_len);
}

struct kv_entry **
kv_table_find(struct kv_table *table, uint32_t hash, const void *key, size_t key_len)
{
	struct kv_entry **at;

	for (at = bucket_of(table, hash); *at != NULL; at = &(*at)->next)
		if ((*at)->hash == hash && (*at)->key_len == key_len &&
		    memcmp((*at)->bytes, key, key_len) == 0)
			break;
	return at;
}

void
kv_table_insert(struct kv_table *table, struct kv_entry **at, struct kv_entry *e)
{
	e->next = NULL;
	*at = e;
	if (++table->count > table->buckets)
		grow(table);
}

struct kv_entry *
kv_table_remove(struct kv_table *table, struct kv_entry **at)
{
	struct kv_entry *e = *at;
	int i;

	*at = e->next;
	e->next = NULL;
	table->count--;
	/* Twice, or half of the buckets would be left when all entries are gone. */
	for (i = 0; i < 2 && table->count < table->buckets / 2; i++)
		shrink(table);
	return e;
}

struct kv_entry *
kv_table_replace(struct kv_entry **at, struct kv_entry *e)
{
	struct kv_entry *old = *at;

	e->next = old->next;
	old->next = NULL;
	*at = e;
	return old;
}

struct kv_entry **
kv_table_place(struct kv_table *table, const struct kv_entry *e)
{
	struct kv_entry **at = bucket_of(table, e->hash);

	while (*at != e)
		at = &(*at)->next;
	return at;
}

/* -- the order of the entries -- */

/*
 * A turn is the hash with its bits in reverse. The number of a bucket is the last bits of
 * the hash, and the two halves of a bucket that is split differ in the first one of them.
 * So the turns of both halves lie next to each other.
 */
static uint32_t
reversed(uint32_t n)
{
	n = (n & 0x55555555) << 1 | (n >> 1 & 0x55555555);
	n = (n & 0x33333333) << 2 | (n >> 2 & 0x33333333);
	n = (n & 0x0f0f0f0f) << 4 | (n >> 4 & 0x0f0f0f0f);
	return __builtin_bswap32(n);
}

uint32_t
kv_table_turn(const struct kv_entry *e)
{
	return reversed(e->hash);
}

struct kv_entry *
kv_table_bucket(const struct kv_table *table, uint32_t turn, uint32_t *last)
{
	uint32_t hash = reversed(turn), mask = (uint32_t)(table->low - 1);

	if ((hash & mask) + table->low < table->buckets) /* the bucket is split already */
		mask = 2 * mask + 1;
	*last = turn | reversed(~mask);
	return *bucket(table, hash & mask);
}
