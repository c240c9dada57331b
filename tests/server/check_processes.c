/* SPDX-License-Identifier: MIT */
/*
 * check_processes.c - requests in forked processes: what a child may do without harm to the host,
 * and what the host keeps hold of. Beside it are check_process_kills.c, _places.c and _signals.c.
 */
#include "acceptance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static const struct sks_handler echo_line = { .name = "echo", .handle = acc_echo_line };

TEST(keeps_its_connection_to_the_end, TIMES(2))
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.client_first = _i;
	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	fd = acc_client(&acc);
	peer_puts(fd, "c\nk\n");
	peer_expect(fd, "call 1\n");
	peer_puts(fd, "c\nk\nc\n");
	peer_expect(fd, "call 2\ncall 3\n");
	peer_puts(fd, "d\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

static int
crash(struct sks_request *req)
{
	char *line;

	if (sks_readline(req->rfile, &line) > 0 && line[0] == 'x')
		raise(SIGKILL);
	return sks_puts(req->wfile, "well\n");
}

TEST(a_crash_ends_its_request_alone)
{
	static const struct sks_handler handler = { .name = "crasher", .handle = crash };
	struct acc acc;
	int other, fd;

	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	other = acc_client(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "x\n");
	peer_expect_gone(fd);
	ck_eventually(log_count("crasher: 127.0.0.1:") == 1);
	ck_assert_int_eq(log_count("killed by signal 9"), 1);
	peer_puts(other, "\n");
	peer_expect(other, "well\n");
	peer_expect_eof(other);
	ck_eventually(acc_stats(&acc).finished == 2);
	ck_assert_int_eq((int)acc_stats(&acc).failed, 1);
	acc_free(&acc);
}

/*
 * A parent may have left SIGCHLD ignored: the kernel forgets how a child ended, the children do
 * not.
 */
TEST(a_crash_is_no_success_where_nobody_learns_how_children_end)
{
	static const struct sks_handler handler = { .name = "crasher", .handle = crash };
	struct sigaction before;
	struct acc acc;
	int fd, i;

	sigaction(SIGCHLD, NULL, &before);
	signal(SIGCHLD, SIG_IGN);
	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	for (i = 0; i < 6; i++) {
		fd = acc_client(&acc);
		peer_puts(fd, i % 3 == 1 ? "x\n" : "\n");
		if (i % 3 == 1) {
			peer_expect_gone(fd);
			continue;
		}
		peer_expect(fd, "well\n");
		peer_expect_eof(fd);
	}
	ck_eventually(acc_stats(&acc).finished == 6);
	ck_assert_int_eq((int)acc_stats(&acc).failed, 2);
	ck_assert_int_eq(log_count("crasher: 127.0.0.1:"), 2);
	ck_assert_int_eq(log_count("its process has failed or was killed"), 2);
	acc_free(&acc);
	sigaction(SIGCHLD, &before, NULL);
}

/* ErrorHandler.test_forking_handled */
TEST(an_error_reaches_on_error_in_the_child)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_serve(&acc, ACC_PROCESSES, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).failed == 1);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	acc_free(&acc);
}

static pid_t host;

static void
note_exit(void)
{
	if (getpid() != host)
		seen->note++;
}

static int
leave(struct sks_request *req)
{
	sks_puts(req->wfile, "bye\n");
	sks_flush(req->wfile);
	exit(0);
}

TEST(exit_runs_nothing_of_the_host)
{
	static const struct sks_handler handler = { .handle = leave };
	struct acc acc;
	FILE *file;
	int pair[2], fd;
	char got[8];

	ck_assert_int_eq(pipe(pair), 0);
	file = fdopen(pair[1], "w");
	fputs("once", file); /* unwritten when the child is forked */
	host = getpid();
	atexit(note_exit);
	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	fd = acc_client(&acc);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
#ifdef __GLIBC__ /* musl does not tell the library the status */
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
#endif
	ck_assert_int_eq(seen->note, 0);
	fclose(file);
	/* valgrind ends every process by freeing what libc holds, and that writes it. */
	if (!is_slow())
		ck_assert_int_eq(read(pair[0], got, sizeof(got)), 4);
	close(pair[0]);
	acc_free(&acc);
}

