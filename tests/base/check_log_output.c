/* SPDX-License-Identifier: MIT */
/*
 * check_log_output.c - lines to a file, a FIFO and a syslog; what is lost is counted.
 */
#include "error_pipe.h"
#include "faults.h"
#include "suite.h"
#include "base/log_line.h"
#include "base/log_output.h"
#include "base/sys.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static char folder[] = "/tmp/check_log_output.XXXXXX", path[80], old_path[80];
static struct sks_log_output output;

static void
missing_line(struct sks_log_line *to, const struct sks_log_output *of, unsigned long n)
{
	ck_assert_ptr_eq(of, &output);
	to->used = 0;
	sks_log_line_printf(to, "missing: %lu", n);
	sks_log_line_end(to, "");
}

static void
set_up(void)
{
	error_pipe_setup();
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(old_path, sizeof(old_path), "%s/old", folder);
}

static void
tear_down(void)
{
	error_pipe_teardown();
	sks_log_output_close(&output);
	unlink(path);
	unlink(old_path);
	rmdir(folder);
	ck_assert_int_eq(sks_sys_held(), 0);
}

FIXTURE(set_up, tear_down);

/* Reads all that is there, as text. */
static const char *
read_all(int fd, char *to, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, to + used, size - 1 - used)) > 0)
		used += (size_t)n;
	to[used] = '\0';
	return to;
}

static const char *
content(const char *name, char *to, size_t size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	read_all(fd, to, size);
	close(fd);
	return to;
}

static int
put(const char *line)
{
	return sks_log_output_write(&output, line, strlen(line));
}

static void
open_file(void)
{
	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_FILE, path, missing_line), 0);
}

TEST(a_file_is_made_for_its_owner_and_group_and_appended_to)
{
	char got[100];
	struct stat st;

	umask(0);
	open_file();
	ck_assert_int_eq(put("one\n"), 0);
	sks_log_output_close(&output);
	open_file();
	ck_assert_int_eq(put("two\n"), 0);
	ck_assert_str_eq(content(path, got, sizeof(got)), "one\ntwo\n");
	ck_assert_int_eq(fstat(output.fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(fcntl(output.fd, F_GETFD), FD_CLOEXEC);
}

TEST(what_cannot_be_opened_says_why)
{
	char none[100];
	int rc;

	snprintf(none, sizeof(none), "%s/none/log", folder);
	rc = sks_log_output_open(&output, SKS_LOG_FILE, none, missing_line);
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_FILE, path, missing_line), -1);
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
	ck_assert_int_eq(sks_fault("mmap:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_FILE, path, missing_line), -1);
	ck_assert_int_eq(errno, ENOMEM);
	open_file();
}

TEST(a_file_that_was_renamed_is_opened_anew)
{
	char got[100];

	open_file();
	put("before\n");
	ck_assert_int_eq(rename(path, old_path), 0);
	put("still the old one\n");
	ck_assert_int_eq(sks_log_output_reopen(&output), 0);
	put("after\n");
	ck_assert_str_eq(content(old_path, got, sizeof(got)), "before\nstill the old one\n");
	ck_assert_str_eq(content(path, got, sizeof(got)), "after\n");
}

TEST(where_it_cannot_be_opened_anew_the_old_file_goes_on)
{
	char got[100];

	open_file();
	ck_assert_int_eq(sks_fault("open:EACCES:1"), 0);
	ck_assert_int_eq(sks_log_output_reopen(&output), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(put("on\n"), 0);
	ck_assert_str_eq(content(path, got, sizeof(got)), "on\n");
}

/* A child writes whenever it is told to, by a byte. */
static void
child_of_the_output(int orders, int answers)
{
	char byte;

	while (read(orders, &byte, 1) == 1)
		(void)!write(answers, put("child\n") == 0 ? "y" : "n", 1);
	_exit(0);
}

TEST(other_processes_follow_with_their_next_line)
{
	int orders[2], answers[2];
	char got[100], byte;
	pid_t child;

	open_file();
	ck_assert_int_eq(pipe2(orders, O_CLOEXEC) | pipe2(answers, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		close(orders[1]);
		child_of_the_output(orders[0], answers[1]);
	}
	ck_assert_int_eq(rename(path, old_path), 0);
	ck_assert_int_eq(sks_log_output_reopen(&output), 0);
	ck_assert_int_eq(write(orders[1], "x", 1), 1);
	ck_assert_int_eq(read(answers[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	close(orders[1]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_str_eq(content(path, got, sizeof(got)), "child\n");
	ck_assert_str_eq(content(old_path, got, sizeof(got)), "");
	close(orders[0]);
	close(answers[0]);
	close(answers[1]);
}

#define WRITERS 3
#define LINES 2000

static void *
write_many(void *arg)
{
	int i;

	for (i = 0; i < LINES; i++)
		if (put("thread\n") == -1)
			return arg;
	return NULL;
}

static size_t
lines_of(const char *name)
{
	static char got[WRITERS * LINES * 8];
	const char *at;
	size_t n = 0;

	for (at = content(name, got, sizeof(got)); *at != '\0'; at += 7, n++)
		ck_assert_int_eq(strncmp(at, "thread\n", 7), 0);
	return n;
}

TEST(no_line_is_lost_while_it_is_opened_anew)
{
	pthread_t threads[WRITERS];
	size_t before = 0;
	void *failed;
	int i;

	open_file();
	for (i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, &output), 0);
	ck_assert_int_eq(rename(path, old_path), 0);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(sks_log_output_reopen(&output), 0);
	for (i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	before = lines_of(old_path);
	ck_assert_uint_eq(before + lines_of(path), WRITERS * LINES);
}

TEST(a_fifo_that_nobody_reads_never_blocks)
{
	char got[200000], *end;
	int fd, i, lost = 0;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	open_file();
	for (i = 0; i < 20000; i++)
		lost += put("line\n") == -1;
	ck_assert_int_gt(lost, 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	read_all(fd, got, sizeof(got));
	ck_assert_int_eq(put("after\n"), 0);
	read_all(fd, got, sizeof(got));
	ck_assert_int_eq(strtol(strchr(got, ' '), &end, 10), lost);
	ck_assert_str_eq(end, "\nafter\n");
	close(fd);
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "");
}

TEST(a_reader_that_leaves_raises_no_sigpipe)
{
	char got[200];
	int fd;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	open_file();
	close(fd);
	ck_assert_int_eq(put("to nobody\n"), -1);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_eq(put("to a reader\n"), 0);
	ck_assert_str_eq(read_all(fd, got, sizeof(got)), "missing: 1\nto a reader\n");
	close(fd);
}

TEST(a_full_disk_is_said_once_on_standard_error)
{
	char got[300];

	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_FILE, "/dev/full", missing_line), 0);
	errno = EDOM;
	ck_assert_int_eq(put("one\n"), -1);
	ck_assert_int_eq(put("two\n"), -1);
	ck_assert_int_eq(errno, EDOM);
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)),
	    "socketserver: log /dev/full: No space left on device; its lines are dropped\n");
}

TEST(a_line_that_was_written_in_part_gets_its_end)
{
	char got[300];

	open_file();
	ck_assert_int_eq(sks_fault("write:short=3:1"), 0);
	ck_assert_int_eq(put("in part\n"), -1);
	sks_fault_clear();
	ck_assert_int_eq(put("whole\n"), 0);
	ck_assert_str_eq(content(path, got, sizeof(got)), "in \nmissing: 1\nwhole\n");
	ck_assert_ptr_nonnull(strstr(error_pipe_read(got, sizeof(got)), "No space left on device"));
}

TEST(a_path_that_is_too_long_for_a_socket_is_refused)
{
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_SYSLOG, name, missing_line), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	open_file();
}

static int
bind_syslog(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

TEST(a_syslog_may_be_away_and_come_back)
{
	char got[300];
	int fd;

	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_SYSLOG, path, missing_line), 0);
	ck_assert_int_eq(put("lost\n"), -1);
	ck_assert_int_eq(put("lost\n"), -1);
	ck_assert_ptr_nonnull(strstr(error_pipe_read(got, sizeof(got)),
	    "/log: No such file or directory; its lines are dropped\n"));
	fd = bind_syslog();
	ck_assert_int_eq(put("there\n"), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 10);
	ck_assert_int_eq(strncmp(got, "missing: 2", 10), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 5);
	close(fd);
	ck_assert_int_eq(put("lost again\n"), -1);
	unlink(path);
	fd = bind_syslog();
	ck_assert_int_eq(put("there\n"), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 10);
	close(fd);
}

TEST(a_syslog_that_does_not_read_never_blocks)
{
	char got[300];
	int fd = bind_syslog(), i, lost = 0;

	ck_assert_int_eq(sks_log_output_open(&output, SKS_LOG_SYSLOG, path, missing_line), 0);
	for (i = 0; i < 20000; i++)
		lost += put("line\n") == -1;
	ck_assert_int_gt(lost, 0);
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "");
	while (recv(fd, got, sizeof(got), 0) > 0)
		;
	ck_assert_int_eq(put("after\n"), 0);
	ck_assert_int_gt(recv(fd, got, sizeof(got), 0), 0);
	ck_assert_int_eq(strtol(strchr(got, ' '), NULL, 10), lost);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 5);
	ck_assert_mem_eq(got, "after", 5);
	close(fd);
}

