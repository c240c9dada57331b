/* SPDX-License-Identifier: MIT */
/*
 * The RESP reader of handlers/resp.c, on any bytes, for libFuzzer.
 *
 * The bytes come once in one piece and once in steps whose sizes the first
 * bytes of the input say. Both times the same commands, and the same end, must
 * be read; all memory must have been given back, and never be more than a few
 * times what came.
 */
#include "stream/stream.h"

#include "../../handlers/resp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define SHOWN 48        /* so that most commands are too large to be read where they lie */
#define MAX_BULK 100
#define STEPS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A client's bytes, as they come. */
struct client {
	struct sks_transport tr;
	const uint8_t *in;
	size_t left;
	uint8_t steps[STEPS];
	unsigned int at;
};

static void
check(int holds)
{
	if (!holds)
		abort();
}

static ssize_t
read_step(struct sks_transport *tr, void *buf, size_t n)
{
	struct client *c = (struct client *)tr;
	size_t step = c->steps[c->at++ % STEPS];

	if (step == 0)
		step = 1;
	if (step == UINT8_MAX)
		step = n;
	if (step > n)
		step = n;
	if (step > c->left)
		step = c->left;
	memcpy(buf, c->in, step);
	c->in += step;
	c->left -= step;
	return (ssize_t)step;
}

static uint64_t
mix(uint64_t sum, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t i;

	for (i = 0; i < n; i++)
		sum = (sum ^ p[i]) * 1099511628211u;
	return sum;
}

/* The commands of one run of handle: a sum over all that can be seen of them. */
static uint64_t
read_all(struct sks_rfile *rfile, const struct resp_limits *limits, uint64_t sum, int *rc)
{
	struct resp_reader r;
	size_t i;

	resp_open(&r, rfile, limits);
	*rc = resp_wait(&r);
	if (*rc == 0)
		while ((*rc = resp_read(&r)) == 1) {
			check(r.nargs > 0);
			for (i = 0; i < r.nargs; i++) {
				struct resp_arg arg = resp_arg(&r, i);

				sum = mix(sum, &arg.len, sizeof(arg.len));
				sum = mix(sum, arg.at, arg.len);
			}
			sum = mix(sum, &r.nargs, sizeof(r.nargs));
		}
	if (*rc == -1) {
		int error = errno;

		check(error == EPROTO || error == EPROTONOSUPPORT || error == ENOSPC);
		sum = mix(sum, &error, sizeof(error));
		if (error == EPROTO)
			sum = mix(sum, r.problem, strlen(r.problem));
	}
	resp_close(&r);
	return sum;
}

static uint64_t
run(const uint8_t *bytes, size_t n, const uint8_t steps[STEPS])
{
	static const struct sks_transport_ops ops = { .read = read_step };
	static const struct sks_times times = { .idle_ms = 1000, .read_ms = 1000,
		.write_ms = 1000 };
	static int readable = -1;
	struct client c = { .tr = { .ops = &ops }, .in = bytes, .left = n };
	struct budget budget = { .max = 64 + 16 * n };
	struct resp_limits limits = { .max_shown = SHOWN, .max_bulk = MAX_BULK,
		.max_command = MAX_BULK + SHOWN, .budget = &budget };
	struct sks_rfile r;
	uint64_t sum = 14695981039346656037u;
	int rc, turns = 0;

	if (readable == -1)
		readable = eventfd(1, EFD_CLOEXEC);
	c.tr.fd = readable;
	memcpy(c.steps, steps, STEPS);
	sks_rfile_init(&r, &c.tr, &times, &times, 8192);
	do {
		uint64_t before = sks_tell(&r);

		sum = read_all(&r, &limits, sum, &rc);
		check(budget_used(&budget) == 0);
		check(rc == -1 || sks_tell(&r) > before || sks_eof(&r)); /* or it would spin */
		check(++turns <= (int)n + 1);
	} while (rc == 0 && !sks_eof(&r));
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t whole[STEPS] = { UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX };
	static const uint8_t single[STEPS] = { 1, 1, 1, 1 };
	uint64_t sum;

	if (n < STEPS)
		return 0;
	sum = run(data + STEPS, n - STEPS, whole);
	check(run(data + STEPS, n - STEPS, single) == sum);
	check(run(data + STEPS, n - STEPS, data) == sum);
	return 0;
}
