/* SPDX-License-Identifier: MIT */
/*
 * check_post.c - bytes for another connection: from a handler, from another
 * thread, to one that runs, is parked, is full, or ends.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rule of request.h: a list that setup adds to and finish removes from, under one lock. */
#define ROOM 64

static struct sks_mutex *lock;
static struct sks_request *members[ROOM];
static int nmembers;

static void
with_lock(void)
{
	ck_assert_int_eq(sks_mutex_lock(lock), 0);
}

static int
join_room(struct sks_request *req)
{
	acc_setup_counted(req);
	if (sks_mutex_lock(lock) == -1)
		return -1;
	members[nmembers++] = req;
	return sks_mutex_unlock(lock);
}

static void
leave_room(struct sks_request *req)
{
	int i;

	while (sks_mutex_lock(lock) == -1)
		sks_yield();
	for (i = 0; i < nmembers; i++)
		if (members[i] == req)
			members[i] = members[--nmembers];
	sks_mutex_unlock(lock);
	acc_finish(req);
}

static int
say_to_others(struct sks_request *req, const char *line)
{
	int i, rc = 0;

	if (sks_mutex_lock(lock) == -1)
		return -1;
	for (i = 0; i < nmembers; i++)
		if (members[i] != req && sks_post(members[i], line, strlen(line)) == -1)
			rc = -1;
	sks_mutex_unlock(lock);
	return rc;
}

/*
 * A room. Lines go to all others; "k" parks the connection, "d" ends it, "e..."
 * is for the speaker alone.
 */
static int
be_in_room(struct sks_request *req)
{
	char line[128];
	char *got;

	atomic_fetch_add(&seen->handles, 1);
	while ((got = sks_gets(req->rfile)) != NULL) {
		if (got[0] == 'k')
			return SKS_KEEP;
		if (got[0] == 'd')
			return SKS_DONE;
		snprintf(line, sizeof(line), "%.100s\n", got);
		if (got[0] == 'e')
			sks_puts(req->wfile, line);
		else if (say_to_others(req, line) == -1)
			return -1;
	}
	return sks_end(req->rfile);
}

static const struct sks_handler room = {
	.name = "room", .setup = join_room, .handle = be_in_room, .finish = leave_room,
};

static void
setup(void)
{
	acc_setup();
	nmembers = 0;
	lock = sks_mutex_new();
	ck_assert_ptr_nonnull(lock);
}

static void
teardown(void)
{
	sks_mutex_free(lock);
	acc_teardown();
}

FIXTURE(setup, teardown);

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
		ck_assert_int_eq(sks_post(members[0], "p\n", 2), 0);
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

