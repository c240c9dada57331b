/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_S 60

/*
 * Both lists are in the order of the file. Constructors run in an order of the compiler's own, so
 * the line tells.
 */
static struct suite_test *tests;
static struct suite_fixture *fixtures;

void
suite_add_test(struct suite_test *test)
{
	struct suite_test **at = &tests;

	while (*at != NULL && (*at)->test.line < test->test.line)
		at = &(*at)->next;
	test->next = *at;
	*at = test;
}

void
suite_add_fixture(struct suite_fixture *fixture)
{
	struct suite_fixture **at = &fixtures;

	while (*at != NULL && (*at)->line < fixture->line)
		at = &(*at)->next;
	fixture->next = *at;
	*at = fixture;
}

/* -- one test, variant by variant -- */

static char **wanted; /* the program's arguments */

static int
is_wanted(const char *name)
{
	char **w;

	for (w = wanted; *w != NULL; w++)
		if (strstr(name, *w) != NULL)
			return 1;
	return wanted[0] == NULL;
}

/* Check keeps pointers to both, so they stay until the program ends. */
struct variant {
	TTest test;
	char name[160];
	struct variant *next;
};

static const char *
word_for(const struct suite_test *test, int i)
{
	static char number[16];
	const char *word;

	if (test->variant != NULL)
		return test->variant(i);
	if (test->table != NULL) {
		memcpy(&word, (const char *)test->table + (size_t)i * test->row, sizeof(word));
		return word;
	}
	snprintf(number, sizeof(number), "%d", i);
	return number;
}

static const TTest *
named(const struct suite_test *test, int i)
{
	static struct variant *all;
	struct variant *v = malloc(sizeof(*v));
	char *c;

	if (v == NULL)
		abort();
	v->next = all;
	all = v;
	snprintf(v->name, sizeof(v->name), "%s (%.50s)", test->test.name, word_for(test, i));
	for (c = v->name; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '.';
	v->test = test->test;
	v->test.name = v->name;
	return &v->test;
}

static int
number_of(const char *variable)
{
	const char *number = getenv(variable);

	return number != NULL ? atoi(number) : 0;
}

/* Which variants run: every step-th from *first on, which is at least one. */
static int
step_of(const struct suite_test *test, int *first)
{
	static int sampled;
	int step = number_of("SKS_TEST_EVERY");

	if (step <= 1 || test->table != NULL || test->times <= number_of("SKS_TEST_FEW"))
		return 1;
	*first = sampled++ % (step < test->times ? step : test->times);
	return step;
}

void
suite_skip(const char *name, const char *why)
{
	printf("skip - %s: %s\n", name, why);
	fflush(stdout); /* a test may be in a child */
}

static void
add(TCase *tc, const struct suite_test *test)
{
	int first = 0, step = step_of(test, &first), i;

	if (test->left_out != NULL) {
		suite_skip(test->test.name, test->left_out);
	} else if (test->times == 0) {
		if (is_wanted(test->test.name))
			_tcase_add_test(tc, &test->test, test->signal, 0, 0, 1);
	} else {
		for (i = first; i < test->times; i += step) {
			const TTest *variant = named(test, i);

			if (is_wanted(variant->name))
				_tcase_add_test(tc, variant, test->signal, 0, i, i + 1);
		}
	}
}

/* -- the suite -- */

static TCase *
new_case(const struct suite_fixture *fixture, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, fixture->timeout_s != 0 ? fixture->timeout_s : DEFAULT_TIMEOUT_S);
	if (fixture->setup != NULL || fixture->teardown != NULL)
		tcase_add_checked_fixture(tc, fixture->setup, fixture->teardown);
	return tc;
}

static Suite *
make_suite(const char *name)
{
	static const struct suite_fixture none;
	const struct suite_fixture *fixture = &none, *next = fixtures;
	const struct suite_test *test;
	Suite *suite = suite_create(name);
	TCase *tc = NULL;

	for (test = tests; test != NULL; test = test->next) {
		for (; next != NULL && next->line < test->test.line; next = next->next) {
			fixture = next;
			tc = NULL;
		}
		if (fixture->left_out != NULL) {
			suite_skip(test->test.name, fixture->left_out);
			continue;
		}
		if (tc == NULL)
			suite_add_tcase(suite, tc = new_case(fixture, name));
		add(tc, test);
	}
	return suite;
}

int
main(int argc, char **argv)
{
	static const char prefix[] = "check_";
	const char *name = program_invocation_short_name;
	SRunner *runner;
	int failed;

	(void)argc;
	signal(SIGINT, SIG_DFL); /* a shell in the background has it ignored, and the tests raise it */
	wanted = argv + 1;
	if (strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	runner = srunner_create(make_suite(name));
	fflush(stdout); /* a test's process begins with what its parent has not yet written */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
