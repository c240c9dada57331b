/* SPDX-License-Identifier: MIT */
/*
 * check_members.c - groups of connections: a request joins and leaves a group, the members get
 * posts, and members, groups and servers may end in any order.
 */
#include "hall.h"

#include "server/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(hall_setup, hall_teardown);

/* In processes mode there are no groups: see processes_have_no_groups. */
TEST(a_post_reaches_all_members_but_one, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	char text[32];
	int fd[6], i, j;

	acc_streams(&acc, _i, &hall, NULL);
	acc_start(&acc);
	come(&acc, fd, 6);
	for (i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "from %d\n", i);
		peer_puts(fd[i], text);
		peer_expect(fd[i], "5 \n");
		for (j = 0; j < 6; j++)
			if (j != i)
				peer_expect(fd[j], text);
		ck_assert(peer_is_silent(fd[i]));
	}
	ck_assert_int_eq(sks_group_post(group, "all\n", 4, NULL), 6);
	ck_assert_int_eq(sks_group_post(group, "", 0, NULL), 6);
	for (i = 0; i < 6; i++) {
		peer_expect(fd[i], "all\n");
		close(fd[i]);
	}
	acc_free(&acc);
	ck_assert_uint_eq(sks_group_count(group), 0);
	ck_assert_int_eq(log_lines(), 0);
}

/* However a connection ends, with and without a finish, it leaves its group by itself. */
TEST(whoever_ends_has_left, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .linger_ms = 1, .drain_ms = 1 };
	struct acc acc;
	int fd[6], round;

	acc_streams(&acc, _i, _i % 2 == 0 ? &hall : &hall_with_finish, &options);
	acc_start(&acc);
	for (round = 0; round < 3; round++) {
		come(&acc, fd, 6);
		close(fd[0]);
		close(fd[1]);
		peer_reset(fd[2]);
		peer_reset(fd[3]);
		peer_puts(fd[4], "d\n");
		peer_puts(fd[5], "d\n");
		peer_expect_eof(fd[4]);
		peer_expect_eof(fd[5]);
		close(fd[4]);
		close(fd[5]);
		ck_eventually(sks_group_count(group) == 0);
		ck_assert_int_eq(sks_group_post(group, "nobody\n", 7, NULL), 0);
	}
	come(&acc, fd, 2); /* the end of the server is one as well */
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	acc_free(&acc);
	close(fd[0]);
	close(fd[1]);
	ck_assert_uint_eq(sks_group_count(group), 0);
}

TEST(a_member_leaves_and_joins_again, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd[2];

	acc_streams(&acc, _i, &hall, NULL);
	acc_start(&acc);
	come(&acc, fd, 2);
	peer_puts(fd[0], "j\n");
	peer_expect(fd[0], "0 \n"); /* a second time changes nothing */
	ck_assert_uint_eq(sks_group_count(group), 2);
	peer_puts(fd[0], "l\n");
	peer_expect(fd[0], "0 \n");
	peer_puts(fd[0], "l\n");
	peer_expect(fd[0], "-1 ENOENT\n");
	ck_assert_int_eq(sks_group_post(group, "one\n", 4, NULL), 1);
	peer_puts(fd[0], "j\n");
	peer_expect(fd[0], "0 \n");
	ck_assert_int_eq(sks_group_post(group, "two\n", 4, NULL), 2);
	peer_expect(fd[0], "two\n");
	peer_expect(fd[1], "one\ntwo\n");
	close(fd[0]);
	close(fd[1]);
	acc_free(&acc);
}

TEST(a_group_is_freed_with_members_in_it, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .linger_ms = 1 };
	struct acc acc;
	int fd[4], i;

	acc_streams(&acc, _i, _i % 2 == 0 ? &hall : &hall_with_finish, &options);
	acc_start(&acc);
	come(&acc, fd, 4);
	ck_assert_int_eq(sks_group_post(group, "last\n", 5, NULL), 4);
	sks_group_free(group);
	group = NULL;
	for (i = 0; i < 4; i++) {
		peer_expect(fd[i], "last\n");
		peer_puts(fd[i], "echo\n");
		peer_expect(fd[i], "echo\n");
	}
	close(fd[0]);
	close(fd[1]);
	ck_eventually(acc_stats(&acc).finished == 2);
	acc_free(&acc); /* and with the server */
	close(fd[2]);
	close(fd[3]);
}

