/* SPDX-License-Identifier: MIT */
/*
 * check_kv.c - the kv handler: its table, its store, what it says to good and
 * bad bytes in one piece and in many, and as a server in each mode.
 */
#include "acceptance.h"

#include "stream/stream.h"

#include "../../handlers/glob.h"
#include "../../handlers/kv.h"
#include "../../handlers/kv_expiry.h"
#include "../../handlers/siphash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

extern const struct sks_plugin sks_plugin_descriptor;

#define plugin sks_plugin_descriptor

/* A clock that the test moves. */
static int64_t now;

static int64_t
test_clock(void *arg)
{
	(void)arg;
	return now;
}

static int
random_number(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (int)(state >> 33);
}

/* -- parts -- */

/* Of Python's hash(b"...") with PYTHONHASHSEED=0, whose key is zero. */
START_TEST(siphash_gives_known_values)
{
	static const uint64_t key[2];

	ck_assert_uint_eq(siphash(key, "a", 1), 0x407448d2b89b1813);
	ck_assert_uint_eq(siphash(key, "abcdefg", 7), 0x6db12aae9070f506);
	ck_assert_uint_eq(siphash(key, "abcdefgh", 8), 0x3f7b849c0b8e35ea);
	ck_assert_uint_eq(siphash(key, "abcdefghijklmnopq", 17), 0x61c47e6da27eaccc);
}
END_TEST

static const struct {
	const char *pattern, *text;
	int yes;
} globs[] = {
	{ "", "", 1 }, { "", "a", 0 }, { "*", "", 1 }, { "*", "any", 1 }, { "**", "a", 1 },
	{ "a", "a", 1 }, { "a", "b", 0 }, { "a", "aa", 0 }, { "?", "a", 1 }, { "?", "", 0 },
	{ "a*c", "abbc", 1 }, { "a*c", "abbcd", 0 }, { "*b*", "abc", 1 }, { "a?c*", "abcdef", 1 },
	{ "*ab", "aab", 1 }, { "*a*b*c", "xaxbxc", 1 }, { "*a*b*c", "xbxaxc", 0 },
	{ "h[ae]llo", "hello", 1 }, { "h[ae]llo", "hillo", 0 }, { "h[^e]llo", "hallo", 1 },
	{ "h[^e]llo", "hello", 0 }, { "h[a-b]llo", "hbllo", 1 }, { "h[b-a]llo", "hbllo", 1 },
	{ "h[a-b]llo", "hcllo", 0 }, { "[a-]", "-", 1 }, { "[", "x", 0 }, { "[a", "a", 1 },
	{ "[^", "a", 1 }, { "[\\]]", "]", 1 }, { "\\*", "*", 1 }, { "\\*", "a", 0 },
	{ "\\", "\\", 1 }, { "a\\", "a\\", 1 }, { "*[0-9]", "key7", 1 }, { "[]", "a", 0 },
	{ "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0 },
};

START_TEST(patterns_match_as_those_of_redis)
{
	size_t i;

	for (i = 0; i < sizeof(globs) / sizeof(globs[0]); i++)
		ck_assert_msg(glob(globs[i].pattern, strlen(globs[i].pattern), globs[i].text,
		    strlen(globs[i].text)) == globs[i].yes, "'%s' and '%s'", globs[i].pattern,
		    globs[i].text);
	ck_assert_int_eq(glob("a\0?", 3, "a\0b", 3), 1);
	ck_assert_int_eq(glob("a\0?", 3, "a\0", 2), 0);
}
END_TEST

START_TEST(numbers_are_read_strictly)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "01", "-0", "1e3", "0x1",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999" };
	int64_t n;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(kv_number(bad[i], strlen(bad[i]), &n) == -1, "'%s'", bad[i]);
	ck_assert_int_eq(kv_number("0", 1, &n), 0);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(kv_number("9223372036854775807", 19, &n), 0);
	ck_assert(n == INT64_MAX);
	ck_assert_int_eq(kv_number("-9223372036854775808", 20, &n), 0);
	ck_assert(n == INT64_MIN);
}
END_TEST

START_TEST(the_heap_gives_what_is_due_first)
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
END_TEST

/* -- the store -- */

static struct kv_store *
new_store(size_t max_memory)
{
	struct kv_store *store = kv_store_new(max_memory);

	ck_assert_ptr_nonnull(store);
	now = 1000;
	kv_store_set_clock(store, test_clock, NULL);
	return store;
}

static int
put(struct kv_store *store, const char *key, const char *value, int64_t ttl_ms, int condition)
{
	return kv_store_set(store, key, strlen(key), value, strlen(value), ttl_ms, condition);
}

static void
expect(struct kv_store *store, const char *key, const char *value)
{
	struct kv_entry *e = kv_store_get(store, key, strlen(key));

	ck_assert_int_eq(kv_store_exists(store, key, strlen(key)), value != NULL);
	if (value == NULL) {
		ck_assert_ptr_null(e);
		return;
	}
	ck_assert_ptr_nonnull(e);
	ck_assert_uint_eq(e->value_len, strlen(value));
	ck_assert_mem_eq(kv_entry_value(e), value, strlen(value));
	kv_store_release(store, e);
}

