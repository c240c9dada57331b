/* SPDX-License-Identifier: MIT */
/*
 * check_group_walks.c - sks_group_each: it visits each member once, also while members come and go
 * and while others post.
 */
#include "hall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

FIXTURE(hall_setup, hall_teardown);

struct walk {
	char said[256];
	size_t n;
	int most;   /* visits before it stops */
	int posted; /* visits whose post was taken */
};

static int
visit(struct sks_request *member, void *arg)
{
	struct walk *walk = arg;
	char peer[160];

	walk->n += (size_t)snprintf(walk->said + walk->n, sizeof(walk->said) - walk->n, "%s ",
	    sks_peer(member, peer, sizeof(peer)));
	walk->posted += sks_post(member, "seen\n", 5) == 0;
	return --walk->most == 0 ? 7 : 0;
}

TEST(a_walk_visits_each_member, EACH_STREAM_IN_ONE_MEMORY)
{
	struct walk walk = { .most = 2 }, rest = { .most = 9 };
	uint64_t position = 0;
	struct acc acc;
	int fd[4], i;

	acc_streams(&acc, _i, &hall, NULL);
	acc_start(&acc);
	come(&acc, fd, 3);
	ck_assert_int_eq(sks_group_each(group, &position, visit, &walk), 7);
	for (i = 0; i < 2; i++)
		peer_expect(fd[i], "seen\n");
	ck_assert(peer_is_silent(fd[2]));
	close(fd[1]); /* the place of the walk is where it was */
	ck_eventually(sks_group_count(group) == 2);
	fd[3] = acc_client(&acc);
	ck_eventually(sks_group_count(group) == 3);
	ck_assert_int_eq(sks_group_each(group, &position, visit, &rest), 0);
	peer_expect(fd[2], "seen\n");
	peer_expect(fd[3], "seen\n");
	ck_assert(peer_is_silent(fd[0]));
	ck_assert_int_eq(sks_group_each(group, &position, visit, &rest), 0);
	ck_assert_int_eq(rest.most, 7);
	ck_assert_int_eq(walk.posted + rest.posted, 4);
	close(fd[0]);
	close(fd[2]);
	close(fd[3]);
	acc_free(&acc);
}

static int
call_from_a_visit(struct sks_request *member, void *arg)
{
	atomic_fetch_add(&seen->note, 1);
	(void)arg;
	ck_fails(sks_group_post(group, "x", 1, NULL), EDEADLK);
	ck_fails(sks_group_each(group, NULL, call_from_a_visit, NULL), EDEADLK);
	ck_fails(sks_group_leave(group, member), EDEADLK);
	ck_assert_uint_eq(sks_group_count(group), 0);
	return 0;
}

static int
walk_alone(struct sks_request *req)
{
	ck_assert_int_eq(sks_group_join(group, req), 0);
	ck_assert_int_eq(sks_group_each(group, NULL, call_from_a_visit, NULL), 0);
	ck_assert_uint_eq(sks_group_count(group), 1);
	return answer_result(req, sks_group_post(group, "x", 1, NULL));
}

/* Without a server a handler with a group can be tried, too; nothing can be posted to it. */
TEST(calls_from_a_visit_fail_and_a_handler_is_tried_alone)
{
	static const struct sks_handler handler = { .handle = walk_alone };
	char *out;

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, &out, NULL), 0);
	ck_assert_str_eq(out, "0 \n");
	free(out);
	ck_assert_int_eq(seen->note, 1);
	ck_assert_uint_eq(sks_group_count(group), 0);
}

/* -- many at once -- */

static atomic_int enough;

static void *
post_until_enough(void *arg)
{
	(void)arg;
	while (!atomic_load(&enough)) {
		struct walk walk = { .most = 3 };

		ck_assert_int_ge(sks_group_post(group, "news\n", 5, NULL), 0);
		(void)sks_group_each(group, NULL, visit, &walk);
	}
	return NULL;
}

TEST(members_come_and_go_while_others_post, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_output = 1 << 20 };
	int round, rounds = is_slow() ? 5 : 25, fd[4], i;
	pthread_t threads[2];
	struct acc acc;

	acc_streams(&acc, _i, _i % 2 == 0 ? &hall : &hall_with_finish, &options);
	acc_start(&acc);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, post_until_enough, NULL);
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < 4; i++)
			fd[i] = acc_client(&acc);
		peer_puts(fd[0], "d\n");
		free(peer_read_all(fd[0], NULL));
		close(fd[0]);
		for (i = 1; i < 4; i++)
			peer_reset(fd[i]);
	}
	atomic_store(&enough, 1);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_eventually(sks_group_count(group) == 0);
	acc_free(&acc);
}
