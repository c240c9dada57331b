/* SPDX-License-Identifier: MIT */
/*
 * check_drain.c - what becomes of requests and connections when a server is shut down. (What
 * it says of them at the end: check_drain_report.c.)
 */
#include "acceptance.h"

#include "server/server.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static int
do_nothing(struct sks_request *req)
{
	(void)req;
	return SKS_DONE;
}

/* Runs another handler when it is cancelled, and waits once more. */
static int
wait_and_nest(struct sks_request *req)
{
	static const struct sks_handler inner = { .handle = do_nothing };

	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	acc_require(sks_sleep(60000) == -1 && errno == ECANCELED);
	acc_require(sks_handle_bytes(&inner, "", 0, NULL, NULL) == 0);
	if (sks_sleep(5000) == -1)
		atomic_store(&seen->waited, errno);
	return SKS_DONE;
}

TEST(a_handler_within_a_cancelled_one_does_not_end_that, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = wait_and_nest };
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	shutdown(fd, SHUT_WR); /* so nobody lingers */
	acc_stop(&acc);
	ck_assert_int_eq(seen->waited, ECANCELED);
	close(fd);
	acc_free(&acc);
}

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

/* No more accepting: who connects now waits for the next run. */
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
	ck_eventually(atomic_load(&second->order) % SKS_ORDERS == SKS_ORDER_CANCEL);
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
