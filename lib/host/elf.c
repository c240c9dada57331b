/* SPDX-License-Identifier: MIT */
/*
 * Looks at a file before dlopen(3) gets it. The dynamic loader reports a file of another
 * architecture as one that is not there. And it maps a file that was cut short, such as a
 * copy that is still being made, as if it were whole: the first use of a missing page is a
 * SIGBUS in the host.
 */
#include "host/elf.h"

#include "base/sys.h"
#include "base/why.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

/* The linker gives this name to the header of the file that this code is in. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* Reads n bytes at an offset. 0: all of them are there. */
static int
read_at(int fd, void *to, size_t n, uint64_t at, const char **why)
{
	ssize_t got = sks_sys_pread(fd, to, n, (off_t)at);

	*why = NULL;
	if (got == -1)
		return -1;
	return (size_t)got == n ? 0 : sks_refuse(ENOEXEC, why, "cut short");
}

static int
check_header(const ElfW(Ehdr) *header, const char **why)
{
	const ElfW(Ehdr) *own = &__ehdr_start;

	if (header->e_ident[EI_CLASS] != own->e_ident[EI_CLASS] ||
	    header->e_ident[EI_DATA] != own->e_ident[EI_DATA] ||
	    header->e_machine != own->e_machine)
		return sks_refuse(ENOEXEC, why, "built for another architecture");
	if (header->e_type != ET_DYN || header->e_phentsize != sizeof(ElfW(Phdr)))
		return sks_refuse(ENOEXEC, why, "not a shared object");
	return 0;
}

/* Returns 0 when the file has all bytes that the loader will map. */
static int
check_segments(int fd, const ElfW(Ehdr) *header, uint64_t size, const char **why)
{
	ElfW(Phdr) segment;
	int i, loads = 0;

	for (i = 0; i < header->e_phnum; i++) {
		if (read_at(fd, &segment, sizeof(segment),
			header->e_phoff + (uint64_t)i * sizeof(segment), why) == -1)
			return -1;
		if (segment.p_type != PT_LOAD)
			continue;
		loads++;
		if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)
			return sks_refuse(ENOEXEC, why, "cut short");
	}
	return loads > 0 ? 0 : sks_refuse(ENOEXEC, why, "not a shared object");
}

int
sks_elf_check(int fd, const char **why)
{
	ElfW(Ehdr) header = { 0 };
	struct stat st;

	*why = NULL;
	if (sks_sys_fstat(fd, &st) == -1 ||
	    sks_sys_pread(fd, header.e_ident, sizeof(header.e_ident), 0) == -1)
		return -1;
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return sks_refuse(ENOEXEC, why, "not an ELF file");
	if (read_at(fd, &header, sizeof(header), 0, why) == -1 || check_header(&header, why) == -1)
		return -1;
	return check_segments(fd, &header, (uint64_t)st.st_size, why);
}
