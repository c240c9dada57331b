/* SPDX-License-Identifier: MIT */
/*
 * check_blocking.c - threads that wait for input in the read itself: it is
 * made use of, and nobody can tell, neither by time limits, nor by a
 * cancellation, nor by what a handler does to its descriptor.
 */
#include "harness.h"
#include "peer.h"
#include "rig.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <socketserver/task.h>
#include <stdio.h>
#include <string.h>

#define ADDRESSES 2

static char unix_address[64];
static const char *const addresses[ADDRESSES] = { "127.0.0.1:0", unix_address };

static void
setup(void)
{
	snprintf(unix_address, sizeof(unix_address), "unix:@sks-blocking-%d", (int)getpid());
	rig_setup();
}

static struct rig_server
threads_on(int address, int (*handle)(struct sks_request *))
{
	return (struct rig_server){
		.listen = { addresses[address] },
		.handler = { .handle = handle },
		.options = { .mode = SKS_THREADS },
	};
}

static int
serve(struct rig_server *rig)
{
	ck_assert_int_eq(rig_server_start(rig), 0);
	return peer_connect(rig->address[0]);
}

static void
end(struct rig_server *rig, int fd, unsigned int failed)
{
	close(fd);
	rig_server_stop(rig);
	ck_assert_int_eq(rig->result, 0);
	ck_assert_uint_eq(rig->stats.failed, failed);
}

static void
converse(int fd, int lines)
{
	while (lines-- > 0) {
		peer_puts(fd, "a line\n");
		peer_expect(fd, "a line\n");
	}
}

START_TEST(a_message_needs_no_poll)
{
	struct rig_server rig = threads_on(_i, rig_echo_lines);
	int fd = serve(&rig);

	converse(fd, 1);
	sks_fault_clear();
	converse(fd, 20);
	ck_assert_uint_eq(sks_fault_calls("poll"), 0);
	ck_assert_uint_le(sks_fault_calls("recv"), 21);
	ck_assert_uint_le(sks_fault_calls("setsockopt"), 1); /* before the first wait */
	end(&rig, fd, 0);
}
END_TEST

/* -- time limits -- */

/* What the kernel has been told. */
static int64_t
limit_of(int fd)
{
	struct timeval time;
	socklen_t len = sizeof(time);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, &len), 0);
	return (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000;
}

