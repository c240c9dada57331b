/* SPDX-License-Identifier: MIT */
/*
 * raw.h - system calls by the instruction itself, for the calls of every
 * message and of every forked child.
 *
 * In a process with threads libc makes recv(2), send(2), poll(2) and close(2)
 * cancellation points, with two locked instructions each; no thread may be
 * cancelled in the library anyway. And a child has to map each 64 KiB of libc's
 * code anew that it runs, which costs it as much as ten calls. Sanitizers must
 * see libc's own.
 */
#ifndef SKS_BASE_RAW_H
#define SKS_BASE_RAW_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SKS_RAW_WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKS_RAW_WATCHED 1
#endif

/* Where it is by the instruction itself. */
#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(__ILP32__)
#define SKS_RAW 1
#endif

/* As syscall(2). Up to six arguments; those that are left out are 0. */
#define sks_raw(...) SKS_RAW_PAD(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SKS_RAW_PAD(number, a, b, c, d, e, f, ...)                                                 \
	sks_raw_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline long
sks_raw_call(long number, long a, long b, long c, long d, long e, long f)
{
#if !defined(SKS_RAW)
	return syscall(number, a, b, c, d, e, f);
#elif defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long rc;

	__asm__ volatile("syscall"
			 : "=a"(rc)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = number;
	register long rc __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(rc)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
#endif
#ifdef SKS_RAW
	if (__builtin_expect(rc < 0, 0)) {
		errno = (int)-rc;
		rc = -1;
	}
	return rc;
#endif
}

#endif