static int
print_something(struct sks_request *req)
{
	(void)req;
	printf("child\n");
	return SKS_DONE;
}

/*
 * What the host has printed and not written is the host's to write, what a handler prints is not
 * lost.
 */
TEST(printed_text_is_written_once, TIMES(2))
{
	static const struct sks_handler handler = { .handle = print_something };
	struct acc acc;
	char got[100] = "";
	int pair[2], saved;

	ck_assert_int_eq(pipe(pair), 0);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(pair[1], STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	if (_i == 1)
		printf("host\n");
	close(acc_client(&acc));
	ck_eventually(acc_stats(&acc).finished == 1);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	ck_assert_int_gt((int)read(pair[0], got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, _i == 1 ? "child\nhost\n" : "child\n");
	close(saved);
	close(pair[0]);
	close(pair[1]);
	acc_free(&acc);
}

/* ForkingMixIn reaps whatever ended; here the host's own children are the host's. */
TEST(a_foreign_child_is_left_alone)
{
	struct acc acc;
	pid_t child = fork();
	int status, i;

	if (child == 0)
		_exit(72);
	acc_serve(&acc, ACC_PROCESSES, &echo_line, NULL);
	for (i = 0; i < 3; i++)
		acc_ask(&acc, "hello\n", "hello\n");
	ck_eventually(acc_stats(&acc).finished == 3);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 72);
	acc_free(&acc);
}

TEST(a_failed_fork_is_tried_again)
{
	struct acc acc;

	acc_serve(&acc, ACC_PROCESSES, &echo_line, NULL);
	ck_assert_int_eq(sks_fault("fork:EAGAIN:1"), 0);
	acc_ask(&acc, "hello\n", "hello\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_ge(sks_fault_hits(), 1);
	acc_free(&acc);
}

static void
note_reason(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	atomic_store(&seen->note, info->reason);
}

/* It waits for a process to the end of the drain. */
TEST(a_datagram_that_gets_no_process_is_dropped_at_the_end)
{
	struct sks_options options = { .drain_ms = 1, .on_end = note_reason };
	struct acc acc;
	int fd;

	acc_on(&acc, ACC_PROCESSES, "udp:127.0.0.1:0", &echo_line, &options);
	fault("fork:EAGAIN:1+");
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "hello\n");
	ck_eventually(sks_fault_hits() >= 1);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->note, SKS_ENDED_CANCELLED);
	ck_assert_uint_eq(acc_stats(&acc).dropped, 1);
	ck_assert_uint_eq(acc_stats(&acc).finished, 0);
	sks_fault_clear();
	close(fd);
	acc_free(&acc);
}

TEST(a_handler_shuts_the_server_down)
{
	struct acc acc;
	int fd;

	acc_serve(&acc, ACC_PROCESSES, &acc_script, NULL);
	fd = acc_client(&acc);
	peer_puts(fd, "s\ne\n");
	peer_expect(fd, "e\n");
	peer_puts(fd, "d\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* Descriptors that a program finds open. */
static int
count_inherited(void)
{
	FILE *pipe = popen("ls /proc/self/fd </dev/null 2>/dev/null | wc -l", "r");
	int n = -1;

	if (fscanf(pipe, "%d", &n) != 1)
		n = -1;
	pclose(pipe);
	return n;
}

static int
run_program(struct sks_request *req)
{
	return sks_printf(req->wfile, "%d\n", count_inherited());
}

TEST(a_program_run_by_a_handler_gets_no_descriptor_of_ours, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = run_program };
	int before = count_inherited(); /* who runs this test may have left some */
	struct acc acc;
	char *all;
	int fd;

	acc_serve(&acc, _i, &handler, NULL);
	fd = acc_client(&acc);
	all = peer_read_all(fd, NULL);
	ck_assert_int_eq(atoi(all), before);
	free(all);
	close(fd);
	acc_free(&acc);
}

TEST(there_is_one_loop)
{
	struct sks_options options = { .mode = SKS_PROCESSES, .workers = 2 };

	ck_assert_ptr_null(sks_server_new(&echo_line, &options));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("options.workers: "), 1);
}

/* -- what it shares with the server -- */

