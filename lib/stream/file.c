/* SPDX-License-Identifier: MIT */
/*
 * Files to be sent: what a fiber does so that its loop does not wait for a disk.
 *
 * sendfile(2) waits for pages that are not in memory. So a fiber looks first, by preadv2(2) with
 * RWF_NOWAIT, at the first and the last byte of each MiB. If one is missing a helper thread reads
 * that MiB, and the kernel keeps what it has read. Pages come and go in longer runs; where one is
 * missing between two that are there the loop waits for it. To look at one byte of each 64 KiB
 * took 1.09 times the CPU of sendfile(2) alone, and this takes 1.00 (tests/bench/sendfile.sh), as
 * a look costs 3 us where the page is in no cache of the processor. mincore(2) and cachestat(2),
 * which see each page, tell nothing to those who could not write to the file.
 *
 * A file system that does not know RWF_NOWAIT has a helper thread read each step. A thread or a
 * child process just sends: nobody waits with it.
 */
#include "stream/file.h"

#include "base/sys.h"
#include "base/util.h"
#include "fiber/task.h"
#include "loop/blocking.h"

#include <errno.h>

#define PAGE 4096 /* the smallest there is */

int
sks_file_part_init(struct sks_file_part *part, int fd, int64_t offset, int64_t n)
{
	struct stat st;
	char nothing;

	/* The kernel says by itself what is wrong with most descriptors and offsets. */
	if (sks_sys_pread(fd, &nothing, 0, offset) == -1 || sks_sys_fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = ESPIPE;
		return -1;
	}
	if (offset > st.st_size || n > st.st_size - offset) {
		errno = ENODATA;
		return -1;
	}
	*part = (struct sks_file_part){
		.fd = fd,
		.at = offset,
		.left = (size_t)(n < 0 ? st.st_size - offset : n),
	};
	return 0;
}

static size_t
next_step(const struct sks_file_part *part)
{
	return sks_min(part->left, SKS_FILE_STEP);
}

/*
 * Returns 1 when this byte is in memory, or needs no disk, as it is behind the end or unreadable.
 */
static int
is_there(const struct sks_file_part *part, size_t i)
{
	char byte;
	struct iovec iov = { &byte, 1 };

	return sks_sys_preadv2(part->fd, &iov, 1, part->at + (off_t)i, RWF_NOWAIT) != -1 ||
	    (errno != EAGAIN && errno != EOPNOTSUPP);
}

int
sks_file_is_cold(struct sks_file_part *part)
{
	size_t n = next_step(part);

	if (part->ready > 0)
		return 0;
	if (sks_task_current()->fiber != NULL && n > 0 &&
	    (!is_there(part, 0) || !is_there(part, n - 1)))
		return 1;
	part->ready = n;
	return 0;
}

/*
 * On a helper thread: one byte brings its page. An error, or an end, the task will see by itself.
 */
static void
read_through(void *arg)
{
	const struct sks_file_part *part = arg;
	off_t end = part->at + (off_t)next_step(part), at;
	char byte;

	for (at = part->at; at < end; at = (at / PAGE + 1) * PAGE)
		if (sks_sys_pread(part->fd, &byte, 1, at) <= 0)
			return;
}

int
sks_file_fetch(struct sks_file_part *part)
{
	/* Without a helper the loop has to wait for the disk: better that than to break off. */
	if (sks_blocking_run(read_through, part) == -1 && errno != EAGAIN)
		return -1;
	part->ready = next_step(part);
	return 0;
}

ssize_t
sks_file_read(struct sks_file_part *part, void *buf, size_t n)
{
	ssize_t got;

	do {
		got = sks_sys_pread(part->fd, buf, sks_min(n, part->ready), part->at);
	} while (got == -1 && errno == EINTR);
	if (got == 0) {
		errno = ENODATA;
		return -1;
	}
	return got;
}

void
sks_file_advance(struct sks_file_part *part, size_t n)
{
	part->at += (off_t)n;
	part->left -= n;
	part->ready -= n;
}
