/* SPDX-License-Identifier: MIT */
/*
 * check_drain.c - what becomes of requests and connections when a server is shut down.
 */
#include "acceptance.h"

#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

TEST(lets_running_requests_end_and_tells_them, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "q\n");
	peer_expect(fd, "draining 0\n");
	sks_server_shutdown(acc.server);
	do { /* "draining" is 1 as soon as the loop has seen the shutdown */
		char answer[16] = { 0 };

		peer_puts(fd, "q\n");
		ck_assert_int_eq(peer_recv(fd, answer, 11), 11);
		if (strcmp(answer, "draining 1\n") == 0)
			break;
	} while (1);
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

/* No more accepting: who connects now waits for the next run. */
TEST(a_reset_while_it_drains_ends_its_request_alone, EACH_MODE)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd, other = -1;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	if (!acc.mode->one_at_a_time) {
		other = acc_client(&acc);
		peer_puts(other, "echo\n");
		peer_expect(other, "echo\n");
	}
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&acc.server->service.shared->draining));
	peer_reset(fd);
	ck_eventually(atomic_load(&seen->finishes) == 1);
	ck_assert_int_eq(seen->last_error, ECONNRESET);
	if (other != -1) {
		peer_puts(other, "q\nd\n");
		peer_expect(other, "draining 1\n");
		peer_expect_eof(other);
	}
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->finishes, other != -1 ? 2 : 1);
	ck_assert_int_eq(seen->errors, 1);
	acc_free(&acc);
}

TEST(accepts_nobody_while_it_drains, EACH_STREAM)
{
	struct acc acc;
	char answer[16] = { 0 };
	int fd, late;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "q\n");
	peer_expect(fd, "draining 0\n");
	sks_server_shutdown(acc.server);
	while (strcmp(answer, "draining 1\n") != 0) {
		peer_puts(fd, "q\n");
		ck_assert_int_eq(peer_recv(fd, answer, 11), 11);
	}
	late = acc_client(&acc);
	peer_puts(late, "echo late\nd\n");
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert(peer_is_silent(late));
	ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	acc_start(&acc);
	peer_expect(late, "echo late\n");
	peer_expect_eof(late);
	acc_free(&acc);
}

TEST(closes_parked_connections_at_once, EACH_STREAM)
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nk\n");
	peer_expect(fd, "echo\n");
	ck_eventually(acc_has_parked(&acc, 1));
	sks_server_shutdown(acc.server);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

TEST(cancels_waits_when_the_drain_time_is_over, EACH_TRANSPORT)
{
	struct sks_options options = { .drain_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	if (acc_is_stream(&acc))
		peer_expect(fd, "waiting\n");
	else
		ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc.server);
	if (acc_is_stream(&acc)) {
		peer_expect(fd, "bye\n"); /* finish may still write */
		peer_expect_eof(fd);
	} else {
		peer_expect(fd, "waiting\nbye\n");
		close(fd);
	}
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

/* A read is a wait like others; its handler ends with -1 and ECANCELED. */
TEST(cancels_reads_when_the_drain_time_is_over, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	sks_server_shutdown(acc.server);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, ECANCELED);
	acc_free(&acc);
}

