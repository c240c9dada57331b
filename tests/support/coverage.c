/* SPDX-License-Identifier: MIT */
/*
 * coverage.c - for the coverage build alone (sh tests/coverage.sh): _exit(2) that first writes down
 * which lines were run. A child process of the server leaves by _exit(2), which libc's own would do
 * without a word to gcov.
 */
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);

void
_exit(int status)
{
	__gcov_dump();
	_Exit(status); /* the one of libc, which the name above hides */
}