static struct kv_store_stats
stats_of(struct kv_store *store)
{
	struct kv_store_stats stats;

	kv_store_stats(store, &stats);
	return stats;
}

/* In an order of its own for each step, so that the table grows and shrinks in all places. */
START_TEST(keys_are_found_while_the_table_grows_and_shrinks)
{
	enum { N = 20011, STEP = 7919 };
	struct kv_store *store = new_store(0);
	size_t empty = stats_of(store).used_memory;
	char key[32], value[32];
	int i, k;

	for (i = 0, k = 0; i < N; i++, k = (k + STEP) % N) {
		snprintf(key, sizeof(key), "key:%d", k);
		snprintf(value, sizeof(value), "value %d", k);
		ck_assert_int_eq(put(store, key, value, 0, 0), 1);
		if (i % 16 == 0)
			expect(store, "key:0", "value 0");
	}
	ck_assert_uint_eq(stats_of(store).keys, N);
	for (i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		snprintf(value, sizeof(value), "value %d", i);
		expect(store, key, value);
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
	ck_assert_uint_eq(stats_of(store).keys, 0);
	/* All but a segment or two of the table. */
	ck_assert_uint_le(stats_of(store).used_memory, empty + 4096);
	kv_store_free(store);
}
END_TEST

START_TEST(values_are_replaced_in_place_and_anew)
{
	struct kv_store *store = new_store(0);
	struct kv_entry *lent;
	char large[1000];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	put(store, "k", "one", 0, 0);
	put(store, "k", "two", 0, 0);
	expect(store, "k", "two");
	/* What is being sent does not change. */
	lent = kv_store_get(store, "k", 1);
	put(store, "k", "new", 0, 0);
	ck_assert_mem_eq(kv_entry_value(lent), "two", 3);
	kv_store_delete(store, "k", 1);
	ck_assert_mem_eq(kv_entry_value(lent), "two", 3);
	kv_store_release(store, lent);
	put(store, "k", large, 0, 0);
	expect(store, "k", large);
	put(store, "k", "", 0, 0);
	expect(store, "k", "");
	ck_assert_uint_lt(stats_of(store).used_memory, 1600);
	kv_store_free(store);
}
END_TEST

START_TEST(conditions_hold_or_nothing_is_stored)
{
	struct kv_store *store = new_store(0);

	ck_assert_int_eq(put(store, "k", "a", 0, KV_IF_OLD), 0);
	expect(store, "k", NULL);
	ck_assert_int_eq(put(store, "k", "a", 100, KV_IF_NEW), 1);
	ck_assert_int_eq(put(store, "k", "b", 0, KV_IF_NEW), 0);
	expect(store, "k", "a");
	now += 100; /* as if it were not there */
	ck_assert_int_eq(put(store, "k", "c", 0, KV_IF_OLD), 0);
	ck_assert_int_eq(put(store, "k", "c", 0, KV_IF_NEW), 1);
	ck_assert_int_eq(put(store, "k", "d", 0, KV_IF_OLD), 1);
	expect(store, "k", "d");
	kv_store_free(store);
}
END_TEST

START_TEST(keys_expire_at_their_time)
{
	struct kv_store *store = new_store(0);
	int64_t sum;

	put(store, "short", "1", 10, 0);
	put(store, "long", "1", 1000, 0);
	put(store, "kept", "1", 10, 0);
	put(store, "kept", "2", 0, 0); /* SET takes the time away */
	put(store, "number", "99", 10, 0);
	ck_assert_int_eq(kv_store_add(store, "number", 6, 1, &sum), 0);
	ck_assert_int_eq(sum, 100); /* INCR leaves it, also where the value has moved */
	now += 9;
	expect(store, "short", "1");
	expect(store, "number", "100");
	now += 1;
	expect(store, "short", NULL);
	expect(store, "number", NULL);
	expect(store, "long", "1");
	expect(store, "kept", "2");
	ck_assert_int_eq(kv_store_delete(store, "short", 5), 0);
	ck_assert_uint_eq(stats_of(store).expired, 2);
	ck_assert_uint_eq(stats_of(store).expiring, 1);
	kv_store_free(store);
}
END_TEST

START_TEST(memory_of_expired_keys_comes_back)
{
	struct kv_store *store = new_store(0);
	size_t empty = stats_of(store).used_memory;
	char key[32];
	int i;

	for (i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		ck_assert_int_eq(put(store, key, "value", 1 + random_number() % 100, 0), 1);
	}
	now += 100;
	/* Any command does it, of some keys at a time. */
	for (i = 0; i < 5000 / 16 + 1; i++)
		ck_assert_int_eq(kv_store_exists(store, "other", 5), 0);
	ck_assert_uint_eq(stats_of(store).keys, 0);
	ck_assert_uint_eq(stats_of(store).expired, 5000);
	ck_assert_uint_le(stats_of(store).used_memory, empty + 4096);
	kv_store_free(store);
}
END_TEST

/* Stores key:0, key:1, ... until that is refused. How many there are. */
static int
fill(struct kv_store *store, int64_t ttl_ms)
{
	char key[32];
	int i, rc;

	for (i = 0;; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		rc = put(store, key, "some bytes that are a value", ttl_ms, KV_IF_NEW);
		ck_assert_uint_le(stats_of(store).used_memory, stats_of(store).max_memory);
		if (rc != 1)
			break;
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(kv_store_exists(store, key, strlen(key)), 0);
	return i;
}

START_TEST(the_bound_holds_and_the_store_goes_on)
{
	struct kv_store *store = new_store(100000);
	struct kv_entry *lent;
	int64_t sum;
	int n = fill(store, 0);
	size_t full = stats_of(store).used_memory;

	ck_assert_int_gt(n, 700);
	ck_assert_uint_eq(stats_of(store).keys, (size_t)n);
	ck_assert_int_eq(kv_store_add(store, "n", 1, 1, &sum), -1);
	ck_assert_int_eq(errno, ENOSPC);
	expect(store, "key:0", "some bytes that are a value");
	/* Where it fits a value changes. */
	ck_assert_int_eq(put(store, "key:0", "Some bytes that are a value", 0, 0), 1);
	expect(store, "key:0", "Some bytes that are a value");
	/* What is still being sent counts. */
	lent = kv_store_get(store, "key:0", 5);
	ck_assert_int_eq(kv_store_delete(store, "key:0", 5), 1);
	ck_assert_uint_eq(stats_of(store).used_memory, full);
	kv_store_release(store, lent);
	ck_assert_uint_lt(stats_of(store).used_memory, full);
	ck_assert_int_eq(put(store, "key:0", "some bytes that are a value", 0, 0), 1);
	kv_store_free(store);
}
END_TEST

START_TEST(expired_keys_make_room)
{
	struct kv_store *store = new_store(100000);
	int n = fill(store, 50);

	ck_assert_int_gt(n, 500);
	now += 50;
	ck_assert_int_eq(fill(store, 50), n);
	now += 50;
	/* Too large for what sixteen of them leave. */
	{
		static char large[20000];

		memset(large, 'x', sizeof(large) - 1);
		ck_assert_int_eq(put(store, "large", large, 0, 0), 1);
		expect(store, "large", large);
	}
	kv_store_free(store);
}
END_TEST

START_TEST(a_store_without_memory_for_itself_is_refused)
{
	ck_assert_ptr_null(kv_store_new(100));
	ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

/* -- the protocol -- */

static struct kv_config config;
static struct kv *kv;

/* As init does it in a server, with a clock of the test's. */
static void
open_kv(size_t max_memory, size_t max_value)
{
	void *data;

	config = (struct kv_config){ .max_memory = max_memory, .max_value = max_value,
		.max_key = 64 };
	ck_assert_uint_eq(plugin.config_size, sizeof(config));
	ck_assert_int_eq(plugin.init(&config, &data), 0);
	kv = data;
	now = 1000;
	kv_store_set_clock(kv->store, test_clock, NULL);
}

/* Everything is given back, too. */
static void
close_kv(void)
{
	plugin.exit(kv);
	kv = NULL;
}

/* A client whose bytes come in steps of so many, and one that stops when they are at their end. */
struct steps {
	struct sks_transport tr;
	const char *in;
	size_t left;
	size_t step;
};

static ssize_t
read_step(struct sks_transport *tr, void *buf, size_t n)
{
	struct steps *s = (struct steps *)tr;

	if (n > s->step)
		n = s->step;
	if (n > s->left)
		n = s->left;
	memcpy(buf, s->in, n);
	s->in += n;
	s->left -= n;
	return (ssize_t)n;
}

static const struct sks_transport_ops steps_ops = { .read = read_step };

/* What kv says to these bytes; freed by the caller. *rc is what handle returned last. */
static char *
say_bytes(const char *in, size_t n, size_t step, size_t *out_len, int *rc)
{
	static const struct sks_times times = { .idle_ms = 1000, .read_ms = 1000,
		.write_ms = 1000 };
	int fd = eventfd(1, EFD_CLOEXEC); /* there is always something to read */
	struct steps steps = { .tr = { .ops = &steps_ops, .fd = fd, .want = SKS_READ }, .in = in,
		.left = n, .step = step };
	struct sks_rfile r;
	struct sks_wfile w;
	struct sks_request req = { .rfile = &r, .wfile = &w, .data = kv, .fd = -1 };
	char *out;

	sks_rfile_init(&r, &steps.tr, &times, &times, 8192);
	sks_wfile_init(&w, NULL, &times, &times, 1 << 30);
	do
		*rc = plugin.handler.handle(&req);
	while (*rc == SKS_KEEP && !sks_eof(&r));
	*out_len = sks_buf_length(&w.buf);
	out = malloc(*out_len + 1);
	ck_assert_ptr_nonnull(out);
	if (*out_len > 0)
		memcpy(out, w.buf.base + w.buf.start, *out_len);
	out[*out_len] = '\0';
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	close(fd);
	return out;
}

static char *
say(const char *in, size_t step, int *rc)
{
	size_t len;

	return say_bytes(in, strlen(in), step, &len, rc);
}

static void
expect_reply(const char *in, size_t step, const char *reply)
{
	int rc;
	char *out = say(in, step, &rc);

	ck_assert_msg(strcmp(out, reply) == 0, "'%s' in steps of %zu: '%s', not '%s'", in, step,
	    out, reply);
	ck_assert_int_ne(rc, -1);
	free(out);
}

/* In one piece, byte by byte, and in steps between. */
static void
expect_replies(const char *in, const char *reply)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, 100000 };
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		open_kv(0, 1 << 20);
		expect_reply(in, steps[i], reply);
		close_kv();
	}
}

