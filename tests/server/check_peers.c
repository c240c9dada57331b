/* SPDX-License-Identifier: MIT */
/*
 * check_peers.c - what one peer may have: connections at once, new ones a second. And what it gets
 * that wants more.
 */
#include "acceptance.h"

#include "base/addr.h"
#include "base/sys.h"
#include "server/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* -- the table -- */

struct table {
	struct sks_peers *peers;
	struct sks_peer *held[64];
	int n;
	int64_t now;
};

static void
open_table(struct table *t, struct sks_options options)
{
	*t = (struct table){ .now = 5000 };
	if (options.peer_bits4 == 0)
		options.peer_bits4 = 32;
	if (options.peer_bits6 == 0)
		options.peer_bits6 = 64;
	t->peers = sks_peers_new(&options);
	ck_assert_ptr_nonnull(t->peers);
}

/* 0, or why not. */
static int
enter(struct table *t, const char *text)
{
	struct sks_addr addr = { .len = sizeof(addr.u.in) };

	addr.u.in.sin_family = AF_INET;
	if (inet_pton(AF_INET, text, &addr.u.in.sin_addr) != 1) {
		addr.len = sizeof(addr.u.in6);
		addr.u.in6.sin6_family = AF_INET6;
		ck_assert_int_eq(inet_pton(AF_INET6, text, &addr.u.in6.sin6_addr), 1);
	}
	return sks_peers_enter(t->peers, &addr.u.any, addr.len, t->now, &t->held[t->n++]);
}

static void
close_table(struct table *t)
{
	while (t->n > 0)
		sks_peers_leave(t->peers, t->held[--t->n]);
	sks_peers_free(t->peers);
}

static const struct {
	const char *first, *second;
	int bits4, bits6;
	int is_same;
} pairs[] = {
	{ "192.0.2.1", "192.0.2.1", 0, 0, 1 },
	{ "192.0.2.1", "192.0.2.2", 0, 0, 0 },
	{ "192.0.2.1", "192.0.2.200", 24, 0, 1 },
	{ "192.0.2.1", "192.0.3.1", 24, 0, 0 },
	{ "192.0.2.1", "192.0.3.1", 23, 0, 1 },
	{ "10.0.0.0", "11.0.0.0", 7, 0, 1 },
	{ "::ffff:192.0.2.1", "192.0.2.1", 0, 0, 1 },
	{ "2001:db8::1", "2001:db8::2", 0, 0, 1 },
	{ "2001:db8::1", "2001:db8:0:0:8000::1", 0, 0, 1 },
	{ "2001:db8::1", "2001:db8:0:1::1", 0, 0, 0 },
	{ "2001:db8::1", "2001:db8:0:1::1", 0, 56, 1 },
	{ "2001:db8::1", "2001:db8::2", 0, 128, 0 },
	{ "2001:db8::1", "2001:db8::2", 0, 126, 1 },
	{ "2001:db8::1", "2001:db8::4", 0, 126, 0 },
	{ "::", "0.0.0.0", 0, 0, 0 },
};

TEST(an_address_is_so_many_bits, TIMES((int)(sizeof(pairs) / sizeof(pairs[0]))))
{
	struct table t;

	open_table(&t, (struct sks_options){ .max_per_peer = 1, .peer_bits4 = pairs[_i].bits4,
		.peer_bits6 = pairs[_i].bits6 });
	ck_assert_int_eq(enter(&t, pairs[_i].first), 0);
	ck_assert_int_eq(enter(&t, pairs[_i].second), pairs[_i].is_same ? SKS_REJECTED_PEER : 0);
	close_table(&t);
}

TEST(a_second_has_so_many_new_ones)
{
	struct table t;
	int i;

	open_table(&t, (struct sks_options){ .rate_per_peer = 4 });
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(enter(&t, "192.0.2.1"), 0);
	ck_assert_int_eq(enter(&t, "192.0.2.1"), SKS_REJECTED_RATE);
	ck_assert_int_eq(enter(&t, "192.0.2.2"), 0);
	t.now += 249;
	ck_assert_int_eq(enter(&t, "192.0.2.1"), SKS_REJECTED_RATE);
	t.now += 1; /* a quarter of a second each */
	ck_assert_int_eq(enter(&t, "192.0.2.1"), 0);
	ck_assert_int_eq(enter(&t, "192.0.2.1"), SKS_REJECTED_RATE);
	t.now += 3600 * 1000; /* no more than a second's are saved up */
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(enter(&t, "192.0.2.1"), 0);
	ck_assert_int_eq(enter(&t, "192.0.2.1"), SKS_REJECTED_RATE);
	close_table(&t);
}

