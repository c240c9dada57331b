/* SPDX-License-Identifier: MIT */
/*
 * check_kv_store.c - what the kv handler keeps: its table, what expires, its bound.
 */
#include "harness.h"
#include "kv_talk.h"

#include "../../handlers/kv_expiry.h"
#include "../../handlers/number.h"
#include "../../handlers/siphash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

static int
random_number(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (int)(state >> 33);
}

/* Of Python's hash(b"...") with PYTHONHASHSEED=0, whose key is zero. */
TEST(siphash_gives_known_values)
{
	static const uint64_t key[2];

	ck_assert_uint_eq(siphash(key, "a", 1), 0x407448d2b89b1813);
	ck_assert_uint_eq(siphash(key, "abcdefg", 7), 0x6db12aae9070f506);
	ck_assert_uint_eq(siphash(key, "abcdefgh", 8), 0x3f7b849c0b8e35ea);
	ck_assert_uint_eq(siphash(key, "abcdefghijklmnopq", 17), 0x61c47e6da27eaccc);
}

TEST(numbers_are_read_strictly)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "01", "-0", "1e3", "0x1",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999" };
	int64_t n;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse_number(bad[i], strlen(bad[i]), &n) == -1, "'%s'", bad[i]);
	ck_assert_int_eq(parse_number("0", 1, &n), 0);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(parse_number("9223372036854775807", 19, &n), 0);
	ck_assert(n == INT64_MAX);
	ck_assert_int_eq(parse_number("-9223372036854775808", 20, &n), 0);
	ck_assert(n == INT64_MIN);
}

TEST(the_heap_gives_what_is_due_first)
{
	enum { N = 1000 };
	struct budget budget = { 0 };
	struct kv_expiry expiry;
	struct kv_entry *e[N];
	int64_t last = 0;
	int i;

	kv_expiry_init(&expiry, &budget);
	for (i = 0; i < N; i++) {
		e[i] = kv_entry_new(&budget, 0, &i, sizeof(i), "", 0);
		ck_assert_int_eq(kv_expiry_reserve(&expiry), 0);
		kv_expiry_set(&expiry, e[i], random_number() % 500);
	}
	for (i = 0; i < N; i += 3)
		kv_expiry_clear(&expiry, e[i]);
	for (i = 1; i < N; i += 3)
		kv_expiry_set(&expiry, e[i], random_number() % 500);
	ck_assert_uint_eq(expiry.count, N - 334);
	while (kv_expiry_first(&expiry) != NULL) {
		ck_assert_int_ge(kv_expiry_first(&expiry)->at, last);
		last = kv_expiry_first(&expiry)->at;
		kv_expiry_clear(&expiry, kv_expiry_first(&expiry)->entry);
	}
	for (i = 0; i < N; i++) {
		ck_assert_uint_eq(e[i]->due, 0);
		kv_entry_release(&budget, e[i]);
	}
	kv_expiry_end(&expiry);
	ck_assert_uint_eq(budget_used(&budget), 0);
}

/* In an order of its own for each step, so that the table grows and shrinks in all places. */
TEST(keys_are_found_while_the_table_grows_and_shrinks)
{
	enum { N = 20011, STEP = 7919 };
	struct kv_store *store = kv_new_store(0);
	size_t empty = kv_stats_of(store).used_memory;
	char key[32], value[32];
	int i, k;

	for (i = 0, k = 0; i < N; i++, k = (k + STEP) % N) {
		snprintf(key, sizeof(key), "key:%d", k);
		snprintf(value, sizeof(value), "value %d", k);
		ck_assert_int_eq(kv_put(store, key, value, 0, 0), 1);
		if (i % 16 == 0)
			kv_expect(store, "key:0", "value 0");
	}
	ck_assert_uint_eq(kv_stats_of(store).keys, N);
	for (i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		snprintf(value, sizeof(value), "value %d", i);
		kv_expect(store, key, value);
	}
	for (i = 0, k = 1; i < N; i++, k = (k + STEP) % N) {
		snprintf(key, sizeof(key), "key:%d", k);
		ck_assert_int_eq(kv_store_delete(store, key, strlen(key)), 1);
		ck_assert_int_eq(kv_store_delete(store, key, strlen(key)), 0);
		if (i < N - 1 && i % 16 == 0) {
			snprintf(key, sizeof(key), "key:%d", (k + STEP) % N);
			ck_assert_int_eq(kv_store_exists(store, key, strlen(key)), 1);
		}
	}
	ck_assert_uint_eq(kv_stats_of(store).keys, 0);
	/* All but a segment or two of the table. */
	ck_assert_uint_le(kv_stats_of(store).used_memory, empty + 4096);
	kv_store_free(store);
}

