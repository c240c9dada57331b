/* SPDX-License-Identifier: MIT */
/*
 * error_pipe.h - what the suites of the log share: standard error is a pipe, which the test reads.
 */
#ifndef SKS_TEST_ERROR_PIPE_H
#define SKS_TEST_ERROR_PIPE_H

#include <stddef.h>

/*
 * The fixture: standard error becomes a pipe, and is itself again; no system call fails on order.
 */
void error_pipe_setup(void);
void error_pipe_teardown(void);

/* Reads what has been written, as text. Returns to. */
const char *error_pipe_read(char *to, size_t size);

/* Fills the pipe until poll(2) says that there is no room; takes all out of it. */
void error_pipe_fill(void);
void error_pipe_empty(void);

/* Closes the end that is read, and makes a new pipe. */
void error_pipe_break(void);
void error_pipe_anew(void);

#endif
