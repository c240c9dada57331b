/* SPDX-License-Identifier: MIT */
/*
 * file.h - a part of a file that is to be sent, and that a loop must not wait for.
 */
#ifndef SKS_STREAM_FILE_H
#define SKS_STREAM_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SKS_FILE_STEP (1024 * 1024) /* so much of it is made ready, and sent, at once */

struct sks_file_part {
	off_t at;     /* what comes next */
	size_t left;  /* bytes of it that are not sent yet */
	size_t ready; /* how many of these the task can have without waiting for a disk */
	int fd;
	int copied;   /* not 0: they go through memory; sendfile(2) has said that it cannot */
};

/*
 * Makes *part n bytes of a file, from offset on; with a negative n all that are behind offset. 0,
 * or -1 and errno: EBADF, EISDIR, ESPIPE (no regular file), EINVAL (a negative offset), ENODATA
 * (the file has fewer bytes).
 */
int sks_file_part_init(struct sks_file_part *part, int fd, int64_t offset, int64_t n);

/*
 * Must the current task wait for a disk before it has the next bytes? 0: no, and `ready` says how
 * many these are. 1: sks_file_fetch() is to be called, when the task has flushed.
 */
int sks_file_is_cold(struct sks_file_part *part);

/* Has a helper thread read the next bytes, and waits for that. 0, or -1 as every wait. */
int sks_file_fetch(struct sks_file_part *part);

/*
 * Reads up to n bytes of those that are ready. Returns how many; -1, ENODATA where the file has
 * ended.
 */
ssize_t sks_file_read(struct sks_file_part *part, void *buf, size_t n);

/* Goes on behind the next n bytes, which were sent. */
void sks_file_advance(struct sks_file_part *part, size_t n);

#endif
