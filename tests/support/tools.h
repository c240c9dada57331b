/* SPDX-License-Identifier: MIT */
/*
 * tools.h - what may watch a test program: valgrind, or a sanitizer that it is built with.
 */
#ifndef SKS_TEST_TOOLS_H
#define SKS_TEST_TOOLS_H

#include "base/tools.h" /* SKS_ASAN, SKS_TSAN, valgrind.h */

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