/* Requests that still wait for their turn when drain_ms is over are dropped. */
TEST(drops_waiting_connections_when_the_drain_time_is_over, EACH_STREAM)
{
	struct sks_options options = { .max_running = 1, .drain_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int one, two;

	handler.client_first = 1;
	acc_streams(&acc, _i, &handler, &options);
	if (acc.mode->workers > 1) { /* each loop has a place: there is nobody to wait for */
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	one = acc_client(&acc);
	two = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 2);
	peer_puts(one, "w\n");
	peer_expect(one, "waiting\n");
	peer_puts(two, "echo\nd\n");
	ck_eventually(acc_stats(&acc).active == 2);
	sks_server_shutdown(acc.server);
	peer_expect_eof(one);
	peer_expect_gone(two);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_uint_eq(acc_stats(&acc).refused, 1);
	acc_free(&acc);
}

/* Keeps its loop, with all that is on its way there, until the test says so. */
static int
keep_loop(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	atomic_fetch_add(&seen->handles, 1);
	if (line != NULL && line[0] == 'w')
		return sks_sleep(3600 * 1000);
	while (!atomic_load(&seen->note))
		breathe();
	return SKS_DONE;
}

TEST(cancels_what_is_on_its_way_to_another_loop)
{
	static const struct sks_handler handler = { .handle = keep_loop };
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct sks_worker *second;
	struct acc acc;
	int fd[4], i;

	acc_tcp(&acc, ACC_TWO_LOOPS, &handler, &options);
	second = &acc.server->workers[1];
	acc_start(&acc);
	for (i = 0; i < 4; i++) { /* the loops take turns, and the second one does not hear of the last */
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], i == 1 ? "keep\n" : "wait\n");
		if (i < 3)
			ck_eventually(atomic_load(&seen->handles) == i + 1);
	}
	ck_eventually(atomic_load(&second->open) == 2);
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&second->order) == SKS_ORDER_CANCEL);
	for (i = 0; i < 4; i++)
		close(fd[i]);
	atomic_store(&seen->note, 1);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->handles, 4);
	ck_assert_int_eq(seen->errors, 3);
	ck_assert_int_eq(seen->last_error, ECANCELED);
	acc_free(&acc);
}

/* A handler that heeds nothing. */
static int
be_stubborn(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		sks_yield();
	return SKS_DONE;
}

TEST(says_so_when_requests_do_not_end, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = be_stubborn, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_assert_int_eq(seen->finishes, 0);
	ck_assert_uint_eq(acc_stats(&acc).active, acc.mode->one_memory ? 1 : 0); /* a process was killed */
	if (acc.mode->one_memory)
		atomic_store(&seen->note, 1);
	acc_free(&acc); /* now it ends */
	ck_assert_int_eq(seen->finishes, acc.mode->one_memory);
	peer_expect_gone(fd);
}

