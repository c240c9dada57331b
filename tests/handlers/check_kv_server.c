/* SPDX-License-Identifier: MIT */
/*
 * check_kv_server.c - the kv handler as a server in each mode: clients that share a store.
 */
#include "acceptance.h"
#include "kv_talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
setup(void)
{
	acc_setup();
	kv_open(8 << 20, 1 << 20);
	kv_store_set_clock(kv->store, NULL, NULL);
}

static void
teardown(void)
{
	kv_close();
	acc_teardown();
}

FIXTURE(setup, teardown);

static void
open_server(struct acc *acc, int i)
{
	struct sks_options options = { .data = kv };

	acc_tcp(acc, i, &sks_plugin_descriptor.handler, &options);
	acc_start(acc);
}

/* kv refuses processes, which cannot share a store. */
TEST(clients_share_one_store, EACH_MODE_IN_ONE_MEMORY)
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
	peer_puts(b, "*x\r\n");
	peer_expect(b, "-ERR Protocol error: invalid multibulk length\r\n");
	peer_expect_eof(b);
	acc_free(&acc);
}

TEST(a_browser_that_posts_is_named_and_closed, EACH_MODE_IN_ONE_MEMORY)
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

/* Also while it is parked in between. */
TEST(what_a_client_says_of_itself_stays_its_own, EACH_MODE_IN_ONE_MEMORY)
{
	struct acc acc;
	int a, b;

	open_server(&acc, _i);
	a = acc_client(&acc);
	b = acc_client(&acc);
	peer_puts(a, "HELLO 3 SETNAME anna\r\nGET nothing\r\n");
	peer_expect(a, "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"
		       "$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
		       "$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n_\r\n");
	peer_puts(b, "CLIENT ID\r\nCLIENT GETNAME\r\nGET nothing\r\n");
	peer_expect(b, ":2\r\n$-1\r\n$-1\r\n");
	peer_puts(a, "CLIENT GETNAME\r\nCLIENT ID\r\n");
	peer_expect(a, "$4\r\nanna\r\n:1\r\n");
	close(a);
	close(b);
	acc_free(&acc);
}

TEST(increments_of_many_clients_add_up, EACH_MODE_IN_ONE_MEMORY)
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

/* Others are served while one is in the middle of a command; not where there is one at a time. */
TEST(half_a_command_holds_up_nobody, EACH_MODE_IN_ONE_MEMORY)
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

/* Values on their way to a client that does not read are whole, whatever happens to the key. */
TEST(values_are_sent_whole_while_they_change, EACH_MODE_IN_ONE_MEMORY)
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
	ck_assert_uint_le(kv_stats_of(kv->store).used_memory, 1000);
}