#define ARITY(name) "-ERR wrong number of arguments for '" name "' command\r\n"

static const struct {
	const char *in, *out;
} exchanges[] = {
	{ "", "" },
	{ "PING\r\n", "+PONG\r\n" },
	{ "ping\n", "+PONG\r\n" },
	{ "*1\r\n$4\r\nPiNg\r\n", "+PONG\r\n" },
	{ "*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", "$2\r\nhi\r\n" },
	{ "PING a b\r\n", ARITY("ping") },
	{ "ECHO \"a b\"\r\n", "$3\r\na b\r\n" },
	{ "ECHO\r\n", ARITY("echo") },
	{ "GET k\r\nSET k v\r\nGET k\r\n", "$-1\r\n+OK\r\n$1\r\nv\r\n" },
	{ "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
	    "+OK\r\n$0\r\n\r\n" },
	{ "GET\r\n", ARITY("get") },
	{ "SET k\r\n", ARITY("set") },
	{ "SET k v XX\r\nSET k v NX\r\nSET k w nx\r\nSET k w xx\r\nGET k\r\n",
	    "$-1\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\nw\r\n" },
	{ "SET k v NX XX\r\n", "-ERR syntax error\r\n" },
	{ "SET k v EX 1 PX 1\r\n", "-ERR syntax error\r\n" },
	{ "SET k v EX\r\n", "-ERR syntax error\r\n" },
	{ "SET k v KEEP\r\n", "-ERR syntax error\r\n" },
	{ "SET k v EX one\r\n", "-ERR value is not an integer or out of range\r\n" },
	{ "SET k v EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n" },
	{ "SET k v PX -5\r\n", "-ERR invalid expire time in 'set' command\r\n" },
	{ "SET k v EX 9223372036854775807\r\n", "-ERR invalid expire time in 'set' command\r\n" },
	{ "SET k v PX 100 NX\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n" },
	{ "SET a 1\r\nSET b 2\r\nEXISTS a a c b\r\nDEL a c b\r\nDEL a\r\nEXISTS a\r\n",
	    "+OK\r\n+OK\r\n:3\r\n:2\r\n:0\r\n:0\r\n" },
	{ "DEL\r\n", ARITY("del") },
	{ "EXISTS\r\n", ARITY("exists") },
	{ "INCR n\r\nINCR n\r\nGET n\r\n", ":1\r\n:2\r\n$1\r\n2\r\n" },
	{ "SET n -2\r\nINCR n\r\nINCR n\r\n", "+OK\r\n:-1\r\n:0\r\n" },
	{ "SET n x\r\nINCR n\r\n", "+OK\r\n-ERR value is not an integer or out of range\r\n" },
	{ "SET n 9223372036854775807\r\nINCR n\r\nGET n\r\n",
	    "+OK\r\n-ERR increment or decrement would overflow\r\n"
	    "$19\r\n9223372036854775807\r\n" },
	{ "SET n -9223372036854775808\r\nINCR n\r\n", "+OK\r\n:-9223372036854775807\r\n" },
	{ "KEYS *\r\nSET ab 1\r\nSET cd 2\r\nKEYS a*\r\nKEYS x\r\nDBSIZE\r\n",
	    "*0\r\n+OK\r\n+OK\r\n*1\r\n$2\r\nab\r\n*0\r\n:2\r\n" },
	{ "DBSIZE now\r\n", ARITY("dbsize") },
	{ "QUIT\r\nPING\r\n", "+OK\r\n" },
	{ "SELECT 0\r\nSELECT 1\r\nSELECT x\r\n", "+OK\r\n-ERR DB index is out of range\r\n"
	    "-ERR value is not an integer or out of range\r\n" },
	{ "COMMAND\r\nCOMMAND DOCS\r\n", "*0\r\n*0\r\n" },
	{ "CONFIG GET save\r\nCONFIG GET appendonly\r\nCONFIG GET x\r\nCONFIG SET a b\r\n",
	    "*2\r\n$4\r\nsave\r\n$0\r\n\r\n*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n*0\r\n"
	    "-ERR unknown subcommand 'SET'\r\n" },
	{ "CLIENT SETNAME me\r\nCLIENT KILL me\r\n",
	    "+OK\r\n-ERR unknown subcommand 'KILL'\r\n" },
	{ "HELLO 3\r\nPING\r\n", "-ERR unknown command 'HELLO'\r\n+PONG\r\n" },
	/* What a client said does not become a reply of its own. */
	{ "*1\r\n$9\r\na\r\n+OK\r\nb\r\n", "-ERR unknown command 'a  +OK  b'\r\n" },

	/* nothing is asked */
	{ "\r\n\n*0\r\n  \r\nPING\r\n", "+PONG\r\n" },

	/* words */
	{ "ECHO \"\\x41\\n\\\\\\q\\\"\"\r\n", "$5\r\nA\n\\q\"\r\n" },
	{ "ECHO '\\n\\''\r\n", "$3\r\n\\n'\r\n" },
	{ "ECHO a\"b c\"\r\n", "$4\r\nab c\r\n" },
	{ "ECHO \"\"\r\n", "$0\r\n\r\n" },
	{ "\t ECHO\t x \r\n", "$1\r\nx\r\n" },
	{ "ECHO \"a\r\nPING\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
	{ "ECHO 'a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
	{ "ECHO \"a\"b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
	{ "ECHO \"a\\\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },

	/* errors end it: what follows is not run */
	{ "*-1\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1048577\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1 \r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1\rx$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*99999999999999999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*00000000000000000000000000\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1\r\n$-1\r\nPING\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$1048577\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$18446744073709551620\r\nPING\r\n",
	    "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n:4\r\nPING\r\n", "-ERR Protocol error: expected '$', got ':'\r\n" },
	{ "*1\r\n\r\n", "-ERR Protocol error: expected '$', got '?'\r\n" },
	{ "*1\r\n$4\r\nPINGxx", "-ERR Protocol error: bulk string without its end\r\n" },
	{ "*1\r\n$4\r\nPING\rx", "-ERR Protocol error: bulk string without its end\r\n" },
	{ "*1\r\n$3\r\nPING\r\n", "-ERR Protocol error: bulk string without its end\r\n" },
	{ "PING\r\n*-1\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n" },

	/* cut off: there is nobody to answer, and nothing is run */
	{ "SET k v", "" },
	{ "*", "" },
	{ "*1", "" },
	{ "*1\r", "" },
	{ "*1\r\n", "" },
	{ "*1\r\n$4\r\nPIN", "" },
	{ "*1\r\n$4\r\nPING\r", "" },
	{ "PING\r\n*2\r\n$4\r\nECHO\r\n", "+PONG\r\n" },
};

START_TEST(answers_as_redis_does)
{
	expect_replies(exchanges[_i].in, exchanges[_i].out);
}
END_TEST

START_TEST(keys_and_values_hold_any_byte)
{
	static const char in[] = "*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$4\r\n\r\n\0\n\r\n"
	    "*2\r\n$3\r\nGET\r\n$3\r\na\0b\r\n*2\r\n$3\r\nGET\r\n$3\r\na\0c\r\n";
	static const char reply[] = "+OK\r\n$4\r\n\r\n\0\n\r\n$-1\r\n";
	size_t step, len;
	int rc;

	for (step = 1; step < sizeof(in); step += 5) {
		char *out;

		open_kv(0, 1 << 20);
		out = say_bytes(in, sizeof(in) - 1, step, &len, &rc);
		ck_assert_uint_eq(len, sizeof(reply) - 1);
		ck_assert_mem_eq(out, reply, len);
		free(out);
		close_kv();
	}
}
END_TEST

static const char *const http[] = {
	"POST / HTTP/1.1\r\nHost: localhost:6379\r\nContent-Length: 18\r\n\r\nSET planted yes\r\n",
	"pUt /SET HTTP/1.0\nSET planted yes\r\n",
	"x-of-the-page http://localhost:6379/ HTTP/1.1\r\n\r\nSET planted yes\r\n",
	"PRI * HTTP/2.0\r\n\r\nSET planted yes\r\n",
	"GET /\r\nHost: localhost\r\nSET planted yes\r\n",
	"\r\nCONNECT localhost:6379 HTTP/1.1\r\nSET planted yes\r\n",
};

START_TEST(nothing_behind_a_line_of_http_is_run)
{
	static const size_t steps[] = { 1, 7, 100000 };
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char *out;
		int rc;

		open_kv(0, 1 << 20);
		out = say(http[_i], steps[i], &rc);
		ck_assert_int_eq(rc, -1);
		ck_assert_int_eq(errno, EPROTONOSUPPORT);
		/* A page is told nothing beyond what came before it gave itself away. */
		ck_assert_str_eq(out, strncmp(http[_i], "GET", 3) == 0 ? "$-1\r\n" : "");
		free(out);
		ck_assert_uint_eq(stats_of(kv->store).keys, 0);
		expect_reply("SET k 'a b HTTP/1.1'\r\n*3\r\n$3\r\nSET\r\n$2\r\n/k\r\n$8\r\nHTTP/1.1\r\n",
		    steps[i], "+OK\r\n+OK\r\n");
		close_kv();
	}
}
END_TEST

/* A command of so many arguments of so many bytes. Freed by the caller. */
static char *
command(const char *name, size_t nargs, size_t size, size_t *n)
{
	char *text = malloc(64 + nargs * (size + 16)), *at = text;
	size_t i;

	ck_assert_ptr_nonnull(text);
	at += sprintf(at, "*%zu\r\n$%zu\r\n%s\r\n", nargs + 1, strlen(name), name);
	for (i = 0; i < nargs; i++) {
		at += sprintf(at, "$%zu\r\n", size);
		memset(at, 'a' + (int)(i % 26), size);
		at += size;
		at += sprintf(at, "\r\n");
	}
	*n = (size_t)(at - text);
	return text;
}

/* Around the sizes where the rfile's buffer ends, and beyond. */
START_TEST(large_values_come_in_and_out)
{
	static const size_t sizes[] = { 250, 4096, 16384, 65000, 65510, 65536, 65537, 300000,
		1 << 20 };
	size_t i, s, n, len;
	int rc;

	open_kv(8 << 20, 1 << 20);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (s = 100; s <= 100000; s *= 10) {
			char *in = command("ECHO", 1, sizes[i], &n);
			char *out = say_bytes(in, n, s, &len, &rc);

			ck_assert_int_ne(rc, -1);
			ck_assert_uint_eq(len, n - 14);
			ck_assert_mem_eq(out, in + 14, len);
			free(in);
			free(out);
		}
	ck_assert_uint_le(stats_of(kv->store).used_memory, 1000); /* all was given back */
	close_kv();
}
END_TEST

START_TEST(many_arguments_are_taken)
{
	static const size_t counts[] = { 15, 16, 17, 1000, 10000, 100000 };
	size_t i, n, len;
	int rc;

	open_kv(8 << 20, 1 << 20);
	expect_reply("SET a x\r\n", 100, "+OK\r\n");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		char *in = command("EXISTS", counts[i], 1, &n);
		char *out = say_bytes(in, n, 1000, &len, &rc);
		char reply[32];

		snprintf(reply, sizeof(reply), ":%zu\r\n", (counts[i] + 25) / 26);
		ck_assert_str_eq(out, reply);
		free(in);
		free(out);
	}
	ck_assert_uint_le(stats_of(kv->store).used_memory, 1000);
	close_kv();
}
END_TEST

START_TEST(what_is_too_large_is_refused)
{
	size_t n, len;
	char *in, *out;
	int rc;

	open_kv(8 << 20, 1 << 20);
	/* a line */
	in = malloc(70000);
	memset(in, 'a', 70000);
	out = say_bytes(in, 70000, 10000, &len, &rc);
	ck_assert_str_eq(out, "-ERR Protocol error: too big inline request\r\n");
	free(out);
	free(in);
	/* a command, of arguments that are each fine */
	in = command("DEL", 200000, 1, &n);
	out = say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, "-ERR Protocol error: command is too large\r\n");
	free(out);
	free(in);
	/* a key, a pattern: these end nothing */
	in = command("INCR", 1, 65, &n);
	out = say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, "-ERR key is too long\r\n");
	free(out);
	free(in);
	in = command("KEYS", 1, 1025, &n);
	out = say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, "-ERR pattern is too long\r\n");
	free(out);
	free(in);
	ck_assert_uint_le(stats_of(kv->store).used_memory, 1000);
	close_kv();
}
END_TEST