static struct sks_log_line line;

static const char *
time_of(time_t seconds, long nanoseconds)
{
	struct timespec wall = { .tv_sec = seconds, .tv_nsec = nanoseconds };

	line.used = 0;
	sks_log_line_time(&line, &wall);
	return line.text;
}

TEST(times_are_those_of_gmtime)
{
	char expected[40];
	struct tm tm;
	time_t at;

	sks_log_output_open(&output, SKS_LOG_STDERR, NULL, missing_line);
	ck_assert_str_eq(time_of(1234567890, 999999999), "2009-02-13T23:31:30.999999Z");
	for (at = 0; at < 300LL * 365 * 86400; at += 86399) {
		ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
		ck_assert_str_eq(time_of(at, 0), expected);
	}
}

TEST(a_string_of_json_is_cut_between_its_characters)
{
	char text[2 * SKS_LOG_LINE_SIZE];
	size_t i, pad;

	sks_log_output_open(&output, SKS_LOG_STDERR, NULL, missing_line);
	line.used = 0;
	sks_log_line_json(&line, "a\"b\\\n\xc3\xa9\xc3\"\xf0\x9f", 11);
	sks_log_line_end(&line, "");
	ck_assert_str_eq(line.text,
	    "\"a\\\"b\\\\\\\\x0a\xc3\xa9\\\\xc3\\\"\\\\xf0\\\\x9f\"\n");
	for (pad = 0; pad < 3; pad++) {
		memset(text, 'x', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		for (i = pad; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		line.used = 0;
		sks_log_line_json(&line, text, strlen(text));
		sks_log_line_end(&line, "}");
		ck_assert_uint_lt(line.used, SKS_LOG_LINE_SIZE);
		ck_assert_uint_gt(line.used, SKS_LOG_LINE_SIZE - 12);
		ck_assert_ptr_nonnull(strstr(line.text, "\xe2\x82\xac\"}\n"));
	}
}
