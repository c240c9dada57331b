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
#include <sys/un.h>
#include <netinet/in.h>

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
	sks_set_log(NULL, NULL);
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

	sks_log(SKS_LOG_INFO, "bind %s: %s", "[::]:80", "Permission denied");
	ck_assert_str_eq(written(got, sizeof(got)),
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
	ck_assert_str_eq(written(got, sizeof(got)), expected);
}

TEST(what_is_not_printable_is_escaped)
{
	char got[200];

	sks_log(SKS_LOG_INFO, "%s", "a\nb\rc\x1b[31m\x7f\x01\x1f ~\\ \xc3\xa9\xc2\x9b\xff");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: a\\x0ab\\x0dc\\x1b[31m\\x7f\\x01\\x1f ~\\ \xc3\xa9\\xc2\\x9b\\xff\n");
}

TEST(long_line_is_cut_at_1_kib)
{
	char text[3000], got[4000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sks_log(SKS_LOG_INFO, "%s", text);
	written(got, sizeof(got));
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
		n = strlen(written(got, sizeof(got)));
		ck_assert_uint_lt(n, SKS_LOG_LINE_SIZE);
		ck_assert_uint_gt(n, SKS_LOG_LINE_SIZE - 12);
		ck_assert_str_eq(got + n - 5, "\\x0a\n");
	}
}

TEST(full_pipe_drops_lines_and_tells_how_many)
{
	char got[300];
	int i;

	fill_pipe();
	for (i = 0; i < 1000; i++)
		sks_log(SKS_LOG_INFO, "line %d", i);
	empty_pipe();
	sks_log(SKS_LOG_INFO, "after");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: 1000 lines dropped\nsocketserver: after\n");
	sks_log(SKS_LOG_INFO, "more");
	ck_assert_str_eq(written(got, sizeof(got)), "socketserver: more\n");
}

TEST(broken_pipe_raises_no_sigpipe)
{
	char got[300];
	int fds[2];

	close(reader);
	reader = -1;
	sks_log(SKS_LOG_INFO, "to nobody");
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	sks_log(SKS_LOG_INFO, "to a reader");
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

static int lines;
static char last_line[2000];

static void
keep_line(const struct sks_log_record *record, void *arg)
{
	lines++;
	ck_assert_ptr_eq(arg, &lines);
	ck_assert_uint_lt(strlen(record->line), sizeof(last_line));
	strcpy(last_line, record->line);
	errno = EIO;
}

TEST(user_function_gets_the_line_alone)
{
	char text[3000], got[10];

	lines = 0;
	sks_set_log(keep_line, &lines);
	errno = ENOENT;
	sks_log(SKS_LOG_INFO, "a\tb %d", 5);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(last_line, "a\\x09b 5");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sks_log(SKS_LOG_INFO, "%s", text);
	ck_assert_uint_eq(strlen(last_line), 1024);
	ck_assert_int_eq(lines, 2);
	ck_assert_str_eq(written(got, sizeof(got)), "");
	sks_set_log(NULL, NULL);
	sks_log(SKS_LOG_INFO, "x");
	ck_assert_int_eq(lines, 2);
	ck_assert_str_ne(written(got, sizeof(got)), "");
}

static void
log_again(const struct sks_log_record *record, void *arg)
{
	int *depth = arg;

	(void)record;
	if ((*depth)++ < 3)
		sks_log(SKS_LOG_INFO, "again");
}

TEST(user_function_may_log)
{
	int depth = 0;

	sks_set_log(log_again, &depth);
	sks_log(SKS_LOG_INFO, "once");
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
	sks_set_log(keep_line, &lines);
	second_begins();
	for (i = 1; i <= 10; i++)
		sks_log_limited(&limit, 3, NULL, SKS_LOG_WARN, 0, "accept %d", i);
	ck_assert_int_eq(lines, 3);
	ck_assert_str_eq(last_line, "accept 3");
	a_second_passes(&limit);
	sks_log_limited(&limit, 3, NULL, SKS_LOG_WARN, 0, "accept %d", 11);
	ck_assert_int_eq(lines, 4);
	ck_assert_str_eq(last_line, "accept 11 (and 7 more before it)");
	a_second_passes(&limit);
	sks_log_limited(&limit, 3, NULL, SKS_LOG_WARN, 0, "accept %d", 12);
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
	sks_set_log(keep_line, &lines);
	second_begins();
	for (i = 0; i < 10; i++)
		sks_log_limited(&limit, 3, NULL, SKS_LOG_WARN, 0, "%s", evaluate());
	ck_assert_int_eq(lines, 3);
	ck_assert_int_eq(evaluated, 3);
}

static atomic_int tally; /* lines that were logged, and those that were told to be dropped */

static void
add_to_tally(const struct sks_log_record *record, void *arg)
{
	const char *dropped = strstr(record->line, "(and ");

	(void)arg;
	atomic_fetch_add(&tally, 1 + (dropped != NULL ? atoi(dropped + 5) : 0));
}

static void *
log_many(void *limit)
{
	int i;

	for (i = 0; i < 1000; i++)
		sks_log_limited((struct sks_log_limit *)limit, 3, NULL, SKS_LOG_WARN, 0, "line");
	return NULL;
}

TEST(each_line_of_each_thread_is_logged_or_counted)
{
	struct sks_log_limit limit = { 0 };
	pthread_t thread[4];
	int i;

	atomic_store(&tally, 0);
	sks_set_log(add_to_tally, NULL);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, log_many, &limit), 0);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	a_second_passes(&limit);
	sks_log_limited(&limit, 3, NULL, SKS_LOG_WARN, 0, "line");
	ck_assert_int_eq(atomic_load(&tally), 4001);
}

