/* SPDX-License-Identifier: MIT */
/*
 * suite.h - a suite is a file of tests: TEST() defines and registers one, FIXTURE() says what
 * runs before and after each, and main() is in suite.c.
 *
 *     FIXTURE(set_up, tear_down);
 *
 *     TEST(an_end_is_read_once)
 *     {
 *     }
 *
 *     TEST(a_reset_ends_it, EACH_MODE)
 *     {
 *             _i is the number of the mode
 *     }
 *
 * Without arguments the program runs all of its tests; with arguments those whose name contains
 * one of them. A test that is run several times has the variant in its name: "a_reset_ends_it
 * (threads)". The environment variables of Check hold as well (CK_FORK=no, CK_VERBOSITY=verbose).
 *
 * With SKS_TEST_EVERY=N and SKS_TEST_FEW=M in the environment a test of more than M variants runs
 * every N-th only, or one if it has fewer than N, and the next such test begins one variant later.
 * So all modes and transports still have their tests where each test is slow and other builds run
 * them all (run.sh says so). The rows of a table all run: each is a test of something else.
 */
#ifndef SKS_TEST_SUITE_H
#define SKS_TEST_SUITE_H

#include "assertions.h"

#include <stddef.h>

struct suite_test {
	TTest test;
	int times;                     /* _i counts from 0 to times - 1; 0 is once */
	const char *(*variant)(int i); /* a word for the i-th */
	const void *table;             /* or its row in a table, which begins with a string */
	size_t row;                    /* of so many bytes; with neither, it is the number i */
	int signal;                    /* the test must end by this signal */
	const char *left_out;          /* why it does not run here; NULL: it runs */
	struct suite_test *next;
};

struct suite_fixture {
	int line;
	void (*setup)(void), (*teardown)(void);
	int timeout_s;        /* of each test; 0: 60 */
	const char *left_out; /* why its tests do not run here; NULL: they run */
	struct suite_fixture *next;
};

/* Says that a test has not run, or found no way to test, and why; run.sh shows it. */
void suite_skip(const char *name, const char *why);

void suite_add_test(struct suite_test *test);
void suite_add_fixture(struct suite_fixture *fixture);

/*
 * TEST(name, ...) is followed by the body. Behind the name may stand TIMES(n), EACH_OF(table), or
 * another macro that says for what the test is run (EACH_MODE and its kin in acceptance.h), and
 * members of struct suite_test.
 */
#define TEST(name_, ...)                                                                      \
	static void name_(int);                                                               \
	__attribute__((constructor)) static void name_##_is_a_test(void)                      \
	{                                                                                     \
		static struct suite_test test;                                                \
                                                                                              \
		test = (struct suite_test){ .test = { #name_, name_, __FILE__, __LINE__ },    \
			__VA_ARGS__ };                                                        \
		suite_add_test(&test);                                                        \
	}                                                                                     \
	static void name_(int _i __attribute__((unused)))

#define TIMES(n) .times = (n)

/* For each row of an array of strings, or of structs whose first member is a string. */
#define EACH_OF(table_)                                                                       \
	.times = (int)(sizeof(table_) / sizeof((table_)[0])), .table = (table_),              \
	.row = sizeof((table_)[0])

/*
 * FIXTURE(setup, teardown, ...) is for the tests that follow it in the file, up to the next one;
 * tests before the first have none. Both functions run in the process of each test.
 */
#define FIXTURE(setup_, teardown_, ...) FIXTURE_AT_(__LINE__, setup_, teardown_, __VA_ARGS__)
#define FIXTURE_AT_(line_, ...)         FIXTURE_NAMED_(line_, __VA_ARGS__)
#define FIXTURE_NAMED_(line_, setup_, teardown_, ...)                                         \
	__attribute__((constructor)) static void fixture_of_line_##line_(void)                \
	{                                                                                     \
		static struct suite_fixture fixture;                                          \
                                                                                              \
		fixture = (struct suite_fixture){ .line = line_, .setup = setup_,             \
			.teardown = teardown_, __VA_ARGS__ };                                 \
		suite_add_fixture(&fixture);                                                  \
	}                                                                                     \
	struct suite_fixture /* so that a semicolon stands behind it */

#endif
