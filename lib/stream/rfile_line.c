/* SPDX-License-Identifier: MIT */
/*
 * Reading lines, and other blocks that end with a certain byte or string.
 *
 * A line that is handed out lies in the buffer, and ends with a NUL that is put over the byte
 * behind it. That byte comes back at the next call. To copy each line out was the
 * alternative: it costs a copy and an allocation for each.
 */
#include "stream/rfile.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>

/* The bytes that a block ends with; n of them, at least one. */
struct ending {
	const char *bytes;
	size_t n;
};

static inline unsigned char *
search(const unsigned char *from, size_t n, const struct ending *end)
{
	if (end->n == 1)
		return memchr(from, (unsigned char)end->bytes[0], n);
	return memmem(from, n, end->bytes, end->n);
}

/*
 * Looks for the ending in the first max bytes of input, and reads as needed. 1: *n is the length
 * of the block with it. 0: the input ends without it, and has *n bytes more. -1.
 */
static int
find(struct sks_rfile *r, const struct ending *end, size_t max, size_t *n)
{
	struct sks_patience p = { 0 };
	size_t seen = 0; /* no ending begins before here */

	for (;;) {
		size_t have = sks_min(sks_buf_length(&r->buf), max);
		ssize_t got;

		if (have >= seen + end->n) {
			unsigned char *first = r->buf.base + r->buf.start;
			unsigned char *at = search(first + seen, have - seen, end);

			if (at != NULL) {
				*n = (size_t)(at - first) + end->n;
				return 1;
			}
			seen = have - end->n + 1;
		}
		*n = have;
		if (have >= max) {
			errno = EMSGSIZE;
			return -1;
		}
		got = sks_fill(r, &p, NULL, 0);
		if (got <= 0)
			return (int)got;
	}
}

static inline ssize_t
read_until(struct sks_rfile *r, const struct ending *end, size_t max, char **block)
{
	size_t n;

	switch (find(r, end, max != 0 ? max : r->max_line, &n)) {
	case -1:
		return -1;
	case 0:
		if (n == 0)
			return 0;
		break;
	}
	return sks_rfile_hand_out(r, sks_task_current(), r->buf.base + r->buf.start, n, block);
}

ssize_t
sks_readuntil(struct sks_rfile *r, int last, size_t max, char **block)
{
	const char byte = (char)last;
	ssize_t n;

	if (sks_rfile_begin(r) == -1)
		return -1;
	n = read_until(r, &(struct ending){ &byte, 1 }, max, block);
	sks_rfile_end(r);
	return n;
}

ssize_t
sks_readuntil_string(struct sks_rfile *r, const char *string, size_t max, char **block)
{
	struct ending end = { string, strlen(string) };
	ssize_t n;

	if (end.n == 0) {
		errno = EINVAL;
		return -1;
	}
	if (sks_rfile_begin(r) == -1)
		return -1;
	n = read_until(r, &end, max, block);
	sks_rfile_end(r);
	return n;
}

/*
 * Where clients pipeline, most lines stand right behind the one that was handed out last, and
 * take the short way: the line begins where that one's NUL stands. The byte under the NUL is
 * put back, and compared by itself, as a vector load over a store so young would have to
 * wait for it. With 16 lines in one send a line takes 234 instructions of the server, and 272
 * without this way (callgrind, examples/echo_server).
 */
ssize_t
sks_readline(struct sks_rfile *r, char **line)
{
	struct sks_task *task = sks_task_now;
	unsigned char *first = r->nul, *at = first;
	unsigned char under = r->under_nul;

	if (first == NULL || first != r->buf.base + r->buf.start || task->shares ||
	    task->lines >= SKS_BUDGET_LINES)
		return sks_readuntil(r, '\n', 0, line);
	*first = under;
	if (under != '\n')
		at = memchr(first + 1, '\n', sks_min(sks_buf_length(&r->buf), r->max_line) - 1);
	if (at == NULL)
		return sks_readuntil(r, '\n', 0, line);
	return sks_rfile_hand_out(r, task, first, (size_t)(at - first) + 1, line);
}

char *
sks_gets(struct sks_rfile *r)
{
	char *line;
	ssize_t n = sks_readline(r, &line);

	if (n <= 0) {
		if (n == 0)
			errno = 0;
		return NULL;
	}
	if (line[n - 1] == '\n') {
		line[--n] = '\0';
		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
	}
	return line;
}

static int
skip_line(struct sks_rfile *r)
{
	struct sks_patience p = { 0 };
	ssize_t got;

	do {
		size_t n = sks_buf_length(&r->buf);
		unsigned char *at = n > 0 ? memchr(r->buf.base + r->buf.start, '\n', n) : NULL;

		if (at != NULL) {
			sks_rfile_consume(r, (size_t)(at - r->buf.base) - r->buf.start + 1);
			return 1;
		}
		if (n > 0) {
			sks_rfile_consume(r, n);
			sks_rfile_progress(r, &p, n);
		}
		got = sks_fill(r, &p, NULL, 0);
	} while (got > 0);
	return got < 0 ? -1 : p.begun;
}

int
sks_skipline(struct sks_rfile *r)
{
	int rc;

	if (sks_rfile_begin(r) == -1)
		return -1;
	rc = skip_line(r);
	sks_rfile_end(r);
	return rc;
}
