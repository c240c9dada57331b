/* SPDX-License-Identifier: MIT */
/*
 * check_thread_wait.c - handlers on threads that wait for input: a time limit
 * and a cancellation end the wait, and break nothing; what a handler does to its
 * descriptor, and a stop of the process, do not.
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
	snprintf(unix_address, sizeof(unix_address), "unix:@sks-thread-wait-%d", (int)getpid());
	rig_setup();
}

FIXTURE(setup, no_leaks_teardown, .timeout_s = 50);

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

TEST(a_wait_that_took_too_long_breaks_nothing, TIMES(ADDRESSES))
{
	struct rig_server rig = threads_on(_i, be_impatient);
	int fd = serve(&rig);

	peer_expect(fd, "wake up\nwell?\n");
	peer_puts(fd, "yes\n");
	peer_expect(fd, "yes\n");
	peer_expect_eof(fd);
	end(&rig, -1, 0);
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

TEST(a_line_has_its_time_from_its_first_byte, TIMES(ADDRESSES))
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

TEST(a_scope_ends_the_wait, TIMES(ADDRESSES))
{
	struct rig_server rig = threads_on(_i, keep_to_a_scope);
	int fd = serve(&rig);

	peer_expect(fd, "over\n");
	converse(fd, 2);
	end(&rig, fd, 0);
}

/* -- what disturbs -- */

TEST(a_call_that_has_to_be_tried_again_is, TIMES(4 * ADDRESSES))
{
	static const char *const faults[] = {
		"recv:EAGAIN:%3", "recv:EINTR:%2", "recv:short=1",
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

TEST(a_descriptor_that_a_handler_has_changed_is_waited_for, TIMES(ADDRESSES))
{
	struct rig_server rig = threads_on(_i, change_the_descriptor);
	int fd;

	rig.options.drain_ms = 1;
	atomic_store(&cancelled, 0);
	fd = serve(&rig);
	converse(fd, 3);
	rig_server_stop(&rig);
	ck_assert_int_eq(rig.result, 0);
	ck_assert_int_eq(cancelled, 1);
	close(fd);
}

/* Of its parent. A program, since valgrind looks for leaks in what is only a child. */
static const char stop_and_continue[] =
    "kill -STOP $PPID; until grep -q '^State:.T' /proc/$PPID/status; do :; done; kill -CONT $PPID";

/* Some calls answer EINTR then, whatever the signals' dispositions. */
TEST(a_stop_of_the_process_ends_no_wait, TIMES(ADDRESSES))
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

/* -- cancellation -- */

static void
say_bye(struct sks_request *req)
{
	sks_puts(req->wfile, "bye\n");
}

#define SILENT 20

TEST(a_silent_client_is_told_and_let_go, TIMES(ADDRESSES))
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
TEST(a_cancellation_passes_nobody_by, TIMES(5 * ADDRESSES))
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
