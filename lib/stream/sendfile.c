/* SPDX-License-Identifier: MIT */
/*
 * sks_sendfile: a part of a file becomes output.
 *
 * A large part goes to a stream by sendfile(2) (flush.c). Two kinds are read into the buffer: a
 * short part, since a header and the part behind it would be two packets, and output that stays
 * in memory until it is whole. Then all of the part is output, or nothing of it.
 */
#include "stream/flush.h"
#include "stream/wfile.h"

#include <errno.h>

/* Has all of a part read into the page cache, so that no read of it waits for a disk. 0, or -1. */
static int
fetch_all(const struct sks_file_part *part)
{
	struct sks_file_part rest = *part;

	while (rest.left > 0) {
		if (sks_file_is_cold(&rest)) {
			sks_flush_dirty();
			if (sks_file_fetch(&rest) == -1)
				return -1;
		}
		sks_file_advance(&rest, rest.ready);
	}
	return 0;
}

/* Reads all of a part to `to`, which has room for it. 0, or -1 and errno. */
static int
read_all(struct sks_file_part *part, unsigned char *to)
{
	part->ready = part->left;
	while (part->left > 0) {
		ssize_t got = sks_file_read(part, to, part->left);

		if (got == -1)
			return -1;
		sks_file_advance(part, (size_t)got);
		to += got;
	}
	return 0;
}

static int
add_to_buffer(struct sks_wfile *w, struct sks_file_part *part)
{
	size_t n = part->left;

	if (sks_wfile_begin(w, n) == -1 || fetch_all(part) == -1 || sks_wfile_begin(w, n) == -1 ||
	    sks_buf_reserve(&w->buf, w->pool, n) == -1 ||
	    read_all(part, w->buf.base + w->buf.end) == -1)
		return -1;
	if (n > 0)
		sks_wfile_added(w, n);
	return 0;
}

static int
send_part(struct sks_wfile *w, struct sks_file_part *part)
{
	if (!sks_wfile_is_direct(w, part->left))
		return add_to_buffer(w, part);
	return sks_wfile_begin(w, 0) == -1 ? -1 : sks_wfile_send_file(w, part);
}

int
sks_sendfile(struct sks_wfile *w, int fd, int64_t offset, int64_t n)
{
	struct sks_file_part part;

	if (sks_file_part_init(&part, fd, offset, n) == -1 ||
	    sks_stream_claim(sks_task_current(), &w->claimed) == -1)
		return -1;
	return sks_wfile_end(w, send_part(w, &part));
}
