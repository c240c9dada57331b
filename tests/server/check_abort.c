/* SPDX-License-Identifier: MIT */
/*
 * check_abort.c - sks_abort(): the peer sees a reset, where there is one.
 */
#include "acceptance.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* Nothing can be sent or read afterwards, so it has ended; that is no error. */
static int
abort_it(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	(void)line;
	sks_puts(req->wfile, "said\n");
	if (sks_abort(req) == -1 || sks_puts(req->wfile, "more\n") == -1)
		atomic_store(&seen->note, errno);
	if (sks_is_datagram(req))
		return SKS_DONE;
	acc_require(sks_gets(req->rfile) == NULL);
	acc_require(errno == ECONNABORTED);
	return SKS_KEEP;
}

static const struct sks_handler aborting = { .handle = abort_it, .finish = acc_finish };

TEST(an_aborted_connection_is_reset, EACH_TRANSPORT)
{
	struct acc acc;
	char got[8];
	int fd;

	acc_all(&acc, _i, &aborting, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "go\n");
	if (acc.transport == ACC_TCP) {
		ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), -1);
		ck_assert_int_eq(errno, ECONNRESET);
	} else if (acc.transport == ACC_UNIX) /* has no resets */
		ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), 0);
	else
		peer_expect(fd, "said\n");
	close(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	acc_stop(&acc);
	ck_assert_int_eq(seen->note, acc_is_stream(&acc) ? ECONNABORTED : ENOTSUP);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

static int
refuse_by_reset(struct sks_request *req)
{
	return sks_abort(req);
}

TEST(verify_may_refuse_by_a_reset, EACH_MODE)
{
	struct sks_options options = { .verify = refuse_by_reset };
	struct acc acc;
	char got[8];
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, 0);
}

TEST(serve_fd_resets_what_is_aborted)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(any);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char got[8];

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&any, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&any, len), 0);
	peer_puts(fd, "go\n");
	ck_assert_int_eq(sks_serve_fd(accept4(listener, NULL, NULL, SOCK_CLOEXEC), &aborting, NULL), 0);
	ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(seen->finishes, 1);
	close(fd);
	close(listener);
}

static int
abort_bytes(struct sks_request *req)
{
	return sks_abort(req) == -1 && errno == ENOTSUP ? sks_puts(req->wfile, "no\n") : SKS_DONE;
}

TEST(bytes_cannot_be_aborted)
{
	static const struct sks_handler handler = { .handle = abort_bytes };
	char *out;

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, &out, NULL), 0);
	ck_assert_str_eq(out, "no\n");
	free(out);
}
