/* SPDX-License-Identifier: MIT */
/*
 * glob.h - patterns as KEYS has them: * ? [a-z] [^a] and \ before any of these.
 *
 * fnmatch(3) takes strings that end with a NUL, and follows the locale.
 */
#ifndef HANDLERS_GLOB_H
#define HANDLERS_GLOB_H

#include <stddef.h>

/* 1: all of the text is as the pattern says; 0. Takes at most their lengths' product of steps. */
int glob(const char *pattern, size_t pattern_len, const char *text, size_t n);

#endif
