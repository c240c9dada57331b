/* SPDX-License-Identifier: MIT */
/*
 * check_thread_wait.c - handlers on threads that wait for input: a time limit
 * and a cancellation end the wait, and break nothing; what a handler does to its
 * descriptor, and a stop of the process, do not.
 */
#include "acceptance.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <socketserver/task.h>
#include <stdio.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

/* Over TCP and over a Unix socket. */
#define ON_STREAMS .times = 2, .variant = acc_name_of_transport

static int
serve(struct acc *acc, int transport, int (*handle)(struct sks_request *),
    const struct sks_options *options)
{
	struct sks_handler handler = { .handle = handle };

	acc_on(acc, ACC_THREADS, acc_listen_address((enum acc_transport)transport), &handler, options);
	acc_start_serving(acc);
	return acc_client(acc);
}

static void
end(struct acc *acc, int fd, unsigned int failed)
{
	if (fd != -1)
		close(fd);
	acc_stop(acc);
	ck_assert_uint_eq(acc_stats(acc).failed, failed);
	acc_free(acc);
}

static void
converse(int fd, int lines)
{
	while (lines-- > 0) {
		peer_puts(fd, "a line\n");
		peer_expect(fd, "a line\n");
	}
}

/* -- time limits -- */

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
	sks_puts(req->wfile, "wake up\n");
	ck_assert(is_late(req, 10)); /* and is sent before that wait */
	sks_puts(req->wfile, "well?\n");
	sks_rfile_set_idle(req->rfile, SKS_OFF);
	ck_assert_int_eq(sks_readline(req->rfile, &line), 4);
	return sks_puts(req->wfile, line);
}

TEST(a_wait_that_took_too_long_breaks_nothing, ON_STREAMS)
{
	struct acc acc;
	int fd = serve(&acc, _i, be_impatient, NULL);

	peer_expect(fd, "wake up\nwell?\n");
	peer_puts(fd, "yes\n");
	peer_expect(fd, "yes\n");
	peer_expect_eof(fd);
	end(&acc, -1, 0);
}

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

TEST(a_line_has_its_time_from_its_first_byte, ON_STREAMS)
{
	struct acc acc;
	int fd = serve(&acc, _i, time_out_within_a_line, NULL);

	peer_puts(fd, "be");
	peer_expect(fd, "and?\n");
	peer_puts(fd, "gun\n");
	peer_expect(fd, "begun\n");
	peer_expect_eof(fd);
	end(&acc, -1, 0);
}

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
	return acc_echo_lines(req);
}

TEST(a_scope_ends_the_wait, ON_STREAMS)
{
	struct acc acc;
	int fd = serve(&acc, _i, keep_to_a_scope, NULL);

	peer_expect(fd, "over\n");
	converse(fd, 2);
	end(&acc, fd, 0);
}

/* -- what disturbs -- */

TEST(a_call_that_has_to_be_tried_again_is, TIMES(4 * 2))
{
	static const char *const faults[] = {
		"recv:EAGAIN:%3", "recv:EINTR:%2", "recv:short=1",
		"poll:EINTR:%2,recv:EAGAIN:%2",
	};
	struct acc acc;
	int fd = serve(&acc, _i % 2, acc_echo_lines, NULL);

	converse(fd, 1);
	ck_assert_int_eq(sks_fault(faults[_i / 2]), 0);
	converse(fd, 10);
	ck_assert_uint_gt(sks_fault_hits(), 0);
	end(&acc, fd, 0);
}

/* The drain is over at once, so that waits are cancelled. */
static const struct sks_options impatient = { .drain_ms = 1, .linger_ms = 1 };

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
	atomic_fetch_add(&seen->note, 1);
	return 0;
}

/* Neither may decide how long a read takes: our own limits do, and a cancellation. */
static int
change_the_descriptor(struct sks_request *req)
{
	struct timeval soon = { .tv_usec = 1000 };

	ck_assert_int_eq(fcntl(req->fd, F_SETFL, 0), 0);
	ck_assert_int_eq(setsockopt(req->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
	sks_rfile_set_idle(req->rfile, SKS_OFF);
	return read_till_cancelled(req);
}

TEST(a_descriptor_that_a_handler_has_changed_is_waited_for, ON_STREAMS)
{
	struct acc acc;
	int fd = serve(&acc, _i, change_the_descriptor, &impatient);

	converse(fd, 3);
	acc_free(&acc);
	ck_assert_int_eq(seen->note, 1);
	close(fd);
}

/* Of its parent. A program, since valgrind looks for leaks in what is only a child. */
static const char stop_and_continue[] =
    "kill -STOP $PPID; until grep -q '^State:.T' /proc/$PPID/status; do :; done; kill -CONT $PPID";

/* Some calls answer EINTR then, whatever the signals' dispositions. */
TEST(a_stop_of_the_process_ends_no_wait, ON_STREAMS)
{
	struct acc acc;
	int fd = serve(&acc, _i, acc_echo_lines, NULL), status;
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
	end(&acc, fd, 0);
}

/* -- cancellation -- */

#define SILENT 20

TEST(a_silent_client_is_told_and_let_go, ON_STREAMS)
{
	static const struct sks_handler handler = { .handle = read_till_cancelled,
		.finish = acc_finish_bye };
	struct acc acc;
	int fd[SILENT], i;

	acc_on(&acc, ACC_THREADS, acc_listen_address((enum acc_transport)_i), &handler, &impatient);
	acc_start(&acc);
	for (i = 0; i < SILENT; i++)
		fd[i] = acc_client(&acc);
	for (i = 0; i < SILENT; i++)
		converse(fd[i], 1);
	acc_stop(&acc);
	for (i = 0; i < SILENT; i++) {
		peer_expect(fd[i], "bye\n");
		peer_expect_eof(fd[i]);
	}
	ck_assert_int_eq(seen->note, SILENT);
	acc_free(&acc);
}

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
	(void)acc_echo_lines(req);
	return 0;
}

/* The cancellation comes at any point between two reads. */
TEST(a_cancellation_passes_nobody_by, TIMES(5 * 2))
{
	int fd[TALKERS], i;
	pthread_t thread[TALKERS];
	struct acc acc;

	/* A Unix client may feel it before its answer is sent, which is a line of the log. */
	fd[0] = serve(&acc, _i % 2, read_to_the_end, &impatient);
	for (i = 0; i < TALKERS; i++) {
		if (i > 0)
			fd[i] = acc_client(&acc);
		converse(fd[i], 1);
		ck_assert_int_eq(pthread_create(&thread[i], NULL, talk, &fd[i]), 0);
	}
	acc_stop(&acc); /* one that is left waits a minute, longer than Check does */
	atomic_store(&stop_talking, 1);
	for (i = 0; i < TALKERS; i++)
		pthread_join(thread[i], NULL);
	acc_free(&acc);
}

/* -- signals -- */

static sigset_t mask_of_handler;

static int
look_at_signals(struct sks_request *req)
{
	pthread_sigmask(SIG_SETMASK, NULL, &mask_of_handler);
	return sks_puts(req->wfile, "seen\n");
}

/* The host's signals are handled on threads of the host's. */
TEST(a_handlers_thread_gets_the_signals_of_its_own_faults_alone)
{
	struct acc acc;
	int fd = serve(&acc, 0, look_at_signals, NULL);

	peer_expect(fd, "seen\n");
	end(&acc, fd, 0);
	expect_signals_of_faults_only(&mask_of_handler);
}
