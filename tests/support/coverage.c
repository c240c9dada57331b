/* SPDX-License-Identifier: MIT */
/*
 * coverage.c - for the coverage build alone (sh tests/coverage.sh): processes that end without a
 * word to gcov first write down which lines were run. A child process of the server leaves by
 * _exit(2), and some children of suites overflow their stack.
 */
#include "child.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);

void
_exit(int status)
{
	__gcov_dump();
	_Exit(status); /* the one of libc, which the name above hides */
}

static void
on_death(int signo)
{
	__gcov_dump();
	(void)signal(signo, SIG_DFL);
	(void)raise(signo); /* it is delivered when the handler has returned */
}

void
child_catch_death(void)
{
	static const int deadly[] = { SIGBUS, SIGSEGV };
	struct sigaction action = { .sa_handler = on_death, .sa_flags = SA_ONSTACK }, before;
	size_t i;

	for (i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (sigaction(deadly[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			(void)sigaction(deadly[i], &action, NULL);
}
