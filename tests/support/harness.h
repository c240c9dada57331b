/* SPDX-License-Identifier: MIT */
/*
 * harness.h - what the suites share: proof that a test left nothing behind, and the log's lines
 * for reading.
 */
#ifndef SKS_TEST_HARNESS_H
#define SKS_TEST_HARNESS_H

#include "faults.h"
#include "suite.h"

#include <errno.h>
#include <signal.h>
#include <sys/types.h>

/*
 * Checked fixture: setup notes which descriptors are open and counts threads,
 * teardown fails the test when there are others, when a child is left (a
 * zombie is one), when the library or libevent kept memory, or when a signal's
 * disposition or the signal mask changed. Also clears the fault table.
 */
void no_leaks_setup(void);
void no_leaks_teardown(void);

/* Blocks of memory that the library or libevent has taken since the setup, and not given back. */
long memory_kept(void);

/* How many entries a directory has, with . and .. */
int count_entries(const char *path);

/* How many descriptors this process has. */
int open_descriptors(void);

/* The mask of a thread of the library: it blocks all signals but those of its own faults. */
void expect_signals_of_faults_only(const sigset_t *mask);

/* The call returns -1 with this errno. */
#define ck_fails(call, error)                     \
	do {                                      \
		errno = 0;                        \
		ck_assert_int_eq((call), -1);     \
		ck_assert_int_eq(errno, (error)); \
	} while (0)

/* 1 when valgrind, or a sanitizer, makes everything many times slower. */
int is_slow(void);

/* sks_fault(), which must take the rules. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on log lines are kept, not printed; to the end of the test. */
void log_keep(void);
void log_forget(void);

/* Of the lines kept: how many contain this text, and how many there are in all. */
int log_count(const char *text);
int log_lines(void);

/* How many contain this text, and behind it what the C library says of the error. */
int log_count_error(const char *text, int error);

/*
 * In a child that was forked: SIGALRM ends it after this time. Check's handler of that signal,
 * which a child has from its parent, would kill the test instead and say no more.
 */
void limit_child(unsigned int seconds);

/* 1 when that thread of this process waits for something: its state is S in /proc (proc(5)). */
int is_asleep(pid_t thread);

/* Lets other threads run for a moment. */
void breathe(void);

/* Waits until the condition holds, by looking at it again and again; fails after 30 s. */
#define ck_eventually(condition)                                      \
	do {                                                          \
		int looks = 30000;                                    \
		while (!(condition) && looks-- > 0)                   \
			breathe();                                    \
		ck_assert_msg(looks >= 0, "never: %s", #condition);   \
	} while (0)

#endif