static void
count_line(const struct sks_log_record *record, void *arg)
{
	(void)record;
	(void)arg;
	atomic_fetch_add(&seen->note, 1);
}

#define FAILURES 40

static void
fail_by_reset(const struct acc *acc)
{
	int fd = acc_client(acc);

	peer_puts(fd, "e\n");
	peer_expect(fd, "e\n");
	peer_reset(fd);
}

/*
 * A child is a copy, and a limit that is copied with it would be new in each. The handler fails
 * (0), or its client resets (1).
 */
TEST(children_share_the_limit_of_log_lines, TIMES(2))
{
	int64_t second = sks_clock_ms() / 1000;
	struct acc acc;
	int i;

	acc_serve(&acc, ACC_PROCESSES, &acc_script, NULL);
	sks_set_log(count_line, NULL);
	for (i = 0; i < FAILURES; i++) {
		if (_i)
			fail_by_reset(&acc);
		else
			acc_ask(&acc, "f\n", "");
	}
	ck_eventually(acc_stats(&acc).failed == FAILURES);
	second = sks_clock_ms() / 1000 - second;
	ck_assert_int_ge(seen->note, 1);
	ck_assert_int_le(seen->note, (int)(second + 1) * SKS_LOG_LINES);
	acc_free(&acc);
}

static int
tell_accepted(struct sks_request *req)
{
	struct sks_stats stats;

	while (sks_gets(req->rfile) != NULL)
		if (sks_server_stats(req->server, &stats) == -1 ||
		    sks_printf(req->wfile, "%d\n", (int)stats.accepted) == -1)
			return -1;
	return SKS_DONE;
}

TEST(a_child_sees_what_was_accepted_since)
{
	static const struct sks_handler handler = { .handle = tell_accepted };
	struct acc acc;
	int fd[2];

	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	fd[0] = acc_client(&acc);
	peer_puts(fd[0], "\n");
	peer_expect(fd[0], "1\n");
	fd[1] = acc_client(&acc);
	peer_puts(fd[1], "\n");
	peer_expect(fd[1], "2\n");
	peer_puts(fd[0], "\n");
	peer_expect(fd[0], "2\n");
	close(fd[0]);
	close(fd[1]);
	ck_eventually(acc_stats(&acc).finished == 2);
	acc_free(&acc);
}

/* What on_end was told of the last request: how it has ended, and whether it had a note. */
static atomic_int last_end, last_has_note;

static void
note_end(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	atomic_store(&last_has_note, info->note != NULL);
	atomic_store(&last_end, info->reason);
}

/* With 'd' it goes on in another process, as daemon(3) does; else it crashes at its next line. */
static int
become_a_daemon(struct sks_request *req)
{
	char *line;

	if (sks_readline(req->rfile, &line) <= 0)
		return -1;
	if (line[0] != 'd') {
		sks_puts(req->wfile, "well\n");
		(void)!sks_readline(req->rfile, &line);
		raise(SIGKILL);
	}
	if (fork() != 0)
		_exit(0);
	if (sks_readline(req->rfile, &line) <= 0)
		return -1;
	return sks_set_note(req, "a daemon");
}

/* The request has ended with its child process. What a grandchild has to tell is of no other. */
TEST(a_grandchild_tells_nothing_of_a_request)
{
	static const struct sks_handler handler = { .name = "daemon", .handle = become_a_daemon };
	struct sks_options options = { .on_end = note_end };
	int left[2], daemon, other;
	struct acc acc;
	char byte;

	ck_assert_int_eq(pipe(left), 0);
	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	daemon = acc_client(&acc);
	peer_puts(daemon, "d\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	close(left[1]); /* the grandchild has it still */
	other = acc_client(&acc);
	peer_puts(other, "w\n");
	peer_expect(other, "well\n");
	peer_puts(daemon, "go on\n");
	close(daemon);
	ck_assert_int_eq(read(left[0], &byte, 1), 0);
	peer_puts(other, "x\n");
	peer_expect_gone(other);
	ck_eventually(acc_stats(&acc).finished == 2);
	ck_assert_int_eq(last_end, SKS_ENDED_ERROR);
	ck_assert_int_eq(last_has_note, 0);
	acc_free(&acc);
	close(left[0]);
}
