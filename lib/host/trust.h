/* SPDX-License-Identifier: MIT */
/*
 * trust.h - may this file be run as code?
 */
#ifndef SKS_HOST_TRUST_H
#define SKS_HOST_TRUST_H

#include <stddef.h>

/*
 * Could nobody but root and the effective user have written the open file at
 * this absolute path without symbolic links, or put it there? 0, or -1 and
 * errno, EPERM when others could, and why in the `size` bytes at why.
 */
int sks_trust_file(int fd, const char *path, char *why, size_t size);

#endif
