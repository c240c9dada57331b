/* SPDX-License-Identifier: MIT */
/*
 * check_log_limits.c - which lines are logged: those of a level that is wanted, and of some kinds
 * so many each second, where the others are counted.
 */
#include "suite.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int lines;
static char last_line[200];

static void
keep_line(const struct sks_log_record *record, void *arg)
{
	(void)arg;
	lines++;
	snprintf(last_line, sizeof(last_line), "%s", record->line);
}

static void
tear_down(void)
{
	sks_set_log(NULL, NULL);
}

FIXTURE(NULL, tear_down);

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
	sks_set_log(keep_line, NULL);
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
	sks_set_log(keep_line, NULL);
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

TEST(a_line_that_is_not_wanted_is_not_formatted)
{
	const char *nothing = (const char *)(uintptr_t)1; /* which formatting would read */
	struct sks_log_limit limit = { 0 };

	lines = evaluated = 0;
	sks_set_log(keep_line, NULL);
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
