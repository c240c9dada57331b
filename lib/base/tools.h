/* SPDX-License-Identifier: MIT */
/*
 * tools.h - sanitizers and valgrind: whether one watches this code or this process.
 *
 * A program that is compiled for a sanitizer may use the library as it is
 * installed. So the sanitizers' functions are referred to weakly, in every
 * build: a function that is not NULL belongs to a sanitizer that is here. (gcc
 * and clang share these functions; their header need not be installed.)
 */
#ifndef SKS_BASE_TOOLS_H
#define SKS_BASE_TOOLS_H

#include <stddef.h>

/*
 * Each is 1 where this code is compiled for that sanitizer. gcc and clang have different macros
 * for it.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKS_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SKS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SKS_ASAN)
#define SKS_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(SKS_TSAN)
#define SKS_TSAN 1
#endif
#ifndef SKS_ASAN
#define SKS_ASAN 0
#endif
#ifndef SKS_TSAN
#define SKS_TSAN 0
#endif

/* AddressSanitizer takes a stack as its lowest byte and its size. */
__attribute__((weak)) void __sanitizer_start_switch_fiber(
    void **fake_stack, const void *low, size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(
    void *fake_stack, const void **old_low, size_t *old_size);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void *at, size_t size);

/* LeakSanitizer, which AddressSanitizer includes. */
__attribute__((weak)) void __lsan_register_root_region(const void *at, size_t size);
__attribute__((weak)) void __lsan_unregister_root_region(const void *at, size_t size);

/* ThreadSanitizer. */
__attribute__((weak)) void *__tsan_get_current_fiber(void);
__attribute__((weak)) void *__tsan_create_fiber(unsigned int flags);
__attribute__((weak)) void __tsan_destroy_fiber(void *fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void *fiber, unsigned int flags);
__attribute__((weak)) void __tsan_acquire(void *at);
__attribute__((weak)) void __tsan_release(void *at);

static inline int
sks_has_asan(void)
{
	return __sanitizer_start_switch_fiber != NULL;
}

static inline int
sks_has_lsan(void)
{
	return __lsan_register_root_region != NULL;
}

static inline int
sks_has_tsan(void)
{
	return __tsan_switch_to_fiber != NULL;
}

/*
 * What this thread did before sks_tell_release() happened before what another
 * one does after sks_tell_acquire() of the same object. Needed beside an atomic
 * variable that orders the memory of handlers: ThreadSanitizer sees no atomic
 * operations of code that is not compiled for it. It sees those of pthread_mutex_lock(3).
 */
static inline void
sks_tell_release(void *at)
{
	if (__tsan_release != NULL)
		__tsan_release(at);
}

static inline void
sks_tell_acquire(void *at)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(at);
}

/* Outside of valgrind its requests are a few instructions, so release builds have them too. */
#if !defined(SKS_NO_VALGRIND) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_STACK_REGISTER(low, high) 0U
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

/* Says whether AddressSanitizer or valgrind looks for the use of memory that was released. */
static inline int
sks_has_memory_checker(void)
{
	return sks_has_asan() || RUNNING_ON_VALGRIND;
}

#endif