TEST(values_are_replaced_in_place_and_anew)
{
	struct kv_store *store = kv_new_store(0);
	struct kv_entry *lent;
	char large[1000];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	kv_put(store, "k", "one", 0, 0);
	kv_put(store, "k", "two", 0, 0);
	kv_expect(store, "k", "two");
	/* What is being sent does not change. */
	lent = kv_store_get(store, "k", 1);
	kv_put(store, "k", "new", 0, 0);
	ck_assert_mem_eq(kv_entry_value(lent), "two", 3);
	kv_store_delete(store, "k", 1);
	ck_assert_mem_eq(kv_entry_value(lent), "two", 3);
	kv_store_release(store, lent);
	kv_put(store, "k", large, 0, 0);
	kv_expect(store, "k", large);
	kv_put(store, "k", "", 0, 0);
	kv_expect(store, "k", "");
	ck_assert_uint_lt(kv_stats_of(store).used_memory, 1600);
	kv_store_free(store);
}

TEST(conditions_hold_or_nothing_is_stored)
{
	struct kv_store *store = kv_new_store(0);

	ck_assert_int_eq(kv_put(store, "k", "a", 0, KV_IF_OLD), 0);
	kv_expect(store, "k", NULL);
	ck_assert_int_eq(kv_put(store, "k", "a", 100, KV_IF_NEW), 1);
	ck_assert_int_eq(kv_put(store, "k", "b", 0, KV_IF_NEW), 0);
	kv_expect(store, "k", "a");
	kv_now += 100; /* as if it were not there */
	ck_assert_int_eq(kv_put(store, "k", "c", 0, KV_IF_OLD), 0);
	ck_assert_int_eq(kv_put(store, "k", "c", 0, KV_IF_NEW), 1);
	ck_assert_int_eq(kv_put(store, "k", "d", 0, KV_IF_OLD), 1);
	kv_expect(store, "k", "d");
	kv_store_free(store);
}

TEST(keys_expire_at_their_time)
{
	struct kv_store *store = kv_new_store(0);
	int64_t sum;

	kv_put(store, "short", "1", 10, 0);
	kv_put(store, "long", "1", 1000, 0);
	kv_put(store, "kept", "1", 10, 0);
	kv_put(store, "kept", "2", 0, 0); /* SET takes the time away */
	kv_put(store, "number", "99", 10, 0);
	ck_assert_int_eq(kv_store_add(store, "number", 6, 1, &sum), 0);
	ck_assert_int_eq(sum, 100); /* INCR leaves it, also where the value has moved */
	kv_now += 9;
	kv_expect(store, "short", "1");
	kv_expect(store, "number", "100");
	kv_now += 1;
	kv_expect(store, "short", NULL);
	kv_expect(store, "number", NULL);
	kv_expect(store, "long", "1");
	kv_expect(store, "kept", "2");
	ck_assert_int_eq(kv_store_delete(store, "short", 5), 0);
	ck_assert_uint_eq(kv_stats_of(store).expired, 2);
	ck_assert_uint_eq(kv_stats_of(store).expiring, 1);
	kv_store_free(store);
}

TEST(memory_of_expired_keys_comes_back)
{
	struct kv_store *store = kv_new_store(0);
	size_t empty = kv_stats_of(store).used_memory;
	char key[32];
	int i;

	for (i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		ck_assert_int_eq(kv_put(store, key, "value", 1 + random_number() % 100, 0), 1);
	}
	kv_now += 100;
	/* Any command does it, of some keys at a time. */
	for (i = 0; i < 5000 / 16 + 1; i++)
		ck_assert_int_eq(kv_store_exists(store, "other", 5), 0);
	ck_assert_uint_eq(kv_stats_of(store).keys, 0);
	ck_assert_uint_eq(kv_stats_of(store).expired, 5000);
	ck_assert_uint_le(kv_stats_of(store).used_memory, empty + 4096);
	kv_store_free(store);
}

