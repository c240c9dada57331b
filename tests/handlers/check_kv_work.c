/* SPDX-License-Identifier: MIT */
/*
 * check_kv_work.c - commands of kv that take long: others have their turn meanwhile.
 */
#include "harness.h"
#include "kv_talk.h"
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

/* A client on a fiber, and others that want their turn meanwhile. */
struct busy {
	const char *in;
	size_t n;
	char *out;
	int rc, error;
	int ended;
	int turns; /* that others had */
};

static void
ask_much(void *arg)
{
	struct busy *busy = arg;
	size_t len;

	busy->out = kv_say_bytes(busy->in, busy->n, busy->n, &len, &busy->rc);
	busy->error = errno;
	busy->ended = 1;
}

/* Would wait for ever if the lock of the store were held while the other one has no turn. */
static void
use_the_store(void *arg)
{
	struct busy *busy = arg;

	while (!busy->ended) {
		ck_assert_int_eq(kv_put(kv->store, "mine", "x", 0, 0), 1);
		ck_assert_int_eq(kv_store_delete(kv->store, "mine", 4), 1);
		busy->turns++;
		sks_yield();
	}
}

static void
run_both(struct busy *busy)
{
	struct rig_loop rig;

	rig_loop_open(&rig);
	rig_go(&rig, ask_much, busy);
	rig_go(&rig, use_the_store, busy);
	rig_run(&rig);
	rig_loop_close(&rig);
}

/* "a", so often. */
static void
put_long_keys(int n, size_t len)
{
	char *key = malloc(len);

	ck_assert_ptr_nonnull(key);
	memset(key, 'a', len);
	for (; n > 0; n--) {
		key[n % 26] = 'b';
		ck_assert_int_eq(kv_store_set(kv->store, key, len, "", 0, 0, 0), 1);
		key[n % 26] = 'a';
	}
	free(key);
}

/* "KEYS *aaa...ab", which no key ends with. */
static char *
slow_pattern(size_t *n)
{
	char *in = kv_make_command("KEYS", 1, 1024, n);

	in[*n - 3] = 'b';
	in[*n - 2 - 1024] = '*';
	return in;
}

TEST(keys_lets_others_go_first)
{
	struct busy busy = { 0 };
	char *in;

	kv_open(0, 1 << 20);
	put_long_keys(20, 8192);
	busy.in = in = slow_pattern(&busy.n);
	run_both(&busy);
	ck_assert_str_eq(busy.out, "*0\r\n");
	ck_assert_int_ge(busy.turns, 10); /* one for each two keys, which are a turn's work */
	free(busy.out);
	free(in);
	kv_close();
}

TEST(keys_of_a_large_store_lets_others_go_first)
{
	enum { N = 30000 };
	struct busy busy = { .in = "KEYS *\r\n", .n = 8 };
	char key[32];
	int i;

	kv_open(0, 1 << 20);
	for (i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		ck_assert_int_eq(kv_put(kv->store, key, "", 0, 0), 1);
	}
	run_both(&busy);
	ck_assert_int_eq(strncmp(busy.out, "*30000\r\n", 8), 0);
	ck_assert_int_gt(busy.turns, 10);
	free(busy.out);
	ck_assert_uint_eq(kv_stats_of(kv->store).keys, N);
	kv_close();
}

TEST(many_keys_at_once_let_others_go_first, TIMES(2))
{
	struct busy busy = { 0 };
	char *in;

	kv_open(0, 1 << 20);
	busy.in = in = kv_make_command(_i == 0 ? "DEL" : "EXISTS", 100000, 1, &busy.n);
	run_both(&busy);
	ck_assert_str_eq(busy.out, ":0\r\n");
	ck_assert_int_gt(busy.turns, 100);
	free(busy.out);
	free(in);
	kv_close();
}

/* As at the end of a drain. */
static int
ask_as_child(void *arg)
{
	ask_much(arg);
	return 0;
}

static void
ask_and_cancel(void *arg)
{
	struct sks_child *child = sks_go(ask_as_child, arg);
	int result;

	ck_assert_ptr_nonnull(child);
	sks_yield();
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
}

TEST(keys_ends_when_it_is_cancelled)
{
	struct busy busy = { 0 };
	char *in;

	kv_open(0, 1 << 20);
	put_long_keys(20, 8192);
	busy.in = in = slow_pattern(&busy.n);
	rig_run_on(1, ask_and_cancel, &busy);
	ck_assert_int_eq(busy.rc, -1);
	ck_assert_int_eq(busy.error, ECANCELED);
	free(busy.out);
	free(in);
	kv_close();
}
