/* SPDX-License-Identifier: MIT */
/*
 * trust.h - whether a file may be run as code.
 */
#ifndef SKS_HOST_TRUST_H
#define SKS_HOST_TRUST_H

#include <stddef.h>

/*
 * Checks that nobody but root and the effective user could have written the open file, or
 * put it at this absolute path without symbolic links. 0, or -1 with the reason in the
 * `size` bytes at why: EPERM when others could, or as fstat(2) and lstat(2) say.
 */
int sks_trust_file(int fd, const char *path, char *why, size_t size);

#endif
