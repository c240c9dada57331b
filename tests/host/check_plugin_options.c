/* SPDX-License-Identifier: MIT */
/*
 * check_plugin_options.c - the text of options: what each type takes, what it
 * becomes, and what it says of the rest.
 */
#include "harness.h"

#include "base/sys.h"
#include "base/util.h"
#include "host/option.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <socketserver/host.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

struct config {
	uint64_t before;
	union {
		int64_t wide;
		int32_t narrow[2];
		const char *text;
	} value;
	uint64_t after;
};

#define WIDE .offset = offsetof(struct config, value), .size = 8
#define NARROW .offset = offsetof(struct config, value), .size = 4
#define GUARD UINT64_C(0x5a5a5a5a5a5a5a5a)

static struct config config;
static char why[SKS_OPTION_WHY];

static int
parse(const struct sks_plugin_option *option, const char *text, char **kept)
{
	config = (struct config){ GUARD, { .wide = (int64_t)GUARD }, GUARD };
	strcpy(why, "nothing was said");
	errno = 0;
	return sks_option_parse(option, text, &config, kept, why, sizeof(why));
}

static void
assert_guards(void)
{
	ck_assert_uint_eq(config.before, GUARD);
	ck_assert_uint_eq(config.after, GUARD);
}

static void
becomes(const struct sks_plugin_option *option, const char *text, int64_t value)
{
	char *kept;

	ck_assert_msg(parse(option, text, &kept) == 0, "%s: %s", text, why);
	ck_assert_ptr_null(kept);
	assert_guards();
	if (option->size == 4) {
		ck_assert_int_eq(config.value.narrow[0], value);
		ck_assert_int_eq(config.value.narrow[1], 0x5a5a5a5a);
	} else {
		ck_assert_int_eq(config.value.wide, value);
	}
}

/* One text with its value, or with what is said of it. */
static void
refuses(const struct sks_plugin_option *option, const char *text, const char *words)
{
	char expected[SKS_OPTION_WHY], *kept;

	snprintf(expected, sizeof(expected), "%s: %s", *text != '\0' ? text : "(nothing)", words);
	ck_assert_msg(parse(option, text, &kept) == -1, "%s was taken", text);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_str_eq(why, expected);
	ck_assert_ptr_null(kept);
	assert_guards();
	ck_assert_uint_eq((uint64_t)config.value.wide, GUARD);
}

TEST(a_number_is_all_of_the_text)
{
	static const struct sks_plugin_option wide = { .type = SKS_OPTION_INTEGER, WIDE };
	static const char *const none[] = { "", " ", "5x", "x5", " 5", "5 ", "+5", "--5", "-",
		"0x10", "5.0", "1e3", "5\n", "1k" };
	size_t i;

	becomes(&wide, "0", 0);
	becomes(&wide, "-0", 0);
	becomes(&wide, "42", 42);
	becomes(&wide, "-42", -42);
	becomes(&wide, "007", 7);
	becomes(&wide, "9223372036854775807", INT64_MAX);
	becomes(&wide, "-9223372036854775808", INT64_MIN);
	for (i = 0; i < SKS_ARRAY_LEN(none); i++)
		refuses(&wide, none[i], "not a number");
	refuses(&wide, "9223372036854775808", "must be at least -9223372036854775808");
	refuses(&wide, "-9223372036854775809", "must be at least -9223372036854775808");
	refuses(&wide, "99999999999999999999999999999999", "must be at least -9223372036854775808");
}

TEST(a_number_fits_its_member)
{
	static const struct sks_plugin_option narrow = { .type = SKS_OPTION_INTEGER, NARROW };
	static const struct sks_plugin_option size = { .type = SKS_OPTION_SIZE, NARROW };

	becomes(&narrow, "2147483647", INT32_MAX);
	becomes(&narrow, "-2147483648", INT32_MIN);
	refuses(&narrow, "2147483648", "must be -2147483648 to 2147483647");
	refuses(&narrow, "-2147483649", "must be -2147483648 to 2147483647");
	becomes(&size, "1G", 1 << 30);
	refuses(&size, "2G", "must be 0 to 2147483647");
}

TEST(bounds_are_kept_and_told)
{
	static const struct sks_plugin_option some = {
		.type = SKS_OPTION_INTEGER, WIDE, .min = 1, .max = 100 };
	static const struct sks_plugin_option below = {
		.type = SKS_OPTION_INTEGER, WIDE, .min = -5, .max = 0 };
	static const struct sks_plugin_option least = {
		.type = SKS_OPTION_INTEGER, WIDE, .min = 10, .max = INT64_MAX };
	static const struct sks_plugin_option size = {
		.type = SKS_OPTION_SIZE, WIDE, .min = 1024, .max = 1 << 20 };
	static const struct sks_plugin_option duration = {
		.type = SKS_OPTION_DURATION, WIDE, .min = 500, .max = 90000 };

	becomes(&some, "1", 1);
	becomes(&some, "100", 100);
	refuses(&some, "0", "must be 1 to 100");
	refuses(&some, "101", "must be 1 to 100");
	becomes(&below, "-5", -5);
	refuses(&below, "1", "must be -5 to 0");
	refuses(&least, "9", "must be at least 10");
	becomes(&size, "1k", 1024);
	refuses(&size, "1023", "must be 1k to 1M");
	refuses(&size, "1048577", "must be 1k to 1M");
	becomes(&duration, "1m", 60000);
	refuses(&duration, "0", "must be 500ms to 90s");
	refuses(&duration, "2m", "must be 500ms to 90s");
}

