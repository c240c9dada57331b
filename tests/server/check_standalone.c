/* SPDX-License-Identifier: MIT */
/*
 * check_standalone.c - handlers without a server, on bytes or a datagram: sks_handle_bytes() and
 * sks_handle_datagram(). (On a connection: check_serve_fd.c.)
 */
#include "acceptance.h"
#include "line_handlers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

static int
fail_setup(struct sks_request *req)
{
	acc_setup_counted(req);
	sks_puts(req->wfile, "no\n");
	errno = EACCES;
	return -1;
}

static void
assert_handles(const struct sks_handler *handler, const char *in, const char *expected)
{
	size_t n = 12345;
	char *out = NULL;

	ck_assert_int_eq(sks_handle_bytes(handler, in, strlen(in), &out, &n), 0);
	ck_assert_str_eq(out, expected);
	ck_assert_uint_eq(n, strlen(expected));
	free(out);
}

TEST(handles_bytes)
{
	assert_handles(&keeping, "a\nb\nc", "a\nb\ncbye\n");
	ck_assert_int_eq(seen->note, 3);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 3);
	ck_assert_int_eq(seen->finishes, 1);
	assert_handles(&acc_script, "c\ne\n", "call 1\ne\n");
	ck_assert_int_eq(log_lines(), 0);
}

/* "again after SKS_KEEP while input is left", and not once more. */
TEST(handles_bytes_while_there_are_some)
{
	assert_handles(&keeping, "a\nb\n", "a\nb\nbye\n");
	ck_assert_int_eq(seen->handles, 2);
}

TEST(handles_bytes_until_they_are_left)
{
	assert_handles(&looking, "a\nb\nc", "a\nb\nbye\n");
	ck_assert_int_eq(seen->handles, 4);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(handles_no_bytes)
{
	ck_assert_int_eq(sks_handle_bytes(&keeping, NULL, 0, NULL, NULL), 0);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(handle_bytes_returns_the_handlers_error)
{
	struct sks_handler handler = acc_script;
	char *out = NULL;
	size_t n;

	errno = 0;
	ck_assert_int_eq(sks_handle_bytes(&acc_script, "echo\nf\n", 7, &out, &n), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_str_eq(out, "echo\n");
	free(out);
	handler.setup = fail_setup;
	errno = 0;
	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), -1);
	ck_assert_int_eq(errno, EACCES);
	handler.handle = NULL;
	errno = 0;
	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
}

/* Says what it was given: data, and the address of its peer. */
static int
tell_all(struct sks_request *req)
{
	char peer[160], *line = sks_gets(req->rfile);

	if (line == NULL)
		return sks_end(req->rfile);
	sks_printf(req->wfile, "%s %s %s", (const char *)req->data, sks_peer(req, peer, sizeof(peer)),
	    line);
	if (sks_is_truncated(req))
		sks_puts(req->wfile, " cut");
	return SKS_KEEP;
}

static const struct sks_handler telling = { .handle = tell_all, .finish = acc_finish_bye };

TEST(handles_bytes_with_data_and_a_peer)
{
	static char data[] = "data";
	struct sks_options options = { .data = data };
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_bytes_with(&telling, &options, "192.0.2.1:47", "a\nb\n", 4,
	    &out, &n), 0);
	ck_assert_str_eq(out, "data 192.0.2.1:47 adata 192.0.2.1:47 bbye\n");
	ck_assert_uint_eq(n, strlen(out));
	free(out);
	ck_assert_int_eq(sks_handle_bytes_with(&telling, &options, "unix:/tmp/x", "a", 1, &out,
	    NULL), 0);
	ck_assert_str_eq(out, "data unix:/tmp/x abye\n");
	free(out);
	ck_assert_int_eq(sks_handle_bytes_with(&telling, &options, "[::1]:80", "a", 1, NULL, &n), 0);
	ck_assert_uint_eq(n, strlen("data [::1]:80 abye\n"));
}

static int
tell_peer(struct sks_request *req)
{
	char host[64];

	sks_peer_host(req, host, sizeof(host));
	return sks_printf(req->wfile, "%s %d", host, sks_peer_port(req));
}

TEST(tells_host_and_port_of_a_peer)
{
	static const char *const peers[][2] = {
		{ "192.0.2.1:47", "192.0.2.1 47" },
		{ "[2001:db8::1]:65535", "2001:db8::1 65535" },
		{ "[::ffff:192.0.2.1]:47", "192.0.2.1 47" },
		{ "[fe80::1%4294]:1", "fe80::1%4294 1" },
		{ "unix:/tmp/x", " -1" },
		{ NULL, " -1" },
	};
	struct sks_handler handler = { .handle = tell_peer };
	size_t i;
	char *out;

	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		ck_assert_int_eq(sks_handle_bytes_with(&handler, NULL, peers[i][0], "", 0, &out, NULL), 0);
		ck_assert_str_eq(out, peers[i][1]);
		free(out);
	}
}

