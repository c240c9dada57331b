/* SPDX-License-Identifier: MIT */
/*
 * elf.h - can the dynamic loader take this file without harm?
 */
#ifndef SKS_HOST_ELF_H
#define SKS_HOST_ELF_H

/*
 * Is the open file a whole shared object for this machine? 0, or -1 and errno,
 * ENOEXEC when it is not, and *why, a constant, or NULL for strerror(3).
 */
int sks_elf_check(int fd, const char **why);

#endif
