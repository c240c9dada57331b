/* SPDX-License-Identifier: MIT */
/*
 * check_left_output.c - the time limit for output that a handler has left unsent.
 */
#include "acceptance.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 60);

#define LEFT 900000

/* All of it fits into the buffer of the stream, and not into those of the kernel. */
static int
leave_much(struct sks_request *req)
{
	char line[1000];
	int i;

	if (sks_gets(req->rfile) == NULL)
		return sks_end(req->rfile);
	acc_make_small(req->fd);
	sks_set_timeout(req->wfile, *(const int *)req->data);
	memset(line, 'x', sizeof(line));
	for (i = 0; i < LEFT / (int)sizeof(line); i++)
		if (sks_write(req->wfile, line, sizeof(line)) == -1)
			return -1;
	return SKS_DONE;
}

/* Returns a client that has not read what was left for it, the first of which was sent. */
static int
leave_unsent(struct acc *acc, int i, int timeout_ms, int *own_ms)
{
	static const struct sks_handler handler = { .handle = leave_much };
	struct sks_options options = { .timeout_ms = timeout_ms, .max_output = 1 << 20,
		.data = own_ms, .on_tick = acc_count_tick, .tick_ms = 10 };
	int fd;

	acc_streams(acc, i, &handler, &options);
	acc_start(acc);
	fd = acc_client(acc);
	acc_make_small(fd);
	peer_puts(fd, "go\n");
	return fd;
}

/* The limit of the stream is that of its connection, also when the handler is through. */
TEST(has_the_time_of_its_stream, EACH_STREAM)
{
	static int none = SKS_OFF;
	struct acc acc;
	char *text;
	size_t n;
	int fd = leave_unsent(&acc, _i, 1, &none), ticks;

	ck_eventually(acc_stats(&acc).bytes_out > 0);
	ticks = atomic_load(&seen->ticks);
	ck_eventually(atomic_load(&seen->ticks) >= ticks + 5); /* that of the options has passed */
	text = peer_read_all(fd, &n);
	ck_assert_uint_eq(n, LEFT);
	free(text);
	close(fd);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
}

TEST(has_no_more_time_than_its_stream, EACH_STREAM)
{
	static int short_time = 1;
	struct acc acc;
	int fd = leave_unsent(&acc, _i, INT_MAX, &short_time);

	ck_eventually(acc_stats(&acc).failed == 1);
	close(fd);
	acc_free(&acc);
}