TEST(handles_bytes_within_limits)
{
	static char data[] = "data";
	struct sks_options options = { .data = data, .max_line = 4, .on_error = acc_on_error };
	char *out;

	ck_fails(sks_handle_bytes_with(&telling, &options, NULL, "abc\nabcd\n", 9, &out, NULL),
	    EMSGSIZE);
	ck_assert_ptr_nonnull(strstr(out, "abc"));
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, EMSGSIZE);
	free(out);
	options.on_error = NULL;
	ck_fails(sks_handle_bytes_with(&telling, &options, NULL, "abcd\n", 5, NULL, NULL), EMSGSIZE);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(handles_bytes_with_nothing_wrong)
{
	static const struct sks_options wrong = { .max_line = 1 };
	char *out = NULL;
	size_t n = 1;

	ck_fails(sks_handle_bytes_with(&telling, NULL, "a.name:80", "", 0, &out, &n), EINVAL);
	ck_assert_ptr_null(out);
	ck_assert_uint_eq(n, 0);
	ck_fails(sks_handle_datagram(&telling, NULL, "nonsense", "", 0, &out, &n), EINVAL);
	ck_assert_int_eq(log_lines(), 0);
	ck_fails(sks_handle_bytes_with(&telling, &wrong, NULL, "", 0, &out, &n), EINVAL);
	ck_fails(sks_handle_datagram(&telling, &wrong, NULL, "", 0, &out, &n), EINVAL);
	ck_assert_int_eq(log_lines(), 2);
	ck_assert_int_eq(seen->finishes, 0);
}

TEST(handles_a_datagram)
{
	static char data[] = "data";
	struct sks_options options = { .data = data };
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_datagram(&telling, &options, "192.0.2.1:47", "a\nb", 3, &out,
	    &n), 0);
	ck_assert_str_eq(out, "data 192.0.2.1:47 abye\n"); /* SKS_KEEP is SKS_DONE */
	ck_assert_uint_eq(n, strlen(out));
	free(out);
	ck_assert_int_eq(sks_handle_datagram(&telling, NULL, NULL, NULL, 0, NULL, &n), 0);
	ck_assert_uint_eq(n, 4);
}

static int
end_our_side(struct sks_request *req)
{
	ck_fails(sks_wfile_shutdown(req->wfile), ENOTSUP);
	return sks_puts(req->wfile, "still here");
}

TEST(what_is_no_connection_has_no_half_to_end)
{
	static const struct sks_handler handler = { .handle = end_our_side };
	char *out;

	ck_assert_int_eq(sks_handle_datagram(&handler, NULL, NULL, "", 0, &out, NULL), 0);
	ck_assert_str_eq(out, "still here");
	free(out);
	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, &out, NULL), 0);
	ck_assert_str_eq(out, "still here");
	free(out);
}

static int
tell_kind(struct sks_request *req)
{
	return sks_printf(req->wfile, "%d%d", sks_is_datagram(req), sks_admit_reply(req));
}

/* As on a server, also in what sks_admit_reply() says of the port of a service. */
TEST(knows_a_datagram_from_bytes)
{
	static const struct sks_handler handler = { .handle = tell_kind };
	static const char *const peers[] = { "192.0.2.1:4711", "192.0.2.1:53" };
	static const char *const answers[] = { "11", "10" };
	char *out;
	int i;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(sks_handle_datagram(&handler, NULL, peers[i], "", 0, &out, NULL), 0);
		ck_assert_str_eq(out, answers[i]);
		free(out);
		ck_assert_int_eq(sks_handle_bytes_with(&handler, NULL, peers[i], "", 0, &out, NULL),
		    0);
		ck_assert_str_eq(out, "01");
		free(out);
	}
}

TEST(a_datagram_that_is_too_long_is_cut_or_refused)
{
	static char data[] = "data";
	struct sks_options options = { .data = data, .max_datagram = 4 };
	char *out;

	ck_fails(sks_handle_datagram(&telling, &options, NULL, "12345", 5, &out, NULL), EMSGSIZE);
	ck_assert_ptr_null(out);
	ck_assert_int_eq(seen->finishes, 0);
	options.keep_truncated = 1;
	ck_assert_int_eq(sks_handle_datagram(&telling, &options, "192.0.2.1:47", "12345", 5, &out,
	    NULL), 0);
	ck_assert_str_eq(out, "data 192.0.2.1:47 1234 cutbye\n");
	free(out);
}
