/* SPDX-License-Identifier: MIT */
/*
 * check_log.c - log lines, to standard error (here a pipe) and to a function.
 */
#include "faults.h"
#include "suite.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int saved_stderr, reader;

static void
set_up(void)
{
	int fds[2];

	sks_fault_clear();
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
}

static void
tear_down(void)
{
	sks_log_set(NULL, NULL);
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	if (reader != -1)
		close(reader);
	sks_fault_clear();
}

FIXTURE(set_up, tear_down);

/* All that has been written. */
static const char *
written(char *to, size_t size)
{
	ssize_t n = read(reader, to, size - 1);

	to[n > 0 ? n : 0] = '\0';
	return to;
}

/* Fills the pipe until poll says that there is no room. */
static void
fill_pipe(void)
{
	static const char block[4096];
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (poll(&to, 1, 0) == 1)
		ck_assert_int_eq(write(STDERR_FILENO, block, sizeof(block)), sizeof(block));
}

static void
empty_pipe(void)
{
	char block[8192];

	while (read(reader, block, sizeof(block)) > 0)
		;
}

TEST(line_has_the_prefix_and_a_newline)
{
	char got[200];

	sks_logf("bind %s: %s", "[::]:80", "Permission denied");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: bind [::]:80: Permission denied\n");
}

TEST(errno_is_kept_and_can_be_printed)
{
	struct sks_log_limit limit = { 0 };
	char got[200], expected[200];

	errno = EMFILE;
	sks_logf("accept: %m");
	ck_assert_int_eq(errno, EMFILE);
	sks_log_limited(&limit, 1, "again: %m");
	ck_assert_int_eq(errno, EMFILE);
	sks_log_limited(&limit, 1, "not told");
	ck_assert_int_eq(errno, EMFILE);
	close(STDERR_FILENO);
	sks_logf("lost");
	ck_assert_int_eq(errno, EMFILE);
	snprintf(expected, sizeof(expected), "socketserver: accept: %s\nsocketserver: again: %s\n",
	    strerror(EMFILE), strerror(EMFILE));
	ck_assert_str_eq(written(got, sizeof(got)), expected);
}

