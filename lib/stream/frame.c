/* SPDX-License-Identifier: MIT */
/*
 * Numbers of a fixed size, and blocks with their length in front.
 *
 * A number or a block is taken from the stream whole or not at all: it is gathered in the buffer
 * and handed out there. So after a time-out, or at an end within it, what has come is still
 * there, and sks_end() tells a stream that was cut from one that has ended. The buffer grows as
 * bytes come: what a peer announces and does not send costs nothing.
 */
#include "stream/rfile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* Returns how many bytes a number has. 0, with EINVAL: there is no such format. */
static size_t
size_of(int format)
{
	if (format >= -8 && format <= 8 && format != 0)
		return (size_t)abs(format);
	errno = EINVAL;
	return 0;
}

static uint64_t
decode(const unsigned char *bytes, int format)
{
	size_t n = (size_t)abs(format), i;
	uint64_t value = 0;

	for (i = 0; i < n; i++)
		value = value << 8 | bytes[format > 0 ? i : n - 1 - i];
	return value;
}

/* Writes the number to bytes. Returns its size; or 0, with EINVAL or ERANGE. */
static size_t
encode(unsigned char bytes[8], int format, uint64_t value)
{
	size_t n = size_of(format), i;

	if (n != 0 && n < 8 && value >> 8 * n != 0) {
		errno = ERANGE;
		return 0;
	}
	for (i = 0; i < n; i++, value >>= 8)
		bytes[format > 0 ? n - 1 - i : i] = (unsigned char)value;
	return n;
}

/*
 * Gathers n bytes in the buffer. 1; 0: the input ends, and the buffer is empty; or -1, with ENODATA
 * where the input ends within these bytes.
 */
static int
gather(struct sks_rfile *r, struct sks_patience *p, size_t n)
{
	int rc = sks_rfile_gather(r, p, n);

	if (rc != 0 || sks_buf_length(&r->buf) == 0)
		return rc;
	errno = ENODATA;
	return -1;
}

/* Gathers a number, and leaves it in the buffer. Returns what gather() does. */
static int
peek_number(struct sks_rfile *r, struct sks_patience *p, int format, size_t size, uint64_t *value)
{
	int rc = gather(r, p, size);

	if (rc == 1)
		*value = decode(r->buf.base + r->buf.start, format);
	return rc;
}

int
sks_read_number(struct sks_rfile *r, int format, uint64_t *value)
{
	struct sks_patience p = { 0 };
	size_t size = size_of(format);
	int rc;

	if (size == 0 || sks_rfile_begin(r) == -1)
		return -1;
	rc = peek_number(r, &p, format, size, value);
	if (rc == 1) {
		sks_rfile_consume(r, size);
		sks_task_current()->lines++;
	}
	sks_rfile_end(r);
	return rc;
}

static int
read_block(struct sks_rfile *r, int format, size_t size, size_t max, char **block, size_t *n)
{
	struct sks_patience p = { 0 };
	uint64_t length;
	int rc = peek_number(r, &p, format, size, &length);

	if (rc != 1)
		return rc;
	if (length > max || length > SSIZE_MAX / 4) {
		errno = EMSGSIZE;
		return -1;
	}
	rc = gather(r, &p, size + (size_t)length);
	if (rc != 1)
		return rc;
	*n = (size_t)length;
	/*
	 * Its length is consumed last. So the NUL of an empty block does not stand where an emptied
	 * buffer begins, which sks_readline() would take for the place of the next line.
	 */
	sks_rfile_hand_out(r, sks_task_current(), r->buf.base + r->buf.start + size, *n, block);
	sks_rfile_consume(r, size);
	return 1;
}

int
sks_read_block(struct sks_rfile *r, int format, size_t max, char **block, size_t *n)
{
	size_t size = size_of(format);
	int rc;

	if (size == 0 || sks_rfile_begin(r) == -1)
		return -1;
	rc = read_block(r, format, size, max != 0 ? max : r->max_line, block, n);
	sks_rfile_end(r);
	return rc;
}

int
sks_write_number(struct sks_wfile *w, int format, uint64_t value)
{
	unsigned char bytes[8];
	size_t size = encode(bytes, format, value);

	return size != 0 ? sks_write(w, bytes, size) : -1;
}

int
sks_write_block(struct sks_wfile *w, int format, const void *buf, size_t n)
{
	unsigned char bytes[8];
	size_t size = encode(bytes, format, n);
	struct iovec pieces[] = { { bytes, size }, { (void *)buf, n } };

	return size != 0 ? sks_writev(w, pieces, 2) : -1;
}
