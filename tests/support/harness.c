/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include "base/sys.h"

#include <dirent.h>
#include <stdlib.h>

static int descriptors, threads;

int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

void
no_leaks_setup(void)
{
	sks_fault_clear();
	descriptors = entries("/proc/self/fd");
	threads = entries("/proc/self/task");
}

void
no_leaks_teardown(void)
{
	sks_fault_clear();
	ck_assert_int_eq(entries("/proc/self/fd"), descriptors);
	ck_assert_int_eq(entries("/proc/self/task"), threads);
}