TEST(the_bound_holds_and_the_store_goes_on)
{
	struct kv_store *store = kv_new_store(100000);
	struct kv_entry *lent;
	int64_t sum;
	int n = kv_fill(store, 0);
	size_t full = kv_stats_of(store).used_memory;

	ck_assert_int_gt(n, 700);
	ck_assert_uint_eq(kv_stats_of(store).keys, (size_t)n);
	ck_assert_int_eq(kv_store_add(store, "n", 1, 1, &sum), -1);
	ck_assert_int_eq(errno, ENOSPC);
	kv_expect(store, "key:0", "some bytes that are a value");
	/* Where it fits a value changes. */
	ck_assert_int_eq(kv_put(store, "key:0", "Some bytes that are a value", 0, 0), 1);
	kv_expect(store, "key:0", "Some bytes that are a value");
	/* What is still being sent counts. */
	lent = kv_store_get(store, "key:0", 5);
	ck_assert_int_eq(kv_store_delete(store, "key:0", 5), 1);
	ck_assert_uint_eq(kv_stats_of(store).used_memory, full);
	kv_store_release(store, lent);
	ck_assert_uint_lt(kv_stats_of(store).used_memory, full);
	ck_assert_int_eq(kv_put(store, "key:0", "some bytes that are a value", 0, 0), 1);
	kv_store_free(store);
}

TEST(expired_keys_make_room)
{
	struct kv_store *store = kv_new_store(100000);
	int n = kv_fill(store, 50);

	ck_assert_int_gt(n, 500);
	kv_now += 50;
	ck_assert_int_eq(kv_fill(store, 50), n);
	kv_now += 50;
	/* Too large for what sixteen of them leave. */
	{
		static char large[20000];

		memset(large, 'x', sizeof(large) - 1);
		ck_assert_int_eq(kv_put(store, "large", large, 0, 0), 1);
		kv_expect(store, "large", large);
	}
	kv_store_free(store);
}

TEST(a_store_without_memory_for_itself_is_refused)
{
	ck_assert_ptr_null(kv_store_new(100));
	ck_assert_int_eq(errno, ENOSPC);
}

/* -- walks -- */

/* The number in "key:12"; -1 for another key. */
static int
number_of(const struct kv_entry *e)
{
	char text[32];

	ck_assert_uint_lt(e->key_len, sizeof(text));
	memcpy(text, e->bytes, e->key_len);
	text[e->key_len] = '\0';
	return strncmp(text, "key:", 4) == 0 ? atoi(text + 4) : -1;
}

/* One step; how often each key:N was met is counted. */
static int
walk_on(struct kv_store *store, struct kv_walk *walk, int *met)
{
	int more = kv_store_walk(store, walk);
	size_t i;

	ck_assert(more || walk->n == 0);
	ck_assert_uint_le(walk->n, KV_WALK_MOST);
	for (i = 0; i < walk->n; i++) {
		int k = number_of(walk->found[i]);

		if (k >= 0)
			met[k]++;
		kv_store_release(store, walk->found[i]);
	}
	return more;
}

/* Others come, or go, in such numbers that the table has another size with each step. */
static void
change(struct kv_store *store, const char *with, int begin, int end)
{
	char key[32];

	for (; begin < end; begin++) {
		snprintf(key, sizeof(key), "%s:%d", with, begin);
		ck_assert_int_eq(kv_put(store, key, "", 0, 0), 1);
	}
	for (; begin > end; begin--) {
		snprintf(key, sizeof(key), "%s:%d", with, begin - 1);
		ck_assert_int_eq(kv_store_delete(store, key, strlen(key)), 1);
	}
}

