/* SPDX-License-Identifier: MIT */
/*
 * check_log_open.c - where the log goes, and in which format: a file, the journal, a syslog.
 */
#include "error_pipe.h"
#include "faults.h"
#include "suite.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static char folder[] = "/tmp/check_log_open.XXXXXX", path[60];

static void
set_up(void)
{
	error_pipe_setup();
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
}

static void
tear_down(void)
{
	ck_assert_int_eq(sks_log_open("stderr", NULL), 0);
	unlink(path);
	rmdir(folder);
	error_pipe_teardown();
	ck_assert_int_eq(sks_sys_held(), 0);
}

FIXTURE(set_up, tear_down);

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
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "");
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
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "<3>echo: failed\n<6>told\n");
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
	snprintf(expected, sizeof(expected), "<28>check_log_open[%ld]: a line", (long)getpid());
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
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "socketserver: here\n");
}

TEST(a_file_that_cannot_be_opened_again_goes_on_and_says_why)
{
	char got[300];

	ck_assert_int_eq(sks_log_reopen(), 0); /* standard error is no file */
	ck_assert_int_eq(sks_log_open(path, NULL), 0);
	ck_assert_int_eq(sks_fault("open:EACCES:1"), 0);
	ck_assert_int_eq(sks_log_reopen(), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_ptr_nonnull(strstr(in_file(got, sizeof(got)), "error log /tmp/check_log_open."));
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