static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

START_TEST(no_command_grows_beyond_the_bound)
{
	size_t n, len;
	char *in, *out;
	int rc;

	open_kv(300000, 1 << 20);
	/* One that is gathered, and its value: refused before they are held. */
	in = command("ECHO", 1, 1 << 20, &n);
	out = say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, oom);
	ck_assert_int_eq(rc, SKS_DONE);
	free(out);
	free(in);
	in = command("EXISTS", 100000, 1, &n);
	out = say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, oom);
	free(out);
	free(in);
	ck_assert_uint_le(stats_of(kv->store).used_memory, 1000);
	/* One that was read well, and the connection goes on. */
	fill(kv->store, 0);
	expect_reply("SET k 12345678901234567890\r\nINCR j\r\nPING\r\n", 100,
	    "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	    "-OOM command not allowed when used memory > 'maxmemory'.\r\n+PONG\r\n");
	out = say("KEYS *\r\n", 100, &rc);
	ck_assert_str_eq(out, oom);
	free(out);
	close_kv();
}
END_TEST

/* A length is only a claim: nothing is held for it before its bytes are there. */
START_TEST(announced_bytes_take_no_memory)
{
	static const char claim[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\nxxx";
	char *out;
	int rc;

	open_kv(70000, 1 << 30); /* not one byte more than what is asked for first */
	out = say(claim, 10, &rc);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(rc, SKS_KEEP); /* the end, in the middle of a command */
	free(out);
	out = say("*1048576\r\n$1\r\na\r\n", 10, &rc);
	ck_assert_str_eq(out, "");
	free(out);
	ck_assert_uint_le(stats_of(kv->store).used_memory, 1000);
	close_kv();
}
END_TEST

START_TEST(info_tells_what_is_there)
{
	char *out;
	int rc;

	open_kv(1 << 20, 1 << 20);
	out = say("SET a 1\r\nSET b 2 EX 10\r\nINFO\r\n", 100, &rc);
	ck_assert_ptr_nonnull(strstr(out, "\r\nmaxmemory:1048576\r\n"));
	ck_assert_ptr_nonnull(strstr(out, "\r\ndb0:keys=2,expires=1\r\n"));
	free(out);
	now += 10000;
	expect_reply("GET b\r\nDBSIZE\r\n", 100, "$-1\r\n:1\r\n");
	close_kv();
}
END_TEST

/* -- servers -- */

static void
setup(void)
{
	acc_setup();
	open_kv(8 << 20, 1 << 20);
	kv_store_set_clock(kv->store, NULL, NULL);
}

static void
teardown(void)
{
	close_kv();
	acc_teardown();
}

static void
open_server(struct acc *acc, int i)
{
	struct sks_options options = { .data = kv };

	acc_tcp(acc, i, &plugin.handler, &options);
	acc_start(acc);
}

START_TEST(clients_share_one_store)
{
	struct acc acc;
	int a, b;

	open_server(&acc, _i);
	a = acc_client(&acc);
	b = acc_client(&acc);
	peer_puts(a, "SET k v\r\n");
	peer_expect(a, "+OK\r\n");
	peer_puts(b, "GET k\r\n"); /* also while a stays, in serial mode: it is parked */
	peer_expect(b, "$1\r\nv\r\n");
	peer_puts(a, "QUIT\r\n");
	peer_expect(a, "+OK\r\n");
	peer_expect_eof(a);
	peer_puts(b, "*-1\r\n");
	peer_expect(b, "-ERR Protocol error: invalid multibulk length\r\n");
	peer_expect_eof(b);
	acc_free(&acc);
}
END_TEST

START_TEST(a_browser_that_posts_is_named_and_closed)
{
	struct acc acc;
	char *text;
	size_t n;
	int fd;

	open_server(&acc, _i);
	fd = acc_client(&acc);
	peer_puts(fd, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET planted yes\r\n");
	text = peer_read_all(fd, &n);
	ck_assert_str_eq(text, "");
	free(text);
	close(fd);
	ck_assert_int_eq(log_count("kv: 127.0.0.1:"), 1);
	ck_assert_int_eq(log_count(strerror(EPROTONOSUPPORT)), 1);
	fd = acc_client(&acc);
	peer_puts(fd, "GET planted\r\n");
	peer_expect(fd, "$-1\r\n");
	close(fd);
	acc_free(&acc);
}
END_TEST

START_TEST(increments_of_many_clients_add_up)
{
	enum { CLIENTS = 16, ROUNDS = 20, AT_ONCE = 10 };
	char text[AT_ONCE * 8 + 1] = "", reply[64];
	int fd[CLIENTS], i, k;
	struct acc acc;

	for (i = 0; i < AT_ONCE; i++)
		strcat(text, "INCR n\r\n");
	open_server(&acc, _i);
	for (i = 0; i < CLIENTS; i++)
		fd[i] = acc_client(&acc);
	for (k = 0; k < ROUNDS; k++)
		for (i = 0; i < CLIENTS; i++)
			peer_puts(fd[i], text);
	for (i = 0; i < CLIENTS; i++) {
		size_t n;

		peer_half_close(fd[i]);
		free(peer_read_all(fd[i], &n));
		close(fd[i]);
	}
	fd[0] = acc_client(&acc);
	peer_puts(fd[0], "GET n\r\n");
	snprintf(reply, sizeof(reply), "$4\r\n%d\r\n", CLIENTS * ROUNDS * AT_ONCE);
	peer_expect(fd[0], reply);
	close(fd[0]);
	acc_free(&acc);
}
END_TEST

/* Others are served while one is in the middle of a command; not where there is one at a time. */
START_TEST(half_a_command_holds_up_nobody)
{
	struct acc acc;
	int slow, other;

	open_server(&acc, _i);
	slow = acc_client(&acc);
	peer_puts(slow, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nabc");
	if (!acc.mode->one_at_a_time) {
		other = acc_client(&acc);
		peer_puts(other, "PING\r\n");
		peer_expect(other, "+PONG\r\n");
		close(other);
	}
	peer_reset(slow);
	/* One that leaves in the middle is gone, and not asked again and again what it wants. */
	other = acc_client(&acc);
	peer_puts(other, "PING\r\n*1\r\n$4\r\nPI");
	peer_half_close(other);
	peer_expect(other, "+PONG\r\n");
	peer_expect_eof(other);
	other = acc_client(&acc);
	peer_puts(other, "GET k\r\n");
	peer_expect(other, "$-1\r\n");
	close(other);
	acc_free(&acc);
}
END_TEST

/* Values on their way to a client that does not read are whole, whatever happens to the key. */
START_TEST(values_are_sent_whole_while_they_change)
{
	enum { SIZE = 1 << 20, TIMES = 4 };
	char *in = malloc(SIZE), *all, *at;
	size_t i, read;
	struct acc acc;
	int fd, other;

	open_server(&acc, _i);
	memset(in, 'a', SIZE);
	ck_assert_int_eq(kv_store_set(kv->store, "k", 1, in, SIZE, 0, 0), 1);
	fd = acc_client(&acc);
	for (i = 0; i < TIMES; i++)
		peer_puts(fd, "GET k\r\n");
	peer_half_close(fd);
	if (!acc.mode->one_at_a_time) {
		other = acc_client(&acc);
		for (i = 0; i < 20; i++) {
			peer_puts(other, i % 2 == 0 ? "DEL k\r\n" : "SET k b\r\n");
			peer_expect(other, i % 2 == 0 ? ":1\r\n" : "+OK\r\n");
		}
		close(other);
	}
	all = peer_read_all(fd, &read);
	for (at = all, i = 0; i < TIMES; i++) {
		static const char head[] = "$1048576\r\n";

		if (strncmp(at, head, sizeof(head) - 1) != 0)
			break;
		at += sizeof(head) - 1;
		ck_assert_uint_ge(read, (size_t)(at - all) + SIZE);
		ck_assert_mem_eq(at, in, SIZE);
		at += SIZE + 2;
	}
	/* The rest are what the key was, or was not, later. */
	for (; i < TIMES; i++) {
		const char *reply = at[1] == '1' ? "$1\r\nb\r\n" : "$-1\r\n";

		ck_assert_int_eq(strncmp(at, reply, strlen(reply)), 0);
		at += strlen(reply);
	}
	ck_assert_uint_eq((size_t)(at - all), read);
	free(all);
	free(in);
	close(fd);
	acc_free(&acc);
	kv_store_delete(kv->store, "k", 1);
	ck_assert_uint_le(stats_of(kv->store).used_memory, 1000);
}
END_TEST

START_TEST(says_what_it_can_not_do)
{
	ck_assert_int_eq(plugin.refuses, SKS_REFUSES(SKS_PROCESSES));
	ck_assert_ptr_nonnull(plugin.refuses_why);
	ck_assert_int_eq(plugin.serves, SKS_STREAMS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("kv");
	TCase *tc = tcase_create("store");

	tcase_add_checked_fixture(tc, no_leaks_setup, no_leaks_teardown);
	tcase_add_test(tc, siphash_gives_known_values);
	tcase_add_test(tc, patterns_match_as_those_of_redis);
	tcase_add_test(tc, numbers_are_read_strictly);
	tcase_add_test(tc, the_heap_gives_what_is_due_first);
	tcase_add_test(tc, keys_are_found_while_the_table_grows_and_shrinks);
	tcase_add_test(tc, values_are_replaced_in_place_and_anew);
	tcase_add_test(tc, conditions_hold_or_nothing_is_stored);
	tcase_add_test(tc, keys_expire_at_their_time);
	tcase_add_test(tc, memory_of_expired_keys_comes_back);
	tcase_add_test(tc, the_bound_holds_and_the_store_goes_on);
	tcase_add_test(tc, expired_keys_make_room);
	tcase_add_test(tc, a_store_without_memory_for_itself_is_refused);
	suite_add_tcase(suite, tc);

	tc = tcase_create("protocol");
	tcase_add_checked_fixture(tc, no_leaks_setup, no_leaks_teardown);
	tcase_add_loop_test(tc, answers_as_redis_does, 0,
	    (int)(sizeof(exchanges) / sizeof(exchanges[0])));
	tcase_add_loop_test(tc, nothing_behind_a_line_of_http_is_run, 0,
	    (int)(sizeof(http) / sizeof(http[0])));
	tcase_add_test(tc, keys_and_values_hold_any_byte);
	tcase_add_test(tc, large_values_come_in_and_out);
	tcase_add_test(tc, many_arguments_are_taken);
	tcase_add_test(tc, what_is_too_large_is_refused);
	tcase_add_test(tc, no_command_grows_beyond_the_bound);
	tcase_add_test(tc, announced_bytes_take_no_memory);
	tcase_add_test(tc, info_tells_what_is_there);
	tcase_add_test(tc, says_what_it_can_not_do);
	suite_add_tcase(suite, tc);

	tc = tcase_create("server");
	tcase_add_checked_fixture(tc, setup, teardown);
	/* kv refuses processes, which cannot share a store */
	tcase_add_loop_test(tc, clients_share_one_store, 0, ACC_ONE_MEMORY(ACC_MODES));
	tcase_add_loop_test(tc, a_browser_that_posts_is_named_and_closed, 0,
	    ACC_ONE_MEMORY(ACC_MODES));
	tcase_add_loop_test(tc, increments_of_many_clients_add_up, 0, ACC_ONE_MEMORY(ACC_MODES));
	tcase_add_loop_test(tc, half_a_command_holds_up_nobody, 0, ACC_ONE_MEMORY(ACC_MODES));
	tcase_add_loop_test(tc, values_are_sent_whole_while_they_change, 0, ACC_ONE_MEMORY(ACC_MODES));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