TEST(what_is_not_printable_is_escaped)
{
	char got[200];

	sks_logf("%s", "a\nb\rc\x1b[31m\x7f\x01\x1f ~\\ \xc3\xa9\xc2\x9b\xff");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: a\\x0ab\\x0dc\\x1b[31m\\x7f\\x01\\x1f ~\\ \xc3\xa9\\xc2\\x9b\\xff\n");
}

TEST(long_line_is_cut_at_1_kib)
{
	char text[3000], got[4000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sks_logf("%s", text);
	written(got, sizeof(got));
	ck_assert_uint_eq(strlen(got), 1025);
	ck_assert_int_eq(got[1023], 'x');
	ck_assert_int_eq(got[1024], '\n');
}

TEST(escape_is_never_cut_in_two)
{
	char text[1200], got[4000];
	size_t pad, n;

	for (pad = 0; pad < 4; pad++) {
		memset(text, 'x', pad);
		memset(text + pad, '\n', sizeof(text) - pad);
		text[sizeof(text) - 1] = '\0';
		sks_logf("%s", text);
		n = strlen(written(got, sizeof(got)));
		ck_assert_uint_le(n, 1025);
		ck_assert_uint_gt(n, 1021);
		ck_assert_str_eq(got + n - 5, "\\x0a\n");
	}
}

TEST(full_pipe_drops_lines_and_tells_how_many)
{
	char got[300];
	int i;

	fill_pipe();
	for (i = 0; i < 1000; i++)
		sks_logf("line %d", i);
	empty_pipe();
	sks_logf("after");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: 1000 lines dropped\nsocketserver: after\n");
	sks_logf("more");
	ck_assert_str_eq(written(got, sizeof(got)), "socketserver: more\n");
}

TEST(broken_pipe_raises_no_sigpipe)
{
	char got[300];
	int fds[2];

	close(reader);
	reader = -1;
	sks_logf("to nobody");
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	sks_logf("to a reader");
	ck_assert_str_eq(written(got, sizeof(got)),
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
	sks_logf("lost");
	sigpending(&pending);
	ck_assert(!sigismember(&pending, SIGPIPE));
	close(fds[0]);
	close(fds[1]);
}

TEST(closed_standard_error_is_no_trouble)
{
	close(STDERR_FILENO);
	sks_logf("lost");
	sks_logf("lost");
}

static int lines;
static char last_line[2000];

static void
keep_line(const char *line, void *arg)
{
	lines++;
	ck_assert_ptr_eq(arg, &lines);
	ck_assert_uint_lt(strlen(line), sizeof(last_line));
	strcpy(last_line, line);
	errno = EIO;
}

TEST(user_function_gets_the_line_alone)
{
	char text[3000], got[10];

	lines = 0;
	sks_log_set(keep_line, &lines);
	errno = ENOENT;
	sks_logf("a\tb %d", 5);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(last_line, "a\\x09b 5");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sks_logf("%s", text);
	ck_assert_uint_eq(strlen(last_line), 1024);
	ck_assert_int_eq(lines, 2);
	ck_assert_str_eq(written(got, sizeof(got)), "");
	sks_log_set(NULL, NULL);
	sks_logf("x");
	ck_assert_int_eq(lines, 2);
	ck_assert_str_ne(written(got, sizeof(got)), "");
}

static void
log_again(const char *line, void *arg)
{
	int *depth = arg;

	(void)line;
	if ((*depth)++ < 3)
		sks_logf("again");
}

TEST(user_function_may_log)
{
	int depth = 0;

	sks_log_set(log_again, &depth);
	sks_logf("once");
	ck_assert_int_eq(depth, 4);
}

static void
second_begins(void)
{
	/* Far enough from its end that a few lines are all in it. */
	while (sks_clock_ms() % 1000 > 500)
		;
}

/* As if the lines so far were those of the second before. */
static void
a_second_passes(struct sks_log_limit *limit)
{
	limit->window -= UINT64_C(1) << 24;
}

TEST(limited_lines_are_counted_and_told_in_the_next_second)
{
	struct sks_log_limit limit = { 0 };
	int i;

	lines = 0;
	sks_log_set(keep_line, &lines);
	second_begins();
	for (i = 1; i <= 10; i++)
		sks_log_limited(&limit, 3, "accept %d", i);
	ck_assert_int_eq(lines, 3);
	ck_assert_str_eq(last_line, "accept 3");
	a_second_passes(&limit);
	sks_log_limited(&limit, 3, "accept %d", 11);
	ck_assert_int_eq(lines, 4);
	ck_assert_str_eq(last_line, "accept 11 (and 7 more before it)");
	a_second_passes(&limit);
	sks_log_limited(&limit, 3, "accept %d", 12);
	ck_assert_str_eq(last_line, "accept 12");
}

static int evaluated;

static const char *
evaluate(void)
{
	evaluated++;
	return "text";
}

TEST(the_arguments_of_a_dropped_line_are_not_evaluated)
{
	struct sks_log_limit limit = { 0 };
	int i;

	lines = evaluated = 0;
	sks_log_set(keep_line, &lines);
	second_begins();
	for (i = 0; i < 10; i++)
		sks_log_limited(&limit, 3, "%s", evaluate());
	ck_assert_int_eq(lines, 3);
	ck_assert_int_eq(evaluated, 3);
}

static atomic_int tally; /* lines that were logged, and those that were told to be dropped */

static void
add_to_tally(const char *line, void *arg)
{
	const char *dropped = strstr(line, "(and ");

	(void)arg;
	atomic_fetch_add(&tally, 1 + (dropped != NULL ? atoi(dropped + 5) : 0));
}

static void *
log_many(void *limit)
{
	int i;

	for (i = 0; i < 1000; i++)
		sks_log_limited((struct sks_log_limit *)limit, 3, "line");
	return NULL;
}

TEST(each_line_of_each_thread_is_logged_or_counted)
{
	struct sks_log_limit limit = { 0 };
	pthread_t thread[4];
	int i;

	atomic_store(&tally, 0);
	sks_log_set(add_to_tally, NULL);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, log_many, &limit), 0);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	a_second_passes(&limit);
	sks_log_limited(&limit, 3, "line");
	ck_assert_int_eq(atomic_load(&tally), 4001);
}

static int sinks[2];

static void
first_sink(const char *line, void *arg)
{
	(void)line;
	if (arg != &sinks[0])
		abort();
}

static void
second_sink(const char *line, void *arg)
{
	(void)line;
	if (arg != &sinks[1])
		abort();
}

static void *
log_often(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++)
		sks_logf("thread");
	return arg;
}

TEST(function_and_arg_change_together)
{
	pthread_t threads[3];
	size_t i;

	sks_log_set(first_sink, &sinks[0]);
	for (i = 0; i < SKS_ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_often, NULL), 0);
	for (i = 0; i < 2000; i++) {
		sks_log_set(second_sink, &sinks[1]);
		sks_log_set(first_sink, &sinks[0]);
	}
	for (i = 0; i < SKS_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

TEST(threads_lose_no_count)
{
	pthread_t threads[3];
	char got[300];
	size_t i;

	fill_pipe();
	for (i = 0; i < SKS_ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_often, NULL), 0);
	for (i = 0; i < SKS_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	empty_pipe();
	sks_logf("after");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: 6000 lines dropped\nsocketserver: after\n");
}


TEST(failed_write_is_counted)
{
	char got[300];

	ck_assert_int_eq(sks_fault("write:EIO:1,poll:EINTR:2"), 0);
	sks_logf("one");
	sks_logf("two");
	sks_logf("three");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: 2 lines dropped\nsocketserver: three\n");
}