static int
is_late(struct sks_request *req, int idle_ms)
{
	int64_t began = sks_clock_ms();
	char *line;

	sks_rfile_set_idle(req->rfile, idle_ms);
	ck_assert_int_eq(sks_readline(req->rfile, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_rfile_error(req->rfile), 0);
	ck_assert_int_ge(sks_clock_ms() - began, idle_ms);
	return 1;
}

static int
be_impatient(struct sks_request *req)
{
	char *line;

	ck_assert(is_late(req, 20) && is_late(req, 30));
	ck_assert_int_ge(limit_of(req->fd), 30);
	sks_puts(req->wfile, "wake up\n");
	ck_assert(is_late(req, 10)); /* and is sent before that wait */
	sks_puts(req->wfile, "well?\n");
	sks_rfile_set_idle(req->rfile, SKS_OFF);
	ck_assert_int_eq(sks_readline(req->rfile, &line), 4);
	ck_assert_int_eq(limit_of(req->fd), 0);
	return sks_puts(req->wfile, line);
}

START_TEST(a_wait_that_took_too_long_breaks_nothing)
{
	struct rig_server rig = threads_on(_i, be_impatient);
	int fd = serve(&rig);

	peer_expect(fd, "wake up\nwell?\n");
	peer_puts(fd, "yes\n");
	peer_expect(fd, "yes\n");
	peer_expect_eof(fd);
	end(&rig, -1, 0);
}
END_TEST

static int
time_out_within_a_line(struct sks_request *req)
{
	char *line;

	sks_rfile_set_timeout(req->rfile, 20);
	ck_assert_int_eq(sks_readline(req->rfile, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_puts(req->wfile, "and?\n");
	sks_rfile_set_timeout(req->rfile, SKS_OFF);
	ck_assert_int_gt(sks_readline(req->rfile, &line), 0);
	return sks_puts(req->wfile, line);
}

START_TEST(a_line_has_its_time_from_its_first_byte)
{
	struct rig_server rig = threads_on(_i, time_out_within_a_line);
	int fd = serve(&rig);

	peer_puts(fd, "be");
	peer_expect(fd, "and?\n");
	peer_puts(fd, "gun\n");
	peer_expect(fd, "begun\n");
	peer_expect_eof(fd);
	end(&rig, -1, 0);
}
END_TEST

static int
keep_to_a_scope(struct sks_request *req)
{
	struct sks_timeout scope;
	char *line;

	sks_timeout_begin(&scope, 20);
	ck_assert_int_eq(sks_readline(req->rfile, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_timeout_end(&scope), 1);
	sks_puts(req->wfile, "over\n");
	return rig_echo_lines(req);
}

START_TEST(a_scope_ends_the_wait)
{
	struct rig_server rig = threads_on(_i, keep_to_a_scope);
	int fd = serve(&rig);

	peer_expect(fd, "over\n");
	converse(fd, 2);
	end(&rig, fd, 0);
}
END_TEST

/* -- what disturbs -- */

START_TEST(a_read_that_does_not_wait_is_waited_for)
{
	static const char *const faults[] = {
		"recv:EAGAIN:%3", "recv:EINTR:%2", "recv:short=1", "setsockopt:ENOPROTOOPT:1+",
		"poll:EINTR:%2,recv:EAGAIN:%2",
	};
	struct rig_server rig = threads_on(_i % ADDRESSES, rig_echo_lines);
	int fd;

	ck_assert_int_eq(rig_server_start(&rig), 0);
	ck_assert_int_eq(sks_fault(faults[_i / ADDRESSES]), 0);
	fd = peer_connect(rig.address[0]);
	converse(fd, 10);
	ck_assert_uint_gt(sks_fault_hits(), 0);
	end(&rig, fd, 0);
}
END_TEST

static int
make_non_blocking(struct sks_request *req)
{
	ck_assert_int_eq(fcntl(req->fd, F_SETFL, O_NONBLOCK), 0);
	return rig_echo_lines(req);
}

static int
limit_itself(struct sks_request *req)
{
	struct timeval soon = { .tv_usec = 1000 };

	sks_rfile_set_idle(req->rfile, SKS_OFF);
	ck_assert_int_eq(setsockopt(req->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
	return rig_echo_lines(req);
}

START_TEST(a_descriptor_that_does_not_block_is_waited_for)
{
	struct rig_server rig = threads_on(_i, make_non_blocking);
	int fd = serve(&rig);

	converse(fd, 5);
	ck_eventually(sks_fault_calls("poll") > 0);
	end(&rig, fd, 0);
}
END_TEST

START_TEST(a_limit_of_the_handler_s_own_is_none_of_ours)
{
	struct rig_server rig = threads_on(_i, limit_itself);
	int fd = serve(&rig);

	ck_eventually(sks_fault_calls("poll") > 0); /* it has passed */
	converse(fd, 2);
	end(&rig, fd, 0);
}
END_TEST

/* Of its parent. A program, since valgrind looks for leaks in what is only a child. */
static const char stop_and_continue[] =
    "kill -STOP $PPID; until grep -q '^State:.T' /proc/$PPID/status; do :; done; kill -CONT $PPID";

/* A socket with a time limit answers EINTR then, whatever the signals' dispositions. */
START_TEST(a_stop_of_the_process_ends_no_wait)
{
	struct rig_server rig = threads_on(_i, rig_echo_lines);
	int fd = serve(&rig), status;
	pid_t child;

	converse(fd, 1);
	child = fork();
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", stop_and_continue, NULL);
		_exit(127);
	}
	while (waitpid(child, &status, 0) == -1)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(status, 0);
	converse(fd, 2);
	end(&rig, fd, 0);
}
END_TEST

/* -- cancellation -- */

static atomic_int cancelled;

/* Every read says so, not only the one that waited. */
static int
read_till_cancelled(struct sks_request *req)
{
	char byte, *line;
	int i;

	while (sks_readline(req->rfile, &line) > 0)
		sks_puts(req->wfile, line);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(errno, ECANCELED);
		ck_assert_int_eq(sks_rfile_error(req->rfile), 0);
		ck_assert_int_eq(sks_eof(req->rfile), 0);
		ck_assert_int_eq(sks_read(req->rfile, &byte, 1), -1);
	}
	atomic_fetch_add(&cancelled, 1);
	return 0;
}

static void
say_bye(struct sks_request *req)
{
	sks_puts(req->wfile, "bye\n");
}

#define SILENT 20

START_TEST(a_silent_client_is_told_and_let_go)
{
	struct rig_server rig = threads_on(_i, read_till_cancelled);
	int fd[SILENT], i;

	rig.handler.finish = say_bye;
	rig.options.drain_ms = 1;
	atomic_store(&cancelled, 0);
	fd[0] = serve(&rig);
	for (i = 1; i < SILENT; i++)
		fd[i] = peer_connect(rig.address[0]);
	for (i = 0; i < SILENT; i++)
		converse(fd[i], 1);
	rig_server_stop(&rig);
	for (i = 0; i < SILENT; i++) {
		peer_expect(fd[i], "bye\n");
		peer_expect_eof(fd[i]);
	}
	ck_assert_int_eq(rig.result, 0);
	ck_assert_int_eq(cancelled, SILENT);
}
END_TEST

/* Its wait is one that a cancellation ends without harm to the connection. */
START_TEST(who_speaks_while_the_server_drains_is_polled)
{
	struct rig_server rig = threads_on(_i, rig_echo_lines);
	int fd = serve(&rig);

	converse(fd, 3);
	ck_assert_uint_eq(sks_fault_calls("poll"), 0);
	sks_server_shutdown(rig.server);
	while (sks_fault_calls("poll") == 0)
		converse(fd, 1);
	close(fd);
	rig_server_join(&rig);
	ck_assert_int_eq(rig.result, 0);
	ck_assert_uint_eq(rig.stats.failed, 0); /* it was not cancelled */
}
END_TEST

static void *
run_server(void *server)
{
	ck_assert_int_eq(sks_serve_forever(server), 0);
	return NULL;
}

START_TEST(the_second_run_waits_as_the_first)
{
	struct rig_server rig = threads_on(_i, rig_echo_lines);
	struct sks_server *server = sks_server_new(&rig.handler, &rig.options);
	char address[128];
	pthread_t thread;
	int run, fd;

	ck_assert_int_eq(sks_server_listen(server, addresses[_i]), 0);
	sks_server_address(server, 0, address, sizeof(address));
	for (run = 0; run < 2; run++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, run_server, server), 0);
		fd = peer_connect(address);
		converse(fd, 3);
		ck_assert_uint_eq(sks_fault_calls("poll"), 0);
		sks_server_shutdown(server);
		close(fd);
		pthread_join(thread, NULL);
		sks_fault_clear();
	}
	sks_server_free(server);
}
END_TEST

static atomic_int stop_talking;

static void *
talk(void *arg)
{
	int fd = *(int *)arg;
	char got[8];

	while (!atomic_load(&stop_talking) && send(fd, "line\n", 5, MSG_NOSIGNAL) == 5 &&
	    recv(fd, got, sizeof(got), 0) > 0)
		;
	close(fd);
	return NULL;
}

#define TALKERS 4

/* Whatever comes first: the cancellation, or the end of a client that felt it. */
static int
read_to_the_end(struct sks_request *req)
{
	(void)rig_echo_lines(req);
	return 0;
}

/* The cancellation comes at any point between two reads. */
START_TEST(a_cancellation_passes_nobody_by)
{
	int fd[TALKERS], i;
	pthread_t thread[TALKERS];
	struct rig_server rig = threads_on(_i % ADDRESSES, read_to_the_end);

	log_keep(); /* a Unix client may feel it before its answer is sent */
	rig.options.drain_ms = 1;
	atomic_store(&stop_talking, 0);
	ck_assert_int_eq(rig_server_start(&rig), 0);
	for (i = 0; i < TALKERS; i++) {
		fd[i] = peer_connect(rig.address[0]);
		converse(fd[i], 1);
		ck_assert_int_eq(pthread_create(&thread[i], NULL, talk, &fd[i]), 0);
	}
	rig_server_stop(&rig); /* one that is left waits a minute, longer than Check does */
	atomic_store(&stop_talking, 1);
	for (i = 0; i < TALKERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(rig.result, 0);
	log_forget();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("blocking");
	TCase *tc = tcase_create("blocking");

	tcase_set_timeout(tc, 50);
	tcase_add_checked_fixture(tc, setup, no_leaks_teardown);
	tcase_add_loop_test(tc, a_message_needs_no_poll, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_wait_that_took_too_long_breaks_nothing, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_line_has_its_time_from_its_first_byte, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_scope_ends_the_wait, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_read_that_does_not_wait_is_waited_for, 0, 5 * ADDRESSES);
	tcase_add_loop_test(tc, a_descriptor_that_does_not_block_is_waited_for, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_limit_of_the_handler_s_own_is_none_of_ours, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_stop_of_the_process_ends_no_wait, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_silent_client_is_told_and_let_go, 0, ADDRESSES);
	tcase_add_loop_test(tc, who_speaks_while_the_server_drains_is_polled, 0, ADDRESSES);
	tcase_add_loop_test(tc, the_second_run_waits_as_the_first, 0, ADDRESSES);
	tcase_add_loop_test(tc, a_cancellation_passes_nobody_by, 0, 5 * ADDRESSES);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
