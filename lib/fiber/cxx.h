/* SPDX-License-Identifier: MIT */
/*
 * cxx.h - what a C++ runtime keeps for each thread, kept for each fiber.
 *
 * The runtime knows by it which exceptions are being handled and how many are
 * on their way. Without a copy for each fiber, `throw;` and
 * std::current_exception() of one handler would find the exception of another
 * that waits in its catch block, and would free it.
 */
#ifndef SKS_FIBER_CXX_H
#define SKS_FIBER_CXX_H

#include <stdatomic.h>

#define SKS_CXX_MOST 4 /* runtimes in one process: libstdc++, libc++abi, those of plugins alone */

/* The layout is that of the C++ ABI, which all compilers of a machine share. */
struct sks_cxx_state {
	void *caught;          /* a list of exceptions; the innermost catch block's first */
	unsigned int uncaught; /* thrown, and not caught yet */
#ifdef __ARM_EABI_UNWINDER__
	void *propagating;
#endif
};

extern atomic_int sks_cxx_runtimes; /* how many are known */

/*
 * Looks for the C++ runtimes that came into the process since the last look,
 * with the program or as shared libraries by dlopen(3). Thread-safe.
 */
void sks_cxx_look(void);

/*
 * Looks for one in a library that dlopen(3) returned: it may have a runtime of
 * its own, linked statically, which nobody else can find. Thread-safe.
 */
void sks_cxx_look_in(void *library);

/*
 * Exchanges what the first n runtimes keep for this thread for what states
 * holds. Called with the same n before a fiber runs and after it has stopped.
 */
void sks_cxx_exchange(struct sks_cxx_state *states, int n);

#endif
