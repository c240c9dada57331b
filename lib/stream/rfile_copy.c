/* SPDX-License-Identifier: MIT */
/*
 * From an rfile to a wfile. Where the buffer itself can change hands no byte is copied.
 */
#include "stream/rfile.h"

#include "base/util.h"
#include "stream/fill.h"

#include <errno.h>

/* Passes on what is buffered, or else what comes next: 1 to max bytes. 0: the input ends; -1. */
static ssize_t
pass(struct sks_rfile *r, struct sks_patience *p, struct sks_wfile *w, size_t max)
{
	size_t have = sks_buf_length(&r->buf);
	int rc;

	if (have == 0) {
		ssize_t got = sks_fill(r, p, NULL, 0);

		if (got <= 0)
			return got;
		have = (size_t)got;
	}
	/* Input in memory may lie within a request (a datagram), whose memory stays there. */
	if (have <= max && r->tr != NULL && sks_wfile_try_adopt(w, &r->buf)) {
		r->taken += have;
		return (ssize_t)have;
	}
	have = sks_min(have, max);
	r->busy = 1; /* the write may wait, and the bytes lie in our buffer meanwhile */
	rc = sks_write(w, r->buf.base + r->buf.start, have);
	r->busy = 0;
	if (rc == -1)
		return -1;
	sks_rfile_consume(r, have);
	return (ssize_t)have;
}

ssize_t
sks_pass(struct sks_rfile *r, struct sks_wfile *w)
{
	struct sks_patience p = { .sink = w };
	ssize_t n;

	if (sks_rfile_begin(r) == -1)
		return -1;
	n = pass(r, &p, w, SIZE_MAX);
	sks_rfile_end(r);
	return n;
}

static int
copy(struct sks_rfile *r, struct sks_wfile *w, int64_t n)
{
	struct sks_patience p = { .sink = w };

	while (n != 0) {
		ssize_t passed = pass(r, &p, w, n < 0 ? SIZE_MAX : (size_t)n);

		if (passed < 0)
			return -1;
		if (passed == 0)
			break;
		if (n > 0)
			n -= passed;
		sks_rfile_progress(r, &p, (size_t)passed);
	}
	if (n > 0) {
		errno = ENODATA;
		return -1;
	}
	return 0;
}

int
sks_copy(struct sks_rfile *r, struct sks_wfile *w, int64_t n)
{
	int rc;

	if (sks_rfile_begin(r) == -1)
		return -1;
	rc = copy(r, w, n);
	sks_rfile_end(r);
	return rc;
}
