/* SPDX-License-Identifier: MIT */
/*
 * check_send_files.c - handlers that send files: in each mode, over each transport. (How they are
 * sent, and what goes wrong: stream/check_sendfile.c.)
 */
#include "acceptance.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MUCH 1000000

static char big[MUCH];

static void
fill(void)
{
	int i;

	for (i = 0; i < MUCH; i++)
		big[i] = (char)(i >> i % 3 * 8);
	acc_setup();
}

FIXTURE(fill, acc_teardown);

static int
file_of_big(void)
{
	char path[] = "/tmp/sks-send-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(fd, big, MUCH), MUCH);
	return fd;
}

/* The client says how many bytes it wants. */
static int
send_from_data(struct sks_request *req)
{
	uint64_t n;

	if (sks_read_number(req->rfile, SKS_U32BE, &n) != 1)
		return sks_end(req->rfile);
	return sks_sendfile(req->wfile, *(int *)req->data, 1, (int64_t)n);
}

TEST(a_handler_sends_a_file, EACH_TRANSPORT)
{
	static const struct sks_handler handler = { .handle = send_from_data };
	int file = file_of_big();
	struct sks_options options = { .on_error = acc_on_error, .data = &file };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_send(fd, "\0\0\x10\0", 4);
	peer_expect_bytes(fd, big + 1, 0x1000);
	close(fd);
	fd = acc_client(&acc);
	peer_send(fd, "\0\x0f\x42\x3f", 4);
	if (acc_is_stream(&acc)) {
		peer_expect_bytes(fd, big + 1, MUCH - 1);
		peer_expect_eof(fd);
	} else { /* no datagram is that long */
		ck_eventually(atomic_load(&seen->errors) == 1);
		ck_assert_int_eq(atomic_load(&seen->last_error), EMSGSIZE);
		close(fd);
	}
	acc_stop(&acc);
	acc_free(&acc);
	close(file);
}