static int sinks[2];

static void
first_sink(const struct sks_log_record *record, void *arg)
{
	(void)record;
	if (arg != &sinks[0])
		abort();
}

static void
second_sink(const struct sks_log_record *record, void *arg)
{
	(void)record;
	if (arg != &sinks[1])
		abort();
}

static void *
log_often(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++)
		sks_log(SKS_LOG_INFO, "thread");
	return arg;
}

TEST(function_and_arg_change_together)
{
	pthread_t threads[3];
	size_t i;

	sks_set_log(first_sink, &sinks[0]);
	for (i = 0; i < SKS_ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_often, NULL), 0);
	for (i = 0; i < 2000; i++) {
		sks_set_log(second_sink, &sinks[1]);
		sks_set_log(first_sink, &sinks[0]);
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
	sks_log(SKS_LOG_INFO, "after");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: 6000 lines dropped\nsocketserver: after\n");
}


TEST(failed_write_is_counted)
{
	char got[300];

	ck_assert_int_eq(sks_fault("write:EIO:1,poll:EINTR:2"), 0);
	sks_log(SKS_LOG_INFO, "one");
	sks_log(SKS_LOG_INFO, "two");
	sks_log(SKS_LOG_INFO, "three");
	ck_assert_str_eq(written(got, sizeof(got)),
	    "socketserver: 2 lines dropped\nsocketserver: three\n");
}

static struct sks_log_record last; /* with texts that the tests only compare with NULL */
static char last_text[200], last_handler[40], last_peer[100];

static void
keep_record(const struct sks_log_record *record, void *arg)
{
	(void)arg;
	lines++;
	last = *record;
	snprintf(last_line, sizeof(last_line), "%s", record->line);
	snprintf(last_text, sizeof(last_text), "%s", record->text);
	snprintf(last_handler, sizeof(last_handler), "%s", record->handler != NULL ? record->handler : "");
	snprintf(last_peer, sizeof(last_peer), "%s", record->peer != NULL ? record->peer : "");
}

TEST(a_record_says_when_what_and_about_whom)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(7) };
	struct sks_log_origin origin = { "echo", (struct sockaddr *)&peer, sizeof(peer) };
	struct timespec before[2], after[2];

	sks_set_log(keep_record, NULL);
	clock_gettime(CLOCK_MONOTONIC, &before[0]);
	clock_gettime(CLOCK_REALTIME, &before[1]);
	sks_log_about(&origin, SKS_LOG_WARN, ECONNRESET, "a\nb: %m");
	clock_gettime(CLOCK_MONOTONIC, &after[0]);
	clock_gettime(CLOCK_REALTIME, &after[1]);
	ck_assert_int_eq(last.level, SKS_LOG_WARN);
	ck_assert_int_eq(last.error, ECONNRESET);
	ck_assert_str_eq(last_text, "a\\x0ab: Connection reset by peer");
	ck_assert_str_eq(last_line, "echo: 0.0.0.0:7: a\\x0ab: Connection reset by peer");
	ck_assert_str_eq(last_handler, "echo");
	ck_assert_str_eq(last_peer, "0.0.0.0:7");
	ck_assert_int_ge(last.monotonic.tv_sec, before[0].tv_sec);
	ck_assert_int_le(last.monotonic.tv_sec, after[0].tv_sec);
	ck_assert_int_ge(last.wall.tv_sec, before[1].tv_sec);
	ck_assert_int_le(last.wall.tv_sec, after[1].tv_sec);
}