TEST(a_size_has_a_suffix)
{
	static const struct sks_plugin_option size = { .type = SKS_OPTION_SIZE, WIDE };
	static const char *const none[] = { "", "k", "1m", "1g", "1kB", "1KiB", "1 k", "1kk", "1T",
		"x" };
	size_t i;

	becomes(&size, "0", 0);
	becomes(&size, "0k", 0);
	becomes(&size, "100", 100);
	becomes(&size, "64k", 65536);
	becomes(&size, "64K", 65536);
	becomes(&size, "10M", 10 << 20);
	becomes(&size, "3G", INT64_C(3) << 30);
	becomes(&size, "8589934591G", INT64_C(8589934591) << 30);
	for (i = 0; i < SKS_ARRAY_LEN(none); i++)
		refuses(&size, none[i], "not a size (as 100, 64k, 10M, 1G)");
	refuses(&size, "-1", "must be at least 0");
	refuses(&size, "8589934592G", "must be at least 0");
	refuses(&size, "99999999999999999999k", "must be at least 0");
}

TEST(a_duration_has_a_suffix)
{
	static const struct sks_plugin_option duration = { .type = SKS_OPTION_DURATION, WIDE };
	static const char *const none[] = { "", "5", "s", "5S", "5sec", "1d", "1.5s", "5 s", "0x",
		"00d" };
	size_t i;

	becomes(&duration, "0", 0);
	becomes(&duration, "0s", 0);
	becomes(&duration, "1ms", 1);
	becomes(&duration, "30s", 30000);
	becomes(&duration, "5m", 300000);
	becomes(&duration, "2h", 7200000);
	becomes(&duration, "2562047788015h", INT64_C(2562047788015) * 3600000);
	for (i = 0; i < SKS_ARRAY_LEN(none); i++)
		refuses(&duration, none[i], "not a time (as 500ms, 30s, 5m, 1h)");
	refuses(&duration, "-5s", "must be at least 0");
	refuses(&duration, "2562047788016h", "must be at least 0");
}

TEST(a_boolean_is_a_word)
{
	static const struct sks_plugin_option boolean = { .type = SKS_OPTION_BOOLEAN, NARROW };
	static const char *const none[] = { "", "y", "YES", "2", "01", "yes ", "-1", "truefalse" };
	size_t i;

	becomes(&boolean, "yes", 1);
	becomes(&boolean, "on", 1);
	becomes(&boolean, "true", 1);
	becomes(&boolean, "1", 1);
	becomes(&boolean, "no", 0);
	becomes(&boolean, "off", 0);
	becomes(&boolean, "false", 0);
	becomes(&boolean, "0", 0);
	for (i = 0; i < SKS_ARRAY_LEN(none); i++)
		refuses(&boolean, none[i], "not yes or no");
}

static void
is_text(const struct sks_plugin_option *option, const char *text, const char *value)
{
	char *kept;

	ck_assert_msg(parse(option, text, &kept) == 0, "%s: %s", text, why);
	assert_guards();
	ck_assert_ptr_eq(kept, config.value.text);
	ck_assert_str_eq(kept, value);
	free(kept);
}

TEST(a_string_is_taken_as_it_is)
{
	static const struct sks_plugin_option string = { .type = SKS_OPTION_STRING, WIDE };
	static const struct sks_plugin_option some = {
		.type = SKS_OPTION_STRING, WIDE, .min = 2, .max = 4 };

	is_text(&string, "", "");
	is_text(&string, " a=b,c\n", " a=b,c\n");
	is_text(&some, "ab", "ab");
	is_text(&some, "abcd", "abcd");
	refuses(&some, "", "must be 2 to 4 bytes long");
	refuses(&some, "a", "must be 2 to 4 bytes long");
	refuses(&some, "abcde", "must be 2 to 4 bytes long");
}

