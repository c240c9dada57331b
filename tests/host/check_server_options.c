/* SPDX-License-Identifier: MIT */
/*
 * check_server_options.c - the options of a server as text, for a command line.
 */
#include "harness.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <socketserver/host.h>

static struct sks_options options;
static char why[160];

FIXTURE(no_leaks_setup, no_leaks_teardown);

static void
becomes(const char *name, const char *text)
{
	options = (struct sks_options){ 0 };
	ck_assert_msg(sks_options_set(&options, name, text, why, sizeof(why)) == 0, "--%s %s: %s",
	    name, text, why);
}

static void
refuses(const char *name, const char *text, const char *reason)
{
	static const struct sks_options none;

	options = none;
	errno = 0;
	ck_assert_msg(sks_options_set(&options, name, text, why, sizeof(why)) == -1, "--%s %s", name,
	    text);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_str_eq(why, reason);
	ck_assert_mem_eq(&options, &none, sizeof(none));
}

TEST(a_text_becomes_the_member_of_that_name)
{
	becomes("mode", "threads");
	ck_assert_int_eq(options.mode, SKS_THREADS);
	becomes("workers", "4");
	ck_assert_int_eq(options.workers, 4);
	becomes("timeout", "1m");
	ck_assert_int_eq(options.timeout_ms, 60000);
	becomes("max-line", "64k");
	ck_assert_uint_eq(options.max_line, 65536);
	becomes("reuse-port", "yes");
	ck_assert_int_eq(options.reuse_port, 1);
}

TEST(nothing_at_all_is_a_time_without_limit_and_a_worker_for_each_core)
{
	becomes("idle", "0");
	ck_assert_int_eq(options.idle_ms, SKS_OFF);
	becomes("drain", "0s");
	ck_assert_int_eq(options.drain_ms, SKS_OFF);
	becomes("workers", "0");
	ck_assert_int_eq(options.workers, SKS_AUTO);
	refuses("backlog", "0", "0: must be 1 to 2147483647");
}

TEST(a_wrong_text_is_told_and_changes_nothing)
{
	refuses("mode", "fibres", "fibres: not a mode (fibers, serial, threads, processes)");
	refuses("workers", "-1", "-1: must be 0 to 1024");
	refuses("workers", "many", "many: not a number");
	refuses("max-line", "1", "1: must be 2 to 1G");
	refuses("idle", "1", "1: not a time (as 500ms, 30s, 5m, 1h)");
	refuses("v6only", "maybe", "maybe: not yes or no");
	refuses("base", "1", "base: there is no such option");
	refuses("idle_ms", "1", "idle_ms: there is no such option");
}

/* A program with an earlier header has a shorter struct, behind which nothing is written. */
TEST(what_the_struct_of_an_earlier_version_lacks_is_no_option)
{
	ck_assert_int_eq(sks_options_set_abi(&options, offsetof(struct sks_options, workers), "workers",
	    "2", why, sizeof(why)), -1);
	ck_assert_str_eq(why, "workers: there is no such option");
	ck_assert_int_eq(options.workers, 0);
}

TEST(each_option_has_its_line_and_can_be_set)
{
	char *text = sks_options_describe(), *line = text;
	char start[64];
	unsigned int i;

	for (i = 0; sks_options_name(i) != NULL; i++) {
		snprintf(start, sizeof(start), "  --%s ", sks_options_name(i));
		ck_assert_msg(strncmp(line, start, strlen(start)) == 0, "%s: %s", start, line);
		ck_assert_int_eq(sks_options_set(&options, sks_options_name(i), "", why, sizeof(why)), -1);
		line = strchr(line, '\n') + 1;
	}
	ck_assert_int_gt((int)i, 5);
	ck_assert_str_eq(line, "");
	ck_assert_ptr_nonnull(strstr(text, "  --idle TIME          of a silent client (1m); 0: no limit\n"));
	free(text);
}

static int
done(struct sks_request *req)
{
	(void)req;
	return SKS_DONE;
}

TEST(a_server_takes_each_default_that_is_told)
{
	struct sks_handler handler = { .handle = done };
	char *text = sks_options_describe(), *open, value[32];
	unsigned int i;

	for (i = 0; sks_options_name(i) != NULL; i++) {
		struct sks_server *server;

		open = strstr(text, sks_options_name(i));
		open = memchr(open, '(', strcspn(open, "\n"));
		if (open == NULL)
			continue; /* it has none, or it depends */
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(open + 1, ")"), open + 1);
		becomes(sks_options_name(i), value);
		server = sks_server_new(&handler, &options);
		ck_assert_msg(server != NULL, "--%s %s", sks_options_name(i), value);
		sks_server_free(server);
	}
	free(text);
}

TEST(without_memory_there_is_no_description)
{
	ck_assert_int_eq(sks_fault("malloc:ENOMEM"), 0);
	ck_assert_ptr_null(sks_options_describe());
	sks_fault_clear();
}
