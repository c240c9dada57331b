/* SPDX-License-Identifier: MIT */
/*
 * check_log.c - log lines on standard error, which is a pipe here.
 */
#include "error_pipe.h"
#include "faults.h"
#include "log_threads.h"
#include "suite.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

FIXTURE(error_pipe_setup, error_pipe_teardown);

TEST(line_has_the_prefix_and_a_newline)
{
	char got[200];

	sks_log(SKS_LOG_INFO, "bind %s: %s", "[::]:80", "Permission denied");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: bind [::]:80: Permission denied\n");
}

TEST(errno_is_kept_and_can_be_printed)
{
	struct sks_log_limit limit = { 0 };
	char got[200], expected[200];

	errno = EMFILE;
	sks_log(SKS_LOG_INFO, "accept: %m");
	ck_assert_int_eq(errno, EMFILE);
	sks_log_limited(&limit, 1, NULL, SKS_LOG_WARN, errno, "again: %m");
	ck_assert_int_eq(errno, EMFILE);
	sks_log_limited(&limit, 1, NULL, SKS_LOG_WARN, 0, "not told");
	ck_assert_int_eq(errno, EMFILE);
	close(STDERR_FILENO);
	sks_log(SKS_LOG_INFO, "lost");
	ck_assert_int_eq(errno, EMFILE);
	snprintf(expected, sizeof(expected), "socketserver: accept: %s\nsocketserver: again: %s\n",
	    strerror(EMFILE), strerror(EMFILE));
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), expected);
}

TEST(what_is_not_printable_is_escaped)
{
	char got[200];

	sks_log(SKS_LOG_INFO, "%s", "a\nb\rc\x1b[31m\x7f\x01\x1f ~\\ \xc3\xa9\xc2\x9b\xff");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: a\\x0ab\\x0dc\\x1b[31m\\x7f\\x01\\x1f ~\\ \xc3\xa9\\xc2\\x9b\\xff\n");
}

TEST(long_line_is_cut_at_1_kib)
{
	char text[3000], got[4000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sks_log(SKS_LOG_INFO, "%s", text);
	error_pipe_read(got, sizeof(got));
	ck_assert_uint_eq(strlen(got), strlen("socketserver: ") + 1024 + 1);
	ck_assert_int_eq(got[strlen(got) - 2], 'x');
	ck_assert_int_eq(got[strlen(got) - 1], '\n');
}

TEST(escape_is_never_cut_in_two)
{
	char text[1200], got[4000];
	size_t pad, n;

	for (pad = 0; pad < 4; pad++) {
		memset(text, 'x', pad);
		memset(text + pad, '\n', sizeof(text) - pad);
		text[sizeof(text) - 1] = '\0';
		sks_log(SKS_LOG_INFO, "%s", text);
		n = strlen(error_pipe_read(got, sizeof(got)));
		ck_assert_uint_lt(n, SKS_LOG_LINE_SIZE);
		ck_assert_uint_gt(n, SKS_LOG_LINE_SIZE - 12);
		ck_assert_str_eq(got + n - 5, "\\x0a\n");
	}
}

TEST(full_pipe_drops_lines_and_tells_how_many)
{
	char got[300];
	int i;

	error_pipe_fill();
	for (i = 0; i < 1000; i++)
		sks_log(SKS_LOG_INFO, "line %d", i);
	error_pipe_empty();
	sks_log(SKS_LOG_INFO, "after");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: 1000 lines dropped\nsocketserver: after\n");
	sks_log(SKS_LOG_INFO, "more");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "socketserver: more\n");
}

/* It is called writable also when it has room for less than a line. */
TEST(full_terminal_drops_lines_and_tells_how_many)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, i;
	char got[65536], *told;
	size_t used = 0;
	ssize_t n;

	ck_assert_int_ne(master, -1);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ne(slave, -1);
	dup2(slave, STDERR_FILENO);
	for (i = 0; i < 1000; i++)
		sks_log(SKS_LOG_INFO, "this is line %d of all", i);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	do {
		sks_log(SKS_LOG_INFO, "after");
		n = read(master, got + used, sizeof(got) - 1 - used);
		ck_assert_int_gt(n, 0);
		used += (size_t)n;
		got[used] = '\0';
		told = strstr(got, " lines dropped\r\n"); /* perhaps before the last of all */
	} while (told == NULL || strstr(told, "\nsocketserver: after\r\n") == NULL);
	ck_assert_ptr_eq(strstr(got, "socketserver: this is line 0 of all\r\n"), got);
	/* Also after a part of one a line begins on its own. */
	for (told = got; (told = strstr(told, "socketserver: ")) != NULL; told++)
		ck_assert(told == got || told[-1] == '\n');
	close(slave);
	close(master);
}

TEST(broken_pipe_raises_no_sigpipe)
{
	char got[300];

	error_pipe_break();
	sks_log(SKS_LOG_INFO, "to nobody");
	error_pipe_anew();
	sks_log(SKS_LOG_INFO, "to a reader");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: 1 lines dropped\nsocketserver: to a reader\n");
}

/* A socket shut for writing: poll(2) calls it writable, and write(2) raises SIGPIPE. */
TEST(break_after_the_poll_raises_no_sigpipe_either)
{
	sigset_t pending;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	shutdown(fds[1], SHUT_WR);
	dup2(fds[1], STDERR_FILENO);
	sks_log(SKS_LOG_INFO, "lost");
	sigpending(&pending);
	ck_assert(!sigismember(&pending, SIGPIPE));
	close(fds[0]);
	close(fds[1]);
}

TEST(closed_standard_error_is_no_trouble)
{
	close(STDERR_FILENO);
	sks_log(SKS_LOG_INFO, "lost");
	sks_log(SKS_LOG_INFO, "lost");
}

TEST(threads_lose_no_count)
{
	char got[300];

	error_pipe_fill();
	log_threads_start();
	log_threads_join();
	error_pipe_empty();
	sks_log(SKS_LOG_INFO, "after");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: 6000 lines dropped\nsocketserver: after\n");
}

TEST(failed_write_is_counted)
{
	char got[300];

	ck_assert_int_eq(sks_fault("write:EIO:1,poll:EINTR:2"), 0);
	sks_log(SKS_LOG_INFO, "one");
	sks_log(SKS_LOG_INFO, "two");
	sks_log(SKS_LOG_INFO, "three");
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: 2 lines dropped\nsocketserver: three\n");
}
