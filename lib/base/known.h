/* SPDX-License-Identifier: MIT */
/*
 * known.h - structs of callers that were built with an older or newer version of the library.
 */
#ifndef SKS_BASE_KNOWN_H
#define SKS_BASE_KNOWN_H

#include <stddef.h>

/*
 * Copies a struct of `given` bytes, as its caller knows it, to one of `known`
 * bytes; a NULL `from` is all zero. The rule is that of openat2(2): a member that
 * this library does not know must be 0. Returns 0, or -1: E2BIG, after one line in the log, which
 * begins with what the struct is.
 */
int sks_copy_known(void *to, size_t known, const void *from, size_t given, const char *what);

#endif