/* no_leaks sees what close_table() would not free, but not what grows until then. */
TEST(those_that_are_gone_are_forgotten)
{
	struct sks_peer *peer;
	struct table t;
	char text[32];
	long held;
	int i;

	open_table(&t, (struct sks_options){ .max_per_peer = 1, .rate_per_peer = 1 });
	held = sks_sys_held();
	for (i = 0; i < 40000; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.%d", i / 65536, i / 256 % 256, i % 256);
		ck_assert_int_eq(enter(&t, text), 0);
		peer = t.held[--t.n];
		sks_peers_leave(t.peers, peer);
		t.now++;
	}
	ck_assert_int_lt(sks_sys_held() - held, 8000);
	close_table(&t);
}

/* -- a server -- */

static void
expect_rejection(const struct acc *acc, const char *text)
{
	int fd = acc_client(acc);

	peer_expect(fd, text);
	peer_expect_eof(fd);
}

TEST(one_peer_has_so_many_connections, EACH_MODE)
{
	struct sks_options options = { .max_per_peer = 2, .reject_text = "busy\n" };
	struct acc acc;
	int fd[2], i;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	for (i = 0; i < 2; i++) {
		fd[i] = acc_client(&acc);
		if (i == 0 || !acc.mode->one_at_a_time) {
			peer_puts(fd[i], "echo\n");
			peer_expect(fd[i], "echo\n");
		}
	}
	ck_eventually(acc_stats(&acc).active + acc_stats(&acc).parked > 0);
	if (!acc.mode->one_at_a_time) { /* there the second one waits in the backlog */
		expect_rejection(&acc, "busy\n");
		ck_assert_uint_eq(acc_stats(&acc).rejected_peer, 1);
		ck_assert_uint_eq(acc_stats(&acc).rejected_rate, 0);
		ck_assert_int_eq(log_count("rejected: it has 2 connections"), 1);
	}
	for (i = 0; i < 2; i++) {
		peer_puts(fd[i], "d\n");
		peer_expect_eof(fd[i]);
	}
	ck_eventually(acc_stats(&acc).finished == 2);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}

TEST(one_that_was_rejected_was_not_served, EACH_MODE)
{
	struct sks_options options = { .rate_per_peer = 1 };
	struct acc acc;
	int fd, i;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	for (i = 0; acc_stats(&acc).rejected_rate == 0; i++) {
		ck_assert_int_lt(i, 1000);
		fd = acc_client(&acc);
		peer_half_close(fd);
		peer_expect_gone(fd);
	}
	ck_eventually(acc_stats(&acc).accepted == (unsigned int)i);
	ck_eventually(acc_stats(&acc).finished + acc_stats(&acc).refused == (unsigned int)i);
	ck_assert_int_ge(log_count("new connections in a second"), 1);
	acc_free(&acc);
}

static const char *
tell_why(struct sks_request *req, int why)
{
	static char text[64];

	ck_assert_ptr_null(req->rfile);
	ck_assert_ptr_eq(req->data, seen);
	snprintf(text, sizeof(text), "sorry, %d\n", why);
	return text;
}

TEST(a_hook_chooses_the_text, EACH_MODE)
{
	struct sks_options options = { .max_per_peer = 1, .on_reject = tell_why, .reject_text = "no",
		.data = seen };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.client_first = 1; /* so the second one is accepted in serial mode, too */
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 1);
	expect_rejection(&acc, "sorry, 1\n");
	close(fd);
	acc_free(&acc);
}

TEST(a_unix_socket_has_no_limit)
{
	struct sks_options options = { .max_per_peer = 1 };
	struct acc acc;
	int fd;

	acc_on(&acc, ACC_FIBERS, acc_listen_address(ACC_UNIX), &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	acc_ask(&acc, "echo\nd\n", "echo\n");
	close(fd);
	acc_free(&acc);
}
