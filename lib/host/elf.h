/* SPDX-License-Identifier: MIT */
/*
 * elf.h - whether the dynamic loader can take a file without harm.
 */
#ifndef SKS_HOST_ELF_H
#define SKS_HOST_ELF_H

/*
 * Checks that the open file is a whole shared object for this machine. 0, or -1 and errno,
 * which is ENOEXEC when it is not. Then *why is a constant text, or NULL: strerror(3) says
 * it.
 */
int sks_elf_check(int fd, const char **why);

#endif