TEST(a_record_has_the_error_that_its_text_names)
{
	sks_set_log(keep_record, NULL);
	errno = ENOENT;
	sks_log(SKS_LOG_ERROR, "open: %m\n");
	ck_assert_int_eq(last.error, ENOENT);
	ck_assert_str_eq(last_text, "open: No such file or directory");
	ck_assert_ptr_null(last.handler);
	ck_assert_ptr_null(last.peer);
	sks_log(SKS_LOG_ERROR, "another one");
	ck_assert_int_eq(last.error, 0);
	ck_assert_int_eq(errno, ENOENT);
}

static void __attribute__((format(printf, 2, 3)))
pass_on(enum sks_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	sks_vlog(level, format, args);
	va_end(args);
}

TEST(arguments_are_passed_on)
{
	sks_set_log(keep_record, NULL);
	pass_on(SKS_LOG_INFO, "%s %d", "seven", 7);
	ck_assert_str_eq(last_line, "seven 7");
}

TEST(a_line_that_is_not_wanted_is_not_formatted)
{
	const char *nothing = (const char *)(uintptr_t)1; /* which formatting would read */
	struct sks_log_limit limit = { 0 };

	lines = evaluated = 0;
	sks_set_log(keep_record, NULL);
	sks_log(SKS_LOG_DEBUG, "%s", nothing);
	sks_log_about(NULL, SKS_LOG_DEBUG, 0, "%s", nothing);
	sks_log_limited(&limit, 1, NULL, SKS_LOG_DEBUG, 0, "%s", evaluate());
	ck_assert_int_eq(evaluated, 0);
	ck_assert_int_eq(lines, 0);
	ck_assert_uint_eq(limit.window, 0);
	ck_assert_int_eq(sks_set_log_level(SKS_LOG_ERROR), 0);
	sks_log(SKS_LOG_WARN, "%s", nothing);
	sks_log(SKS_LOG_ERROR, "%s", evaluate());
	ck_assert_int_eq(lines, 1);
}

TEST(a_level_and_graver_ones_are_logged)
{
	static const enum sks_log_level levels[] = { SKS_LOG_ERROR, SKS_LOG_WARN, SKS_LOG_INFO, SKS_LOG_DEBUG };
	static const char *const names[] = { "error", "warn", "info", "debug" };
	int i, k;

	ck_assert_int_eq(sks_log_is_on(SKS_LOG_INFO), 1);
	ck_assert_int_eq(sks_log_is_on(SKS_LOG_DEBUG), 0);
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(sks_log_level_by_name(names[i]), levels[i]);
		ck_assert_int_eq(sks_set_log_level(levels[i]), 0);
		for (k = 0; k < 4; k++)
			ck_assert_int_eq(sks_log_is_on(levels[k]), k <= i);
	}
	errno = 0;
	ck_assert_int_eq(sks_log_level_by_name("loud"), -1);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_int_eq(sks_set_log_level((enum sks_log_level)5), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_set_log_level((enum sks_log_level)-1), -1);
	ck_assert_int_eq(sks_log_is_on(SKS_LOG_DEBUG), 1);
}

/* -- sks_log_open() -- */

static char folder[] = "/tmp/check_log.XXXXXX", path[60];

static void
set_up_folder(void)
{
	set_up();
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
}

static void
tear_down_folder(void)
{
	ck_assert_int_eq(sks_log_open("stderr", NULL), 0);
	unlink(path);
	rmdir(folder);
	tear_down();
	ck_assert_int_eq(sks_sys_held(), 0);
}

FIXTURE(set_up_folder, tear_down_folder);

static const char *
in_file(char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, to, size - 1);

	close(fd);
	ck_assert_int_gt(n, 0);
	to[n] = '\0';
	return to;
}

static const struct sks_log_origin echo = { .handler = "echo" };

