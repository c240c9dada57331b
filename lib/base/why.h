/* SPDX-License-Identifier: MIT */
/*
 * why.h - how a call that fails tells its caller why, in words; sks_fail() of log.h tells the log.
 */
#ifndef SKS_BASE_WHY_H
#define SKS_BASE_WHY_H

#include <stddef.h>

/* Sets *why, to a text that stays, and errno. Returns -1. */
int sks_refuse(int error, const char **why, const char *reason);

/* Formats the reason into the text at why, of that size, and sets errno. Returns -1. */
int sks_refuse_in(int error, char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
