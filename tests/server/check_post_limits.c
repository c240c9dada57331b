/* SPDX-License-Identifier: MIT */
/*
 * check_post_limits.c - posts that are too much, that nobody reads, and that come when it ends.
 */
#include "faults.h"
#include "room.h"

#include "base/sys.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(room_setup, room_teardown);

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
	ck_assert_int_eq(sks_post(members[0], much, options.max_output), 0);
	sks_mutex_unlock(lock);
	peer_expect_bytes(fd, much, options.max_output);
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