/* What was posted before the connection ends still arrives. */
TEST(post_to_a_connection_that_ends_soon_arrives, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &room, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\nk\n");
	peer_expect(fd, "e\n");
	ck_eventually(acc_stats(&acc).parked == 1);
	with_lock();
	ck_assert_int_eq(sks_post(members[0], "last words\n", 11), 0);
	sks_mutex_unlock(lock);
	sks_server_shutdown(acc.server); /* ends it, after the post */
	peer_expect(fd, "last words\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

TEST(refuses_more_than_max_output, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_output = 1000 };
	char much[1001] = { 0 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &room, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\nk\n");
	peer_expect(fd, "e\n");
	with_lock();
	errno = 0;
	ck_assert_int_eq(sks_post(members[0], much, sizeof(much)), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_int_eq(sks_post(members[0], "", 0), 0);
	sks_mutex_unlock(lock);
	close(fd);
	acc_free(&acc);
}

/* Posts to members[0], which does not read, until it is refused; says how that went. */
static int
fill_up(struct sks_request *req)
{
	static char block[500];
	char *line = sks_gets(req->rfile);
	int i;

	if (line == NULL || line[0] == 'k')
		return line != NULL ? SKS_KEEP : SKS_DONE;
	memset(block, 'x', sizeof(block));
	for (i = 0; i < 100000; i++) {
		if (sks_post(members[0], block, sizeof(block)) == -1) {
			sks_printf(req->wfile, "%s\n", errno == ENOBUFS ? "full" : "no");
			return SKS_DONE;
		}
		sks_yield(); /* so that the loop can send what it can */
	}
	sks_puts(req->wfile, "never\n");
	return SKS_DONE;
}

TEST(refuses_when_a_peer_does_not_read, EACH_STREAM_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = {
		.setup = join_room, .handle = fill_up, .finish = leave_room };
	struct sks_options options = { .max_output = 1000, .timeout_ms = SKS_OFF };
	struct acc acc;
	int deaf, fd, small = 2048;

	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	deaf = acc_client(&acc);
	setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	peer_puts(deaf, "k\n");
	ck_eventually(acc_stats(&acc).parked == 1);
	fd = acc_client(&acc);
	peer_puts(fd, "go\n");
	peer_expect(fd, "full\n");
	peer_expect_eof(fd);
	close(deaf);
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

static int
post_without_server(struct sks_request *req)
{
	if (sks_post(req, "x", 1) == -1)
		atomic_store(&seen->note, errno);
	return SKS_DONE;
}

TEST(needs_a_server)
{
	static const struct sks_handler handler = { .handle = post_without_server };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_int_eq(seen->note, ENOTSUP);
}

static void *
post_once(void *arg)
{
	(void)arg;
	/* The lock orders this after setup, which ran on another thread. */
	if (sks_mutex_lock(lock) == -1 || sks_post(members[0], "in time\n", 8) == -1 ||
	    sks_mutex_unlock(lock) == -1)
		atomic_store(&seen->note, errno);
	return NULL;
}

/* Memory may be there when a post is made and gone when it arrives, or the other way round. */
TEST(what_is_taken_arrives_without_memory, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	char text[16], rule[32];
	int fd[2], k, i, rc, error, refused = 0;

	acc_streams(&acc, _i, &room, NULL);
	acc_start(&acc);
	for (k = 1; k <= 8; k++) {
		for (i = 0; i < 2; i++) {
			fd[i] = acc_client(&acc);
			peer_puts(fd[i], "e\nk\n");
			peer_expect(fd[i], "e\n");
		}
		ck_eventually(acc_stats(&acc).parked == 2);
		snprintf(text, sizeof(text), "post %d\n", k);
		snprintf(rule, sizeof(rule), "malloc:ENOMEM:%d+", k);
		with_lock();
		ck_assert_int_eq(sks_fault(rule), 0);
		for (i = 0; i < 2; i++) {
			rc = sks_post(members[i], text, strlen(text));
			error = errno;
			if (rc == 0) {
				/* Either client may be either member. */
				struct pollfd p[2] = { { .fd = fd[0], .events = POLLIN },
					{ .fd = fd[1], .events = POLLIN } };

				ck_assert_msg(poll(p, 2, 10000) > 0, "%d: lost", k);
				peer_expect(p[0].revents != 0 ? fd[0] : fd[1], text);
			} else {
				ck_assert_int_eq(error, ENOMEM);
				refused++;
			}
		}
		sks_fault_clear();
		sks_mutex_unlock(lock);
		for (i = 0; i < 2; i++) {
			peer_puts(fd[i], "d\n");
			peer_expect_eof(fd[i]);
		}
	}
	ck_assert_int_gt(refused, 0);
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

/* A message that was on its way when the server was freed: nothing is leaked, or used after. */
TEST(post_on_its_way_when_the_server_is_freed, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	pthread_t thread;
	int fd;

	acc_streams(&acc, _i, &room, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "k\n");
	while (acc_stats(&acc).parked == 0)
		event_base_loop(options.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	pthread_create(&thread, NULL, post_once, NULL);
	pthread_join(thread, NULL);
	ck_assert_int_eq(seen->note, 0);
	acc_free(&acc); /* without one more turn of the loop */
	ck_assert_int_eq(seen->finishes, 1);
	close(fd);
	event_base_free(options.base);
}

/* A handler that holds its loop while its connection is posted to, and ends. */
static int
end_with_post(struct sks_request *req)
{
	pthread_t thread;
	char *line = sks_gets(req->rfile);

	(void)line;
	pthread_create(&thread, NULL, post_once, NULL);
	pthread_join(thread, NULL);
	return SKS_DONE;
}

TEST(post_on_its_way_when_the_connection_ends, EACH_STREAM_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = {
		.setup = join_room, .handle = end_with_post, .finish = leave_room };
	struct acc acc;
	char *all;
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "go\n");
	all = peer_read_all(fd, NULL);
	ck_assert_int_eq(seen->note, 0);
	ck_assert_str_eq(all, "in time\n");
	free(all);
	close(fd);
	acc_free(&acc);
}

static int
post_in_vain(struct sks_request *req)
{
	return sks_printf(req->wfile, "%d\n", sks_post(req, "x", 1) == -1 && errno == ENOTSUP);
}

TEST(nothing_can_be_posted_from_a_process)
{
	static const struct sks_handler handler = { .handle = post_in_vain };
	struct acc acc;

	acc_tcp(&acc, ACC_PROCESSES, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "", "1\n");
	acc_free(&acc);
}
