/* SPDX-License-Identifier: MIT */
/*
 * What is counted once for a whole server, also where each request has a process of its own and
 * the fork copies the server's memory.
 */
#include "acceptance.h"
#include "suite.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

#define MANY 40

/* In so many seconds of the clock at least one line, and as many as a limit allows at most. */
static void
expect_limited(const char *text, int64_t first_ms)
{
	int64_t seconds = sks_clock_ms() / 1000 - first_ms / 1000 + 1;

	ck_assert_int_ge(log_count(text), 1);
	ck_assert_int_le(log_count(text), (int)seconds * SKS_LOG_LINES);
}

TEST(lines_on_failures_are_limited, EACH_MODE)
{
	int64_t first_ms = sks_clock_ms();
	struct acc acc;
	int i;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	for (i = 0; i < MANY; i++)
		acc_ask(&acc, "f\n", "");
	ck_eventually(acc_stats(&acc).failed == MANY);
	expect_limited("Protocol error", first_ms);
	acc_free(&acc);
}

/* Nobody listens there. */
static int
connect_in_vain(struct sks_request *req)
{
	(void)req;
	return sks_connect("127.0.0.1:1", 1000) == NULL ? SKS_DONE : -1;
}

TEST(lines_on_clients_that_cannot_connect_are_limited, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = connect_in_vain };
	int64_t first_ms = sks_clock_ms();
	struct acc acc;
	int i;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	for (i = 0; i < MANY; i++)
		acc_ask(&acc, "", "");
	ck_eventually(acc_stats(&acc).finished == MANY);
	expect_limited("connect 127.0.0.1:1: ", first_ms);
	acc_free(&acc);
}

/* A pipe in the place of standard error, with no room in it. Its end to read from. */
static int
fill_standard_error(int *saved)
{
	char block[4096] = "";
	int ends[2];

	*saved = dup(STDERR_FILENO);
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	while (write(STDERR_FILENO, block, sizeof(block)) > 0)
		;
	return ends[0];
}

static int
count_in(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

TEST(dropped_lines_are_told_of_once, EACH_MODE)
{
	char block[4096], got[4096] = "";
	int from, saved;
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	sks_set_log(NULL, NULL);
	from = fill_standard_error(&saved);
	sks_log(SKS_LOG_INFO, "this is dropped");
	while (read(from, block, sizeof(block)) > 0)
		;
	acc_ask(&acc, "f\n", "");
	ck_eventually(acc_stats(&acc).failed == 1);
	sks_log(SKS_LOG_INFO, "this is the last");
	dup2(saved, STDERR_FILENO);
	log_keep();
	ck_assert_int_gt((int)read(from, got, sizeof(got) - 1), 0);
	ck_assert_int_eq(count_in(got, "1 lines dropped"), 1);
	ck_assert_int_eq(count_in(got, "Protocol error"), 1);
	ck_assert_int_eq(count_in(got, "this is the last"), 1);
	close(from);
	close(saved);
	acc_free(&acc);
}
