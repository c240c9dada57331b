/* SPDX-License-Identifier: MIT */
/*
 * check_stream_model.c - any mix of calls that read, against a model.
 */
#include "base/util.h"
#include "streams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 300);

#define MODEL_SIZE 3000

static struct model {
	char bytes[MODEL_SIZE];
	size_t n;     /* all of it */
	size_t at;    /* what the reads have taken */
	size_t given; /* what the transport has given */
	uint64_t random;
} model;

static unsigned int
dice(unsigned int sides)
{
	model.random = model.random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(model.random >> 33) % sides;
}

static ssize_t
model_read(struct sks_transport *tr, void *buf, size_t n)
{
	size_t most = dice(3) == 0 ? 1 + dice(3) : 1 + dice(200);

	(void)tr;
	if (dice(5) == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = sks_min(sks_min(n, most), model.n - model.given);
	memcpy(buf, model.bytes + model.given, n);
	model.given += n;
	return (ssize_t)n;
}

static const struct sks_transport_ops model_ops = { model_read, swallow, do_nothing };

static const char *
rest(void)
{
	return model.bytes + model.at;
}

static size_t
left(void)
{
	return model.n - model.at;
}

/* How long the block up to this byte is; 0: it is over max. */
static size_t
block_length(int end, size_t max)
{
	const char *found = memchr(rest(), end, sks_min(left(), max));

	if (found != NULL)
		return (size_t)(found - rest()) + 1;
	return left() < max ? left() : 0;
}

static void
model_block(struct sks_rfile *r, int end, size_t max)
{
	size_t want = block_length(end, max), n;
	char *line = NULL;
	ssize_t got;

	got = end == '\n' && max == r->max_line ? sks_readline(r, &line) :
						  sks_readuntil(r, end, max, &line);
	if (want == 0 && left() > 0) {
		ck_assert_int_eq(got, -1);
		ck_assert_int_eq(errno, EMSGSIZE);
		ck_assert_int_eq(sks_skipline(r), 1);
		n = block_length('\n', MODEL_SIZE + 1);
		model.at += n;
		return;
	}
	ck_assert_int_eq(got, (ssize_t)want);
	if (want > 0) {
		ck_assert_mem_eq(line, rest(), want);
		ck_assert_int_eq(line[want], '\0');
		if (dice(2) == 0)
			memset(line, '\n', want + 1);
	}
	model.at += want;
}

static void
model_gets(struct sks_rfile *r)
{
	size_t n = block_length('\n', r->max_line);
	const char *want = rest();
	char *line = sks_gets(r);

	if (n == 0) {
		ck_assert_ptr_null(line);
		ck_assert_int_eq(errno, left() == 0 ? 0 : EMSGSIZE);
		return;
	}
	model.at += n;
	if (want[n - 1] == '\n' && --n > 0 && want[n - 1] == '\r')
		n--;
	ck_assert_ptr_nonnull(line);
	ck_assert_mem_eq(line, want, n);
	ck_assert_int_eq(line[n], '\0');
}

/* Reads a number of 1 to 3 bytes, or a block behind it. */
static void
model_frame(struct sks_rfile *r, int is_block)
{
	static const int formats[] = { SKS_U8, SKS_U16BE, SKS_U16LE, SKS_U24BE };
	int format = formats[dice(4)];
	size_t size = (size_t)abs(format), max = dice(60) + 1, length = 0, n = 0, i;
	uint64_t value = 0;
	char *block = NULL;
	int got, error = left() < size ? ENODATA : 0;

	for (i = 0; error == 0 && i < size; i++)
		length = length << 8 | (unsigned char)rest()[format > 0 ? i : size - 1 - i];
	if (is_block && error == 0 && length > max)
		error = EMSGSIZE;
	else if (is_block && error == 0 && left() < size + length)
		error = ENODATA;
	got = is_block ? sks_read_block(r, format, max, &block, &n) :
			 sks_read_number(r, format, &value);
	ck_assert_int_eq(got, left() == 0 ? 0 : error != 0 ? -1 : 1);
	if (got == -1)
		ck_assert_int_eq(errno, error);
	if (got != 1)
		return;
	model.at += size;
	if (!is_block) {
		ck_assert_uint_eq(value, length);
		return;
	}
	ck_assert_uint_eq(n, length);
	ck_assert_mem_eq(block, rest(), n);
	ck_assert_int_eq(block[n], '\0');
	if (dice(2) == 0)
		memset(block, '\n', n + 1);
	model.at += n;
}

/* Reads up to a string of one or two bytes. */
static void
model_string(struct sks_rfile *r)
{
	static const char *const ends[] = { "\n", "\r\n", "\n\n", "\r" };
	const char *end = ends[dice(4)], *found;
	size_t max = dice(80) + 1, want;
	char *block = NULL;
	ssize_t got;

	found = memmem(rest(), sks_min(left(), max), end, strlen(end));
	want = found != NULL ? (size_t)(found - rest()) + strlen(end) : left();
	got = sks_readuntil_string(r, end, max, &block);
	if (found == NULL && left() >= max) {
		ck_assert_int_eq(got, -1);
		ck_assert_int_eq(errno, EMSGSIZE);
		return;
	}
	ck_assert_int_eq(got, (ssize_t)want);
	if (want > 0)
		ck_assert_mem_eq(block, rest(), want);
	model.at += want;
}

static void
model_step(struct sks_rfile *r, struct sks_wfile *memory)
{
	static char buf[MODEL_SIZE * 2];
	size_t n = dice(4) == 0 ? dice(MODEL_SIZE) : dice(40);
	char *bytes = NULL;
	ssize_t got;

	switch (dice(12)) {
	case 0:
	case 1:
		model_block(r, '\n', r->max_line);
		break;
	case 2:
		model_block(r, (int)dice(3), 1 + dice(60));
		break;
	case 3:
		model_gets(r);
		break;
	case 4:
		got = sks_skipline(r);
		ck_assert_int_eq(got, left() > 0);
		model.at += block_length('\n', MODEL_SIZE + 1);
		break;
	case 5:
		got = sks_read(r, buf, n);
		ck_assert_int_ge(got, n > 0 && left() > 0);
		ck_assert_int_le(got, (ssize_t)sks_min(n, left()));
		ck_assert_mem_eq(buf, rest(), (size_t)got);
		model.at += (size_t)got;
		break;
	case 6:
		got = sks_readn(r, buf, n);
		ck_assert_int_eq(got, (ssize_t)sks_min(n, left()));
		ck_assert_mem_eq(buf, rest(), (size_t)got);
		model.at += (size_t)got;
		break;
	case 7:
		got = sks_peek(r, n, &bytes);
		ck_assert_int_ge(got, (ssize_t)sks_min(n, left()));
		ck_assert_int_le(got, (ssize_t)left());
		if (got > 0)
			ck_assert_mem_eq(bytes, rest(), (size_t)got);
		break;
	case 9:
		model_string(r);
		break;
	case 10:
	case 11:
		model_frame(r, dice(3) > 0);
		break;
	case 8:
		got = sks_copy(r, memory, (int64_t)n);
		ck_assert_int_eq(got, n > left() ? -1 : 0);
		n = sks_min(n, left());
		ck_assert_uint_eq(sks_buf_length(&memory->buf), n);
		if (n > 0)
			ck_assert_mem_eq(memory->buf.base + memory->buf.start, rest(), n);
		sks_buf_release(&memory->buf, NULL);
		model.at += n;
		break;
	}
	ck_assert_uint_eq(sks_tell(r), model.at);
	ck_assert_int_eq(sks_error(r), 0);
	if (sks_eof(r))
		ck_assert_uint_eq(left(), 0);
}

static void
model_fill(void)
{
	size_t i;

	model.n = dice(4) == 0 ? dice(MODEL_SIZE) : dice(300);
	model.at = model.given = 0;
	for (i = 0; i < model.n; i++) {
		unsigned int kind = dice(12);

		model.bytes[i] = (char)(kind == 0 ? '\n' : kind == 1 ? '\r' : kind == 2 ? 0 :
			kind == 3 ? dice(20) : dice(256));
	}
}

TEST_ON_BOTH(any_mix_of_reads_agrees_with_the_model)
{
	const char *given = getenv("SKS_SEED"), *many = getenv("SKS_ROUNDS");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)rig_now();
	int round, rounds = many != NULL ? atoi(many) : is_slow() ? 300 : 2000;
	struct rig_link l;
	struct sks_wfile memory;

	printf("model: SKS_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	rig_link_open_on(&l, &model_ops);
	sks_wfile_init(&memory, NULL, &l.times, &l.times, MODEL_SIZE);
	for (round = 0; round < rounds; round++) {
		model.random = seed + (uint64_t)round;
		model_fill();
		sks_rfile_init(&l.r, &l.tr, &l.times, &l.times, 20 + dice(100));
		l.r.peer_wfile = &l.w;
		l.r.pool = rig_here() != NULL ? &rig_here()->loop->bufs : NULL;
		while (!sks_eof(&l.r))
			model_step(&l.r, &memory);
		ck_assert_uint_eq(model.at, model.n);
		sks_rfile_restore(&l.r);
		sks_rfile_close(&l.r);
	}
	sks_wfile_close(&memory);
	rig_link_close(&l);
}
