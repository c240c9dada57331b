/* SPDX-License-Identifier: MIT */
/*
 * check_backlog.c - whom a server that stops still serves: those in the backlog, those whose
 * request is there already, those who have never spoken. And what becomes of its listeners.
 */
#include "acceptance.h"

#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/*
 * As acc_streams(), but on a loopback address of this test's own: who polls a port that was closed
 * would else be the client of whichever test has it next.
 */
static void
open_streams(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	char address[32];

	if (i % 2 != 0) {
		acc_streams(acc, i, handler, options);
		return;
	}
	snprintf(address, sizeof(address), "127.%d.%d.9:0", 1 + getpid() / 250 % 250, getpid() % 250);
	acc_on(acc, i / 2, address, handler, options);
}

/* Is nobody there who would ever accept? */
static int
is_refused(const struct acc *acc)
{
	int fd = peer_try(acc->address);

	if (fd != -1)
		close(fd);
	return fd == -1 && (errno == ECONNREFUSED || errno == ENOENT);
}

/* A client whose request runs until it says "d". */
static int
busy_client(const struct acc *acc)
{
	int fd = acc_client(acc);

	peer_puts(fd, "q\n");
	peer_expect(fd, "draining 0\n");
	return fd;
}

static void
end_busy(int fd)
{
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
}

TEST(newcomers_are_refused_while_it_drains, EACH_STREAM)
{
	struct sks_options options = { .close_listeners = 1 };
	struct acc acc;
	int fd;

	open_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = busy_client(&acc);
	sks_server_shutdown(acc.server);
	ck_eventually(is_refused(&acc));
	end_busy(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(sks_serve_forever(acc.server), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("the last shutdown has closed the addresses"), 1);
	acc_free(&acc);
}

TEST(the_backlog_is_served_before_listeners_are_closed, EACH_STREAM)
{
	struct sks_options options = { .close_listeners = 1, .max_connections = 1 };
	struct acc acc;
	int busy, waiting[20], i;

	open_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	busy = busy_client(&acc);
	for (i = 0; i < 20; i++) { /* more than are accepted in one turn */
		waiting[i] = acc_client(&acc);
		peer_puts(waiting[i], "echo\nd\n");
		peer_half_close(waiting[i]); /* or it would keep its place until it is read here */
	}
	sks_server_shutdown(acc.server);
	end_busy(busy);
	for (i = 0; i < 20; i++) {
		peer_expect(waiting[i], "echo\n");
		peer_expect_eof(waiting[i]);
	}
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 21);
	ck_assert(is_refused(&acc));
	acc_free(&acc);
}

TEST(datagrams_in_the_queue_are_answered_first, EACH_DATAGRAM)
{
	struct sks_options options = { .close_listeners = 1 };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "s\n");
	peer_puts(fd, "echo\n");
	acc_start(&acc);
	peer_expect(fd, "echo\n");
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	close(fd);
	acc_free(&acc);
}

/* While this handler serves a client it connects another one: there is always a next client. */
static int
bring_another(struct sks_request *req)
{
	int fd;

	if (sks_draining(req) && atomic_fetch_add(&seen->note, 1) > 1000)
		return -1; /* the server would go on for ever */
	fd = peer_try(req->data);
	if (fd != -1)
		close(fd);
	return SKS_DONE;
}

TEST(clients_that_come_meanwhile_do_not_keep_it, EACH_STREAM)
{
	static const struct sks_handler handler = { .name = "again", .handle = bring_another };
	struct acc acc;
	struct sks_options options = { .close_listeners = 1, .data = acc.address };

	open_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	close(acc_client(&acc));
	ck_eventually(acc_stats(&acc).accepted > 20);
	acc_stop(&acc);
	ck_assert_int_lt(atomic_load(&seen->note), 1000);
	acc_free(&acc);
}

TEST(a_full_server_that_runs_out_of_drain_time_closes_them, EACH_STREAM)
{
	struct sks_options options = { .close_listeners = 1, .max_connections = 1, .drain_ms = 1 };
	struct acc acc;
	int busy, late;

	open_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	busy = busy_client(&acc);
	late = acc_client(&acc);
	sks_server_shutdown(acc.server);
	peer_expect_eof(busy);
	peer_expect_gone(late);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert(is_refused(&acc));
	acc_free(&acc);
}

