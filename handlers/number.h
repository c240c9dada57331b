/* SPDX-License-Identifier: MIT */
/*
 * number.h - whole numbers as redis reads them: no blanks, no plus, no leading zeros.
 */
#ifndef HANDLERS_NUMBER_H
#define HANDLERS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_MOST 20 /* characters of an int64_t */

/* Reads the n bytes at text. 0, or -1: they are no such number. */
int parse_number(const char *text, size_t n, int64_t *number);

#endif