TEST(a_file_has_time_and_level_in_front)
{
	char got[300];

	ck_assert_int_eq(sks_log_open(path, "text"), 0);
	sks_log_about(&echo, SKS_LOG_WARN, 0, "a line");
	in_file(got, sizeof(got));
	ck_assert_int_eq(got[10], 'T');
	ck_assert_str_eq(got + strlen("2026-11-29T04:31:08.123456"), "Z warn echo: a line\n");
	ck_assert_str_eq(written(got, sizeof(got)), "");
}

TEST(json_is_an_object_in_a_line)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(7) };
	struct sks_log_origin origin = { "echo", (struct sockaddr *)&peer, sizeof(peer) };
	char got[300], expected[200];

	ck_assert_int_eq(sks_log_open(path, "json"), 0);
	sks_log_about(&origin, SKS_LOG_ERROR, ENOENT, "a \"line\"\n\xff");
	snprintf(expected, sizeof(expected), "Z\",\"level\":\"error\",\"pid\":%ld,\"handler\":\"echo\","
	    "\"peer\":\"0.0.0.0:7\",\"errno\":2,\"text\":\"a \\\"line\\\"\\\\x0a\\\\xff\"}\n", (long)getpid());
	in_file(got, sizeof(got));
	ck_assert_ptr_nonnull(strstr(got, "{\"time\":\"2"));
	ck_assert_str_eq(strchr(got, 'Z'), expected);
}

TEST(the_journal_gets_levels)
{
	char got[300];

	ck_assert_int_eq(sks_log_open("journal", NULL), 0);
	sks_log_about(&echo, SKS_LOG_ERROR, 0, "failed");
	sks_log(SKS_LOG_INFO, "told");
	ck_assert_str_eq(written(got, sizeof(got)), "<3>echo: failed\n<6>told\n");
}

TEST(the_syslog_gets_facility_level_program_and_process)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char got[300], where[80], expected[80];
	ssize_t n;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	snprintf(where, sizeof(where), "syslog:%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(sks_log_open(where, NULL), 0);
	sks_log(SKS_LOG_WARN, "a line");
	n = recv(fd, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	snprintf(expected, sizeof(expected), "<28>check_log[%ld]: a line", (long)getpid());
	ck_assert_str_eq(got, expected);
	close(fd);
}

TEST(what_cannot_be_opened_leaves_the_log_as_it_was)
{
	char got[300];

	ck_assert_int_eq(sks_log_open("", NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_log_open("syslog:", NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_log_open("stderr", "xml"), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_log_open(folder, NULL), -1);
	ck_assert_int_eq(errno, EISDIR);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_log_open(path, NULL), -1);
	ck_assert_int_eq(errno, ENOMEM);
	sks_log(SKS_LOG_INFO, "here");
	ck_assert_str_eq(written(got, sizeof(got)), "socketserver: here\n");
}

TEST(a_file_that_cannot_be_opened_again_goes_on_and_says_why)
{
	char got[300];

	ck_assert_int_eq(sks_log_reopen(), 0); /* standard error is no file */
	ck_assert_int_eq(sks_log_open(path, NULL), 0);
	ck_assert_int_eq(sks_fault("open:EACCES:1"), 0);
	ck_assert_int_eq(sks_log_reopen(), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_ptr_nonnull(strstr(in_file(got, sizeof(got)), "error log /tmp/check_log."));
	ck_assert_ptr_nonnull(strstr(got, "/log: not opened again: Permission denied\n"));
	unlink(path);
	ck_assert_int_eq(sks_log_reopen(), 0);
	sks_log(SKS_LOG_INFO, "anew");
	ck_assert_ptr_nonnull(strstr(in_file(got, sizeof(got)), "info anew\n"));
}

TEST(a_log_that_takes_no_lines_tells_how_many_in_its_own_format)
{
	char got[70000];
	int fd, i;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(sks_log_open(path, "json"), 0);
	for (i = 0; i < 10000; i++)
		sks_log(SKS_LOG_INFO, "line");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_gt(read(fd, got, sizeof(got)), 0);
	sks_log(SKS_LOG_INFO, "after");
	got[read(fd, got, sizeof(got) - 1)] = '\0';
	ck_assert_ptr_nonnull(strstr(got, "\"level\":\"warn\""));
	ck_assert_ptr_nonnull(strstr(got, " lines dropped\"}\n{\"time\""));
	close(fd);
}