static void
block_until_told(void *arg)
{
	(void)arg;
	atomic_fetch_add(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		breathe();
}

static const char *
without_glibc(void)
{
#ifdef __GLIBC__
	return NULL;
#else
	return "a thread's memory is gone when it has ended";
#endif
}

static int
offload(struct sks_request *req)
{
	(void)req;
	return sks_offload(block_until_told, NULL);
}

static int
wait_and_fail(struct sks_request *req)
{
	atomic_fetch_add(&seen->handles, 1);
	return sks_gets(req->rfile) == NULL ? -1 : SKS_DONE;
}

/*
 * Nobody has to guess which of many clients it was. The test frees the server on another thread
 * than its run's, whose errno is then in memory that musl has unmapped.
 */
TEST(names_what_does_not_end_and_where_it_is, EACH_MODE, .left_out = without_glibc())
{
	static const struct sks_handler handler = { .name = "slow", .handle = offload };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_eventually(log_count("slow: 127.0.0.1:") >= 1);
	ck_eventually(log_count(acc.mode->one_memory ? "has not ended in time, it is in sks_offload" :
		"has not ended in time, its process is killed") == 1);
	atomic_store(&seen->note, 1);
	acc_free(&acc);
	peer_expect_gone(fd);
}

TEST(names_what_was_cancelled_and_its_wait, EACH_MODE)
{
	static const struct sks_handler handler = { .name = "slow", .handle = wait_and_fail };
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	if (acc.mode->one_memory) /* else the child logs it, to its own copy of the test's log */
		ck_assert_int_eq(log_count("Operation canceled (it waited for input)"), 1);
	acc_free(&acc);
}

static int
write_without_end(struct sks_request *req)
{
	static const char block[65536];

	atomic_fetch_add(&seen->handles, 1);
	while (sks_write(req->wfile, block, sizeof(block)) == 0)
		;
	return -1;
}

static int
sleep_and_fail(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	return sks_sleep(3600 * 1000) == 0 ? SKS_DONE : -1;
}

static const struct {
	const char *words;
	int (*handle)(struct sks_request *req);
} other_waits[] = {
	{ "Operation canceled (it waited to write)", write_without_end },
	{ "Operation canceled (it waited for a time or another task)", sleep_and_fail },
};

TEST(names_each_kind_of_wait_that_was_cancelled, EACH_OF(other_waits))
{
	struct sks_handler handler = { .name = "slow", .handle = other_waits[_i].handle };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, ACC_FIBERS, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	ck_eventually(acc_stats(&acc).bytes_out > 0 || handler.handle == sleep_and_fail);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(log_count(other_waits[_i].words), 1);
	peer_reset(fd);
	acc_free(&acc);
}

#define NAMED 20 /* of those that do not end */

static int
offload_each(struct sks_request *req)
{
	(void)req;
	block_until_told(NULL);
	return SKS_DONE;
}

/* The log is not filled by them. */
TEST(names_some_of_many_that_do_not_end_and_counts_the_others)
{
	static const struct sks_handler handler = { .name = "slow", .handle = offload_each };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int i, fds[NAMED + 3];

	acc_tcp(&acc, ACC_THREADS, &handler, &options);
	acc_start(&acc);
	for (i = 0; i < NAMED + 3; i++)
		fds[i] = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == NAMED + 3);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_assert_int_eq(log_count("has not ended in time"), NAMED);
	ck_assert_int_eq(log_count("and 3 more"), 1);
	atomic_store(&seen->note, 1);
	acc_free(&acc);
	for (i = 0; i < NAMED + 3; i++)
		close(fds[i]);
}

TEST(a_server_that_is_freed_while_it_runs_blames_nobody, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .name = "slow", .handle = wait_and_fail };
	struct event_base *base = event_base_new();
	struct sks_options options = acc_options(&acc_modes[_i], NULL);
	struct sks_server *server;
	char address[160];
	int fd;

	options.base = base;
	options.on_error = acc_on_error;
	server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	sks_server_address(server, 0, address, sizeof(address));
	ck_assert_int_eq(sks_server_start(server), 0);
	fd = peer_connect(address);
	while (atomic_load(&seen->handles) == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	sks_server_free(server);
	ck_assert_int_eq(log_count("has not ended"), 0);
	event_base_free(base);
	peer_expect_gone(fd);
}

static void
finish_with_a_line(struct sks_request *req)
{
	char *line;

	atomic_fetch_add(&seen->note, 1);
	if (sks_readline(req->rfile, &line) == 5)
		atomic_fetch_add(&seen->note, 10);
	acc_finish(req);
}

/* The end of the drain cancels handle, not finish, which has linger_ms. */
TEST(the_end_of_the_drain_does_not_cancel_finish, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = 10, .linger_ms = 20000 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd, other = -1;

	handler.finish = finish_with_a_line;
	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "d\n");
	ck_eventually(atomic_load(&seen->note) == 1);
	if (!acc.mode->one_at_a_time) {
		other = acc_client(&acc);
		peer_puts(other, "w\n");
		peer_expect(other, "waiting\n");
	}
	sks_server_shutdown(acc.server);
	if (other != -1) /* its wait is cancelled when the drain ends, so finish of both wait now */
		ck_eventually(atomic_load(&seen->waited) == ECANCELED);
	peer_puts(fd, "line\n");
	peer_expect_gone(fd);
	if (other != -1) {
		peer_puts(other, "line\n");
		peer_expect_gone(other);
	}
	acc_join(&acc);
	ck_assert_int_eq(atomic_load(&seen->note), other != -1 ? 22 : 11);
	acc_free(&acc);
}
