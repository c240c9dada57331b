/* SPDX-License-Identifier: MIT */
/*
 * harness.h - what the suites share: running one suite, and proof that a test
 * left nothing behind.
 */
#ifndef SKS_TEST_HARNESS_H
#define SKS_TEST_HARNESS_H

#include <check.h>

/* The whole main() of a suite: EXIT_SUCCESS or EXIT_FAILURE. */
int run_suite(Suite *suite);

/*
 * Checked fixture: setup counts descriptors, threads and children, teardown
 * fails the test when there are more. Also clears the fault table.
 */
void no_leaks_setup(void);
void no_leaks_teardown(void);

#endif