/* With another process, here another descriptor, on the same socket. */
TEST(an_inherited_socket_goes_on_elsewhere)
{
	struct sks_options options = { .close_listeners = 1 };
	int elsewhere, given, fd, late;
	char address[32];
	struct acc first, acc;

	acc_tcp(&first, ACC_FIBERS, &acc_script, NULL);
	elsewhere = dup(sks_server_fileno(first.server, 0));
	given = dup(elsewhere);
	snprintf(address, sizeof(address), "fd:%d", given);
	acc_free(&first);
	acc_on(&acc, ACC_FIBERS, address, &acc_script, &options);
	acc_start(&acc);
	fd = busy_client(&acc);
	sks_server_shutdown(acc.server);
	ck_eventually(fcntl(given, F_GETFD) == -1);
	late = acc_client(&acc);
	end_busy(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	fd = accept(elsewhere, NULL, NULL);
	ck_assert_int_ne(fd, -1);
	peer_puts(late, "here\n");
	peer_expect(fd, "here\n");
	close(fd);
	close(late);
	close(elsewhere);
	acc_free(&acc);
}

TEST(programs_with_stop_signals_close_them, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1 };
	struct acc acc;

	open_streams(&acc, _i * 2, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "s\nd\n", "");
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert(is_refused(&acc));
	acc_free(&acc);
}

TEST(others_and_who_wants_to_run_again_keep_them, EACH_MODE)
{
	struct sks_options wish = { .stop_signals = 1, .close_listeners = SKS_OFF };
	struct acc acc;
	int i;

	for (i = 0; i < 2; i++) {
		acc_tcp(&acc, _i, &acc_script, i == 0 ? NULL : &wish);
		acc_start(&acc);
		acc_stop(&acc);
		acc_start(&acc);
		acc_ask(&acc, "echo\nd\n", "echo\n");
		acc_free(&acc);
	}
}

/* -- parked connections -- */

TEST(who_has_had_an_answer_is_closed_at_once, EACH_STREAM)
{
	struct sks_options options = { .grace_ms = SKS_OFF, .drain_ms = SKS_OFF };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nk\n");
	peer_expect(fd, "echo\n");
	ck_eventually(acc_has_parked(&acc, 1));
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

TEST(who_has_never_spoken_gets_an_answer, EACH_STREAM)
{
	struct sks_handler handler = acc_script;
	struct sks_options options = { .grace_ms = SKS_OFF };
	struct acc acc;
	int busy, fd;

	handler.client_first = 1;
	open_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 1);
	busy = busy_client(&acc);
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&acc.server->service.shared->draining));
	end_busy(busy);
	peer_puts(fd, "q\nk\n");
	peer_expect(fd, "draining 1\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* A client that never says anything is closed by a shutdown, which goes well. */
static void
expect_silent_one_closed(int i, struct sks_options options)
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.client_first = 1;
	open_streams(&acc, i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 1);
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->setups, 0);
	acc_free(&acc);
}

TEST(who_stays_silent_is_closed_after_the_grace, EACH_STREAM)
{
	expect_silent_one_closed(_i, (struct sks_options){ .grace_ms = 1, .drain_ms = SKS_OFF });
}

TEST(the_end_of_the_drain_ends_the_grace, EACH_STREAM)
{
	expect_silent_one_closed(_i, (struct sks_options){ .grace_ms = SKS_OFF, .drain_ms = 1 });
}

/* Greets, and is called again when the client has spoken. */
static int
greet(struct sks_request *req)
{
	int *greeted = req->state;

	if ((*greeted)++ > 0)
		return sks_gets(req->rfile) == NULL || sks_puts(req->wfile, "answer\n") == -1 ? -1 : SKS_KEEP;
	atomic_fetch_add(&seen->resting, 1);
	return sks_puts(req->wfile, "greeting\n") == -1 ? -1 : SKS_KEEP;
}

TEST(who_was_greeted_and_has_never_spoken_gets_one_too, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = greet, .state_size = sizeof(int) };
	struct sks_options options = { .grace_ms = SKS_OFF };
	struct acc acc;
	int fd;

	open_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "greeting\n");
	ck_eventually(acc_has_parked(&acc, 1));
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&acc.server->service.shared->draining));
	peer_puts(fd, "hello\n");
	peer_expect(fd, "answer\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* Keeps the first loop until the test says so. */
static void
keep_loop(struct sks_server *server, void *data)
{
	(void)server;
	(void)data;
	if (atomic_load(&seen->note) == 1)
		atomic_store(&seen->note, 2);
	while (atomic_load(&seen->note) == 2)
		breathe();
}

TEST(a_request_that_is_there_already_is_answered, EACH_MODE)
{
	struct sks_options options = { .on_tick = keep_loop, .tick_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nk\n");
	peer_expect(fd, "echo\n");
	ck_eventually(acc_has_parked(&acc, 1));
	atomic_store(&seen->note, 1);
	ck_eventually(atomic_load(&seen->note) == 2);
	peer_puts(fd, "echo\nk\n");
	sks_server_shutdown(acc.server);
	atomic_store(&seen->note, 3);
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}
