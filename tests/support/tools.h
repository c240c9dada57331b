/* SPDX-License-Identifier: MIT */
/*
 * tools.h - what may watch a test program: valgrind, or a sanitizer that it is built with.
 */
#ifndef SKS_TEST_TOOLS_H
#define SKS_TEST_TOOLS_H

#include "fiber/context.h" /* SKS_ASAN, SKS_TSAN */

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#endif

/* Stands once in a program whose children die of signals: a sanitizer would make exits of those. */
#if SKS_ASAN
#define SIGNALS_KILL SANITIZER_OPTIONS_(__asan_default_options)
#elif SKS_TSAN
#define SIGNALS_KILL SANITIZER_OPTIONS_(__tsan_default_options)
#else
#define SIGNALS_KILL struct signals_kill
#endif
#define SANITIZER_OPTIONS_(function)                                                          \
	const char *function(void);                                                           \
	const char *function(void)                                                            \
	{                                                                                     \
		return "handle_segv=0:handle_sigbus=0:handle_abort=0:use_sigaltstack=0";      \
	}                                                                                     \
	struct signals_kill

#endif
