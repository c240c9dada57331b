/* SPDX-License-Identifier: MIT */
#include "streams.h"

#include <errno.h>
#include <string.h>

char *big;

void
streams_setup(void)
{
	no_leaks_setup();
}

void
need_big(void)
{
	uint32_t x = 1;
	size_t i;

	big = malloc(BIG);
	ck_assert_ptr_nonnull(big);
	for (i = 0; i < BIG; i++) {
		x = x * 1664525 + 1013904223;
		big[i] = (char)(x >> 24);
	}
}

void
streams_teardown(void)
{
	free(big);
	big = NULL;
	no_leaks_teardown();
}

void
expect_line(struct rig_link *l, const char *want, size_t n)
{
	char *line = NULL;

	ck_assert_int_eq(sks_readline(&l->r, &line), (ssize_t)n);
	ck_assert_mem_eq(line, want, n);
	ck_assert_int_eq(line[n], '\0');
}

void
expect_end(struct rig_link *l)
{
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 0);
	ck_assert_int_eq(sks_eof(&l->r), 1);
	ck_assert_int_eq(sks_error(&l->r), 0);
}

void
read_and_compare(void *arg)
{
	struct reader *reader = arg;
	static char buf[65536];
	size_t at = 0;

	while (at < reader->want) {
		ssize_t n = recv(reader->l->peer, buf, sizeof(buf), 0);

		if (n > 0) {
			ck_assert_uint_le((size_t)n, reader->want - at);
			ck_assert_mem_eq(buf, big + at, (size_t)n);
			at += (size_t)n;
		} else {
			ck_assert_int_eq(n, -1);
			ck_assert_int_eq(errno, EAGAIN);
			ck_assert_int_eq(sks_wait_fd(reader->l->peer, SKS_READ, SKS_OFF), SKS_READ);
		}
	}
}

void *
read_on_thread(void *arg)
{
	struct reader *reader = arg;

	fcntl(reader->l->peer, F_SETFL, 0);
	read_and_compare(reader);
	return NULL;
}

ssize_t
swallow(struct sks_transport *tr, const struct iovec *iov, int n)
{
	size_t total = 0;

	(void)tr;
	while (n-- > 0)
		total += (iov++)->iov_len;
	return (ssize_t)total;
}

void
do_nothing(struct sks_transport *tr)
{
	(void)tr;
}
