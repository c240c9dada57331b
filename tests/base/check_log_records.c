/* SPDX-License-Identifier: MIT */
/*
 * check_log_records.c - log lines that a function of the program takes: the line, and what is
 * known beside it.
 */
#include "error_pipe.h"
#include "log_threads.h"
#include "suite.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
tear_down(void)
{
	sks_set_log(NULL, NULL);
	error_pipe_teardown();
}

FIXTURE(error_pipe_setup, tear_down);

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
	ck_assert_str_eq(error_pipe_read(got, sizeof(got)), "");
	sks_set_log(NULL, NULL);
	sks_log(SKS_LOG_INFO, "x");
	ck_assert_int_eq(lines, 2);
	ck_assert_str_ne(error_pipe_read(got, sizeof(got)), "");
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

TEST(function_and_arg_change_together)
{
	size_t i;

	sks_set_log(first_sink, &sinks[0]);
	log_threads_start();
	for (i = 0; i < 2000; i++) {
		sks_set_log(second_sink, &sinks[1]);
		sks_set_log(first_sink, &sinks[0]);
	}
	log_threads_join();
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
	/* clang warns of a width of %m, which printf(3) takes. */
	void (*unchecked)(enum sks_log_level level, const char *format, ...) = sks_log;

	sks_set_log(keep_record, NULL);
	errno = ENOENT;
	sks_log(SKS_LOG_ERROR, "open: %m\n");
	ck_assert_int_eq(last.error, ENOENT);
	ck_assert_str_eq(last_text, "open: No such file or directory");
	ck_assert_ptr_null(last.handler);
	ck_assert_ptr_null(last.peer);
	unchecked(SKS_LOG_ERROR, "open: %30m");
	ck_assert_int_eq(last.error, ENOENT);
	ck_assert_str_eq(last_text, "open:      No such file or directory");
	sks_log(SKS_LOG_ERROR, "another one");
	ck_assert_int_eq(last.error, 0);
	sks_log(SKS_LOG_ERROR, "100%%mine: %d%%", 1);
	ck_assert_int_eq(last.error, 0);
	ck_assert_str_eq(last_text, "100%mine: 1%");
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