TEST(a_walk_meets_each_key_once_whatever_comes_and_goes, TIMES(4))
{
	enum { N = 3000, OTHERS = 9000 };
	static const int plans[][2] = { { 0, 0 }, { 0, OTHERS }, { OTHERS, 0 }, { 100, 5000 } };
	int met[N] = { 0 }, from = plans[_i][0], to = plans[_i][1], there = from, way = 1, k;
	struct kv_store *store = kv_new_store(0);
	struct kv_walk walk = { 0 };

	change(store, "key", 0, N);
	change(store, "other", 0, from);
	while (walk_on(store, &walk, met)) {
		int step = to > from ? 777 : -777;
		int next = there + way * step;

		if (next < 0 || next > OTHERS) { /* and back again */
			way = -way;
			next = there + way * step;
		}
		if (from == to)
			continue;
		change(store, "other", there, next);
		there = next;
	}
	ck_assert_int_eq(walk_on(store, &walk, met), 0);
	for (k = 0; k < N; k++)
		ck_assert_msg(met[k] == 1, "key:%d was met %d times", k, met[k]);
	kv_store_free(store);
}

/* All but a few bytes of the bound are somebody else's, so the table cannot grow. */
TEST(a_walk_meets_each_key_once_in_long_buckets)
{
	enum { N = 64 * 3 * KV_WALK_MOST, LEFT = 400 };
	struct kv_store *store = kv_new_store(64 << 20);
	struct budget *budget = kv_store_budget(store);
	struct kv_walk walk = { 0 };
	static int met[N];
	char key[32];
	int k;

	for (k = 0; k < N; k++) {
		size_t rest = budget->max - budget_used(budget);

		ck_assert_int_eq(budget_take(budget, rest - LEFT), 0);
		snprintf(key, sizeof(key), "key:%d", k);
		ck_assert_int_eq(kv_put(store, key, "", 0, 0), 1);
		budget_give(budget, rest - LEFT);
	}
	while (walk_on(store, &walk, met))
		;
	for (k = 0; k < N; k++)
		ck_assert_msg(met[k] == 1, "key:%d was met %d times", k, met[k]);
	kv_store_free(store);
}

TEST(a_walk_meets_nothing_that_has_expired)
{
	struct kv_store *store = kv_new_store(0);
	struct kv_walk walk = { 0 };
	int met[2] = { 0 };

	kv_put(store, "key:0", "", 10, 0);
	kv_put(store, "key:1", "", 11, 0);
	kv_now += 10;
	while (walk_on(store, &walk, met))
		;
	ck_assert_int_eq(met[0], 0);
	ck_assert_int_eq(met[1], 1);
	kv_store_free(store);
}

/* Large ones are copied before the lock is taken, with the same outcome. */
TEST(large_values_are_stored_or_not_as_small_ones)
{
	enum { LARGE = 100000 };
	struct kv_store *store = kv_new_store(3 * LARGE);
	char *value = malloc(LARGE + 1);
	size_t used;

	ck_assert_ptr_nonnull(value);
	memset(value, 'x', LARGE);
	value[LARGE] = '\0';
	ck_assert_int_eq(kv_put(store, "k", value, 0, KV_IF_OLD), 0);
	kv_expect(store, "k", NULL);
	ck_assert_int_eq(kv_put(store, "k", value, 100, KV_IF_NEW), 1);
	used = kv_stats_of(store).used_memory;
	ck_assert_int_eq(kv_put(store, "k", "", 0, KV_IF_NEW), 0);
	value[0] = 'y';
	ck_assert_int_eq(kv_put(store, "k", value, 0, 0), 1);
	kv_expect(store, "k", value);
	ck_assert_uint_le(kv_stats_of(store).used_memory, used);
	ck_assert_int_eq(kv_put(store, "l", value, 50, 0), 1);
	ck_assert_int_eq(kv_put(store, "m", value, 0, 0), -1);
	ck_assert_int_eq(errno, ENOSPC);
	kv_expect(store, "m", NULL);
	kv_now += 50;
	ck_assert_int_eq(kv_put(store, "m", value, 0, 0), 1);
	kv_expect(store, "m", value);
	free(value);
	kv_store_free(store);
}