/*
 * A handler that makes one group after the other must not keep memberships of those it has freed.
 */
static int
play(struct sks_request *req)
{
	const struct sks_membership *m;
	int i, n = 0;

	for (i = 0; i < 100; i++) {
		struct sks_group *game = sks_group_new();

		ck_assert_int_eq(sks_group_join(game, req), 0);
		sks_group_free(game);
	}
	for (m = sks_call_of(req)->memberships.first; m != NULL; m = m->next)
		n++;
	return sks_printf(req->wfile, "%d\n", n);
}

TEST(freed_groups_do_not_gather, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = play };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "", "1\n");
	acc_free(&acc);
}

static int
refuse(struct sks_request *req)
{
	answer_result(req, sks_group_join(group, req));
	answer_result(req, sks_group_post(group, "x", 1, NULL));
	return answer_result(req, sks_group_each(group, NULL, NULL, NULL));
}

TEST(processes_have_no_groups)
{
	static const struct sks_handler handler = { .handle = refuse };
	struct acc acc;

	acc_tcp(&acc, ACC_PROCESSES, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "", "-1 EOPNOTSUPP\n-1 EOPNOTSUPP\n-1 EOPNOTSUPP\n");
	acc_free(&acc);
}

static int
join_only(struct sks_request *req)
{
	return answer_result(req, sks_group_join(group, req));
}

TEST(a_datagram_cannot_join, EACH_DATAGRAM)
{
	static const struct sks_handler handler = { .handle = join_only };
	struct acc acc;

	acc_datagrams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "x", "-1 EOPNOTSUPP\n");
	acc_free(&acc);
}

static void
join_late(struct sks_request *req)
{
	ck_assert_uint_eq(sks_group_count(group), 0);
	answer_result(req, sks_group_leave(group, req));
	answer_result(req, sks_group_join(group, req));
}

/* When finish begins the request has left its group, and it cannot join again. */
TEST(finish_is_no_member, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_handler handler = hall;
	struct acc acc;
	int fd;

	handler.finish = join_late;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "d\n");
	peer_expect(fd, "-1 ENOENT\n-1 ENOTCONN\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

/* A member that does not read misses posts, and keeps no other member from getting them. */
TEST(a_slow_reader_misses_posts, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_output = 16000, .timeout_ms = SKS_OFF };
	static char block[8000];
	int fd[2], small = 2048, i, reached = 2;
	size_t got = 0;
	struct acc acc;

	memset(block, 'x', sizeof(block));
	acc_streams(&acc, _i, &hall, &options);
	acc_start(&acc);
	come(&acc, fd, 2);
	setsockopt(fd[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (i = 0; i < 100000 && reached == 2; i++) {
		reached = sks_group_post(group, block, sizeof(block), NULL);
		for (got = 0; got < sizeof(block);) {
			static char sink[8000];
			ssize_t n = peer_recv(fd[1], sink, sizeof(sink) - got);

			ck_assert_int_gt(n, 0);
			got += (size_t)n;
		}
	}
	ck_assert_int_eq(reached, 1);
	close(fd[0]);
	close(fd[1]);
	acc_free(&acc);
}

/* -- many at once -- */

static void *
post_numbers(void *arg)
{
	const char *name = arg;
	char text[32];
	int i;

	for (i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "%s%d\n", name, i);
		ck_assert_int_eq(sks_group_post(group, text, strlen(text), NULL), 3);
	}
	return NULL;
}

TEST(all_members_get_all_posts_in_one_order, EACH_STREAM_IN_ONE_MEMORY)
{
	static char names[2][2] = { "a", "b" };
	pthread_t threads[2];
	struct acc acc;
	char *all[3];
	int fd[3], i;

	acc_streams(&acc, _i, &hall, NULL);
	acc_start(&acc);
	come(&acc, fd, 3);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, post_numbers, names[i]);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 3; i++) {
		peer_puts(fd[i], "d\n");
		all[i] = peer_read_all(fd[i], NULL);
		close(fd[i]);
	}
	ck_assert_uint_eq(strlen(all[0]), 2 * (10 * 3 + 90 * 4 + 100 * 5));
	for (i = 0; i < 3; i++) {
		ck_assert_str_eq(all[i], all[0]);
		if (i > 0)
			free(all[i]);
	}
	free(all[0]);
	acc_free(&acc);
}
