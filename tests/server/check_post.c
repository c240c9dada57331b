/* SPDX-License-Identifier: MIT */
/*
 * check_post.c - bytes for another connection: from a handler, from another thread, to one that
 * runs or is parked.
 */
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(room_setup, room_teardown);

/* All clients, parked or, where more than one may run, in their handler. */
static void
enter(struct acc *acc, int *fd, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		fd[i] = acc_client(acc);
		peer_puts(fd[i], acc->mode->one_at_a_time || i % 2 == 1 ? "e\nk\n" : "e\n");
		peer_expect(fd[i], "e\n");
	}
}

/* Processes have no way to each other: see nothing_can_be_posted_from_a_process. */
TEST(handlers_reach_all_other_connections, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	char text[32];
	int fd[6], i, j;

	acc_streams(&acc, _i, &room, NULL);
	acc_start(&acc);
	enter(&acc, fd, 6);
	for (i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "from %d\n", i);
		peer_puts(fd[i], text);
		if (acc.mode->one_at_a_time)
			peer_puts(fd[i], "k\n");
		for (j = 0; j < 6; j++)
			if (j != i)
				peer_expect(fd[j], text);
		ck_assert(peer_is_silent(fd[i]));
	}
	for (i = 0; i < 6; i++)
		close(fd[i]);
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 6);
	ck_assert_int_eq(log_lines(), 0);
}

/* Many small ones from one handler: whole, in order, to one parked connection. */
static int
count_for_others(struct sks_request *req)
{
	char text[32], *line;
	int i;

	while ((line = sks_gets(req->rfile)) != NULL && line[0] != 'k') {
		for (i = 0; i < 1000; i++) {
			snprintf(text, sizeof(text), "%d\n", i);
			if (say_to_others(req, text) == -1)
				return -1;
		}
		sks_puts(req->wfile, "posted\n");
	}
	return line != NULL ? SKS_KEEP : SKS_DONE;
}

