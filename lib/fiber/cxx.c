/* SPDX-License-Identifier: MIT */
/*
 * cxx.c - the C++ runtimes of the process.
 *
 * __cxa_get_globals() is part of the C++ ABI that gcc and clang share. It is
 * referred to weakly, so the library needs no C++ runtime. That finds the
 * runtime of a program in C++. A program in C gets one with its first plugin in
 * C++, when our references are long bound, so the runtimes are also looked for
 * by the names of their libraries, among those that are loaded.
 *
 * dlopen(3) is weak too: without a reference from us, a static program has it
 * only when the program itself loads code.
 */
#include "fiber/cxx.h"

#include "base/util.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

typedef void *cxa_get_globals(void);

extern cxa_get_globals __cxa_get_globals __attribute__((weak));
extern __typeof__(dlopen) dlopen __attribute__((weak));
extern __typeof__(dlsym) dlsym __attribute__((weak));
extern __typeof__(dlclose) dlclose __attribute__((weak));

atomic_int sks_cxx_runtimes;

static cxa_get_globals *runtimes[SKS_CXX_MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
add(cxa_get_globals *globals)
{
	int i, n = atomic_load(&sks_cxx_runtimes);

	for (i = 0; i < n; i++)
		if (runtimes[i] == globals)
			return;
	if (n == SKS_CXX_MOST)
		return;
	runtimes[n] = globals;
	atomic_store(&sks_cxx_runtimes, n + 1);
}

static void
add_of(void *library)
{
	void *symbol = dlsym(library, "__cxa_get_globals");

	if (symbol != NULL)
		add((cxa_get_globals *)symbol);
	else
		dlerror(); /* is read, so that the program does not find ours */
}

static void
add_if_loaded(const char *name)
{
	void *library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);

	if (library == NULL) {
		dlerror();
		return;
	}
	add_of(library);
	dlclose(library);
}

void
sks_cxx_look(void)
{
	static const char *const names[] = { "libstdc++.so.6", "libc++abi.so.1" };
	size_t i;

	pthread_mutex_lock(&lock);
	if (__cxa_get_globals != NULL)
		add(__cxa_get_globals);
	for (i = 0; dlopen != NULL && i < SKS_ARRAY_LEN(names); i++)
		add_if_loaded(names[i]);
	pthread_mutex_unlock(&lock);
}

void
sks_cxx_look_in(void *library)
{
	pthread_mutex_lock(&lock);
	add_of(library);
	pthread_mutex_unlock(&lock);
}

void
sks_cxx_exchange(struct sks_cxx_state *states, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		struct sks_cxx_state *here = runtimes[i](), other = *here;

		*here = states[i];
		states[i] = other;
	}
}