TEST(a_path_becomes_absolute)
{
	static const struct sks_plugin_option path = { .type = SKS_OPTION_PATH, WIDE };
	char here[PATH_MAX], *before = getcwd(NULL, 0);

	ck_assert_ptr_nonnull(before);
	ck_assert_int_eq(chdir("/tmp"), 0);
	is_text(&path, "/a/b", "/a/b");
	is_text(&path, "a/b", "/tmp/a/b");
	is_text(&path, "../x", "/tmp/../x");
	ck_assert_int_eq(chdir("/"), 0);
	is_text(&path, "a", "/a");
	refuses(&path, "", "not a path");
	ck_assert_int_eq(chdir(before), 0);
	snprintf(here, sizeof(here), "%s/a", before);
	is_text(&path, "a", here);
	free(before);
}

TEST(the_bounds_of_a_path_are_those_of_the_absolute_one)
{
	static const struct sks_plugin_option path = { .type = SKS_OPTION_PATH, WIDE, .min = 6,
		.max = 8 };
	char *before = getcwd(NULL, 0), *kept;

	ck_assert_ptr_nonnull(before);
	ck_assert_int_eq(chdir("/tmp"), 0);
	is_text(&path, "a", "/tmp/a");
	is_text(&path, "abc", "/tmp/abc");
	is_text(&path, "/a/b/c/d", "/a/b/c/d");
	ck_assert_int_eq(parse(&path, "abcd", &kept), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_str_eq(why, "/tmp/abcd: must be 6 to 8 bytes long");
	ck_assert_ptr_null(kept);
	refuses(&path, "/a", "must be 6 to 8 bytes long");
	ck_assert_int_eq(chdir(before), 0);
	free(before);
}

TEST(a_long_text_is_told_in_part)
{
	static const struct sks_plugin_option number = { .type = SKS_OPTION_INTEGER, WIDE };
	char text[5000], *kept;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(parse(&number, text, &kept), -1);
	ck_assert_uint_eq(strlen(why), 64 + strlen(": not a number"));
}

TEST(without_memory_it_says_so)
{
	static const struct sks_plugin_option string = { .type = SKS_OPTION_STRING, WIDE };
	static const struct sks_plugin_option path = { .type = SKS_OPTION_PATH, WIDE };
	char *kept, expected[80];

	ck_assert_int_eq(sks_fault("malloc:ENOMEM"), 0);
	ck_assert_int_eq(parse(&string, "text", &kept), -1);
	ck_assert_int_eq(errno, ENOMEM);
	snprintf(expected, sizeof(expected), "text: %s", strerror(ENOMEM));
	ck_assert_str_eq(why, expected);
	ck_assert_int_eq(sks_fault("getcwd:ENOENT"), 0);
	ck_assert_int_eq(parse(&path, "text", &kept), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_null(kept);
}

/* -- the table itself -- */

TEST(a_wrong_entry_is_named)
{
	static const struct {
		struct sks_plugin_option option;
		const char *words;
	} wrong[] = {
		{ { .type = 0, WIDE }, "type" },
		{ { .type = 7, WIDE }, "type" },
		{ { .type = -1, WIDE }, "type" },
		{ { .type = SKS_OPTION_STRING, NARROW }, "size" },
		{ { .type = SKS_OPTION_PATH, NARROW }, "size" },
		{ { .type = SKS_OPTION_BOOLEAN, WIDE }, "size" },
		{ { .type = SKS_OPTION_INTEGER, .size = 2 }, "size" },
		{ { .type = SKS_OPTION_INTEGER, .size = 0 }, "size" },
		{ { .type = SKS_OPTION_INTEGER, .size = 8, .offset = 24 }, "outside" },
		{ { .type = SKS_OPTION_INTEGER, .size = 8, .offset = SIZE_MAX - 7 }, "outside" },
		{ { .type = SKS_OPTION_INTEGER, .size = 8, .offset = 4 }, "outside" },
		{ { .type = SKS_OPTION_INTEGER, WIDE, .min = 2, .max = 1 }, "bounds" },
		{ { .type = SKS_OPTION_SIZE, WIDE, .min = -2, .max = -1 }, "bounds" },
		{ { .type = SKS_OPTION_INTEGER, NARROW, .min = INT64_C(1) << 40, .max = INT64_MAX },
		    "bounds" },
	};
	static const struct sks_plugin_option right = {
		.type = SKS_OPTION_INTEGER, .size = 8, .offset = 16 };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(wrong); i++) {
		const char *said = sks_option_check(&wrong[i].option, sizeof(struct config));

		ck_assert_msg(said != NULL && strstr(said, wrong[i].words) != NULL, "%zu: %s", i,
		    said != NULL ? said : "it was taken");
	}
	ck_assert_ptr_null(sks_option_check(&right, sizeof(struct config)));
	ck_assert_ptr_nonnull(sks_option_check(&right, 23));
	ck_assert_ptr_nonnull(sks_option_check(&right, 0));
}

TEST(an_unknown_type_is_refused_by_the_public_call)
{
	static const struct sks_plugin_option none = { .type = 77, WIDE };

	refuses(&none, "1", "its type is unknown");
}