TEST(posts_arrive_in_order, EACH_STREAM_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = {
		.setup = join_room, .handle = count_for_others, .finish = leave_room };
	struct acc acc;
	char text[8000];
	int one, two, i, n = 0;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	two = acc_client(&acc);
	peer_puts(two, "k\n");
	ck_eventually(acc_stats(&acc).parked == 1);
	one = acc_client(&acc);
	peer_puts(one, "go\n");
	peer_expect(one, "posted\n");
	for (i = 0; i < 1000; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d\n", i);
	peer_expect(two, text);
	close(one);
	close(two);
	acc_free(&acc);
}

/* A post goes out between two of the owner's flushes, never inside one. */
static int
write_in_pieces(struct sks_request *req)
{
	int i;

	for (i = 0; i < 200; i++) {
		sks_puts(req->wfile, "<");
		sks_puts(req->wfile, "own");
		sks_puts(req->wfile, ">");
		sks_yield(); /* flushes */
	}
	return SKS_DONE;
}

static struct sks_request *
first_member(void)
{
	return nmembers > 0 ? members[0] : NULL;
}

static void *
post_often(void *arg)
{
	int *sent = arg, i;

	for (i = 0; i < 200; i++) {
		struct sks_request *to;

		if (sks_mutex_lock(lock) == -1)
			break;
		to = first_member();
		if (to != NULL && sks_post(to, "[posted]", 8) == 0)
			++*sent;
		sks_mutex_unlock(lock);
		sched_yield();
	}
	return NULL;
}

TEST(posts_do_not_tear_the_owners_output, EACH_STREAM_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = {
		.setup = join_room, .handle = write_in_pieces, .finish = leave_room };
	struct acc acc;
	pthread_t threads[2];
	int sent[2] = { 0 }, own = 0, posted = 0, fd, i;
	char *all, *at;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, post_often, &sent[i]);
	all = peer_read_all(fd, NULL);
	close(fd);
	for (at = all; *at != '\0';) {
		if (strncmp(at, "<own>", 5) == 0) {
			own++;
			at += 5;
		} else {
			ck_assert_msg(strncmp(at, "[posted]", 8) == 0, "torn: %.30s", at);
			posted++;
			at += 8;
		}
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(own, 200);
	ck_assert_int_le(posted, sent[0] + sent[1]);
	free(all);
	acc_free(&acc);
}

TEST(other_threads_reach_running_and_parked_connections, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd[2], i, j;

	acc_streams(&acc, _i, &room, NULL);
	acc_start(&acc);
	enter(&acc, fd, 2);
	with_lock();
	ck_assert_int_eq(nmembers, 2);
	for (i = 0; i < 3; i++)
		for (j = 0; j < 2; j++)
			ck_assert_int_eq(sks_post(members[j], "news\n", 5), 0);
	sks_mutex_unlock(lock);
	for (j = 0; j < 2; j++) {
		peer_expect(fd[j], "news\nnews\nnews\n");
		peer_puts(fd[j], "echo\nd\n"); /* it was not ended by that */
		peer_expect(fd[j], "echo\n");
		peer_expect_eof(fd[j]);
	}
	acc_free(&acc);
}

/* Neither is left behind when one comes while the other is sent. */
TEST(a_post_amid_a_flush_is_sent, EACH_STREAM_IN_ONE_MEMORY)
{
	int round, rounds = is_slow() ? 200 : 2000, fd;
	char got[5] = "";
	struct acc acc;

	acc_streams(&acc, _i, &room, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\n");
	peer_expect(fd, "e\n");
	for (round = 0; round < rounds; round++) {
		size_t n = 0;

		peer_puts(fd, "e\n");
		with_lock();
		ck_assert_int_eq(sks_post(members[0], "p\n", 2), 0);
		sks_mutex_unlock(lock);
		while (n < 4) {
			ssize_t more = peer_recv(fd, got + n, 4 - n);

			ck_assert_int_gt(more, 0);
			n += (size_t)more;
		}
		ck_assert(strcmp(got, "e\np\n") == 0 || strcmp(got, "p\ne\n") == 0);
	}
	close(fd);
	acc_stop(&acc);
	acc_free(&acc);
}

static int
post_to_itself(struct sks_request *req)
{
	sks_puts(req->wfile, "own ");
	sks_post(req, "posted ", 7);
	sks_flush(req->wfile);
	sks_puts(req->wfile, "more\n");
	return SKS_DONE;
}

TEST(handler_may_post_to_itself, EACH_STREAM_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = post_to_itself };
	struct acc acc;
	char *all;
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	all = peer_read_all(fd, NULL);
	/* Whole, and between two flushes; on a thread the loop may come to it last. */
	ck_assert(strcmp(all, "own posted more\n") == 0 || strcmp(all, "posted own more\n") == 0 ||
	    strcmp(all, "own more\nposted ") == 0);
	free(all);
	close(fd);
	acc_free(&acc);
}

static atomic_int enough;

static void *
post_until_enough(void *arg)
{
	(void)arg;
	while (!atomic_load(&enough) && sks_mutex_lock(lock) == 0) {
		if (first_member() != NULL)
			(void)sks_post(first_member(), ".", 1);
		sks_mutex_unlock(lock);
	}
	return NULL;
}

/* An answer is sent before its handler waits, whatever is posted just then. */
TEST(posts_do_not_hold_up_an_answer, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .idle_ms = SKS_OFF };
	struct acc acc;
	pthread_t threads[2];
	int fd, i, rounds = is_slow() ? 50 : 500;
	char got[65536];
	ssize_t n;

	acc_streams(&acc, _i, &room, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, post_until_enough, NULL);
	for (i = 0; i < rounds; i++) {
		peer_puts(fd, "e\n");
		do {
			n = peer_recv(fd, got, sizeof(got));
			ck_assert_int_gt(n, 0);
		} while (memchr(got, '\n', (size_t)n) == NULL); /* posts have none */
	}
	atomic_store(&enough, 1);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close(fd);
	acc_free(&acc);
}
