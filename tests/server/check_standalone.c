/* SPDX-License-Identifier: MIT */
/*
 * check_standalone.c - handlers without a server: sks_handle_bytes() and sks_serve_fd().
 */
#include "acceptance.h"
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static int
fail_setup(struct sks_request *req)
{
	acc_setup_counted(req);
	sks_puts(req->wfile, "no\n");
	errno = EACCES;
	return -1;
}

/* Looks at its input, and takes only a whole line of it: it does not wait for one. */
static int
take_whole_lines(struct sks_request *req)
{
	char *bytes, *line;
	ssize_t n = sks_peek(req->rfile, 1, &bytes);

	atomic_fetch_add(&seen->handles, 1);
	if (n <= 0)
		return (int)n;
	if (memchr(bytes, '\n', (size_t)n) == NULL)
		return SKS_KEEP;
	n = sks_readline(req->rfile, &line);
	return n > 0 && sks_write(req->wfile, line, (size_t)n) == 0 ? SKS_KEEP : -1;
}

static const struct sks_handler looking = { .handle = take_whole_lines, .finish = acc_finish_bye };

static int
echo_and_keep(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	atomic_fetch_add(&seen->handles, 1);
	if (n <= 0)
		return (int)n;
	if (req->server == NULL)
		atomic_fetch_add(&seen->note, 1);
	sks_write(req->wfile, line, (size_t)n);
	return SKS_KEEP;
}

static const struct sks_handler keeping = {
	.setup = acc_setup_counted, .handle = echo_and_keep, .finish = acc_finish_bye };

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

struct fd_server {
	int fd;
	const struct sks_handler *handler;
	struct sks_options options;
	pthread_t thread;
	int rc, error;
};

static void *
serve_fd(void *arg)
{
	struct fd_server *s = arg;

	errno = 0;
	s->rc = sks_serve_fd(s->fd, s->handler, &s->options);
	s->error = errno;
	return NULL;
}

/* The client's end of a connection that is being served in a thread. */
static int
serve_pair(struct fd_server *s, const struct sks_handler *handler)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->fd = fds[0];
	s->handler = handler;
	ck_assert_int_eq(pthread_create(&s->thread, NULL, serve_fd, s), 0);
	return fds[1];
}

TEST(serves_a_connection_that_somebody_else_accepted)
{
	struct fd_server s = { 0 };
	int fd = serve_pair(&s, &keeping);

	peer_puts(fd, "one\n");
	peer_expect(fd, "one\n");
	peer_puts(fd, "two\nthree\n");
	peer_expect(fd, "two\nthree\n");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, 0);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 3);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(fcntl(s.fd, F_GETFD), -1); /* it closed it */
}

TEST(serve_fd_waits_for_more_than_what_is_left)
{
	struct fd_server s = { 0 };
	int fd = serve_pair(&s, &looking);

	peer_puts(fd, "a");
	ck_eventually(atomic_load(&seen->handles) == 2);
	peer_puts(fd, "b\nc");
	peer_expect(fd, "ab\n");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, 0);
	ck_assert_int_le(seen->handles, 5);
}

TEST(serve_fd_returns_the_handlers_error)
{
	struct fd_server s = { .options = { .on_error = acc_on_error } };
	int fd = serve_pair(&s, &acc_script);

	peer_puts(fd, "f\n");
	peer_expect_gone(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, -1);
	ck_assert_int_eq(s.error, EPROTO);
	ck_assert_int_eq(seen->errors, 1);
	/* Without on_error the error is logged. */
	s.options.on_error = NULL;
	fd = serve_pair(&s, &acc_script);
	peer_puts(fd, "f\n");
	peer_expect_gone(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, -1);
	ck_assert_int_eq(s.error, EPROTO);
	ck_assert_int_eq(log_lines(), 1);
}

static int
log_and_fail(struct sks_request *req)
{
	static const struct sks_options newer = { .mode = 77 };
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL) {
		sks_printf(req->wfile, "250 %s\n", line);
		if (line[0] == 'x') {
			ck_assert_ptr_null(sks_server_new(&acc_script, &newer));
			errno = EIO;
			return -1;
		}
	}
	return SKS_DONE;
}

/* As inetd starts a program: the client is its input, its output and its standard error. */
static void
serve_as_inetd(void *arg)
{
	static const struct sks_handler handler = { .name = "smtp-like", .handle = log_and_fail };
	static const struct sks_options wrong = { .max_line = 1 };
	int fd = *(int *)arg, i;

	sks_set_log(NULL, NULL);
	for (i = 0; i < 3; i++)
		dup2(fd, i);
	close(fd);
	if (sks_serve_fd(dup(0), &handler, &wrong) != -1 || sks_serve_fd(0, &handler, NULL) != -1)
		_exit(EXIT_FAILURE);
	(void)!sks_server_new(&handler, &wrong); /* a line when it is over */
}

TEST(no_line_of_the_log_reaches_a_client_that_is_standard_error)
{
	struct child child = { .act = serve_as_inetd };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child.arg = &fds[0];
	peer_puts(fds[1], "hello\nxyz\nnever read\n");
	peer_half_close(fds[1]);
	child_run(&child);
	close(fds[0]);
	ck_assert_msg(child_exited_with(&child, 0), "%s", child_said(&child));
	peer_expect(fds[1], "250 hello\n250 xyz\n");
	peer_expect_gone(fds[1]);
}

/* And lines go on to a standard error that is another one. */
static void
serve_beside_a_log(void *arg)
{
	static const struct sks_handler handler = { .name = "smtp-like", .handle = log_and_fail };

	sks_set_log(NULL, NULL);
	if (sks_serve_fd(*(int *)arg, &handler, NULL) != -1)
		_exit(EXIT_FAILURE);
}

TEST(other_lines_of_the_log_are_where_they_were)
{
	struct child child = { .act = serve_beside_a_log };
	char line[100];
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child.arg = &fds[0];
	peer_puts(fds[1], "xyz\n");
	peer_half_close(fds[1]);
	child_run(&child);
	close(fds[0]);
	snprintf(line, sizeof(line), "smtp-like: unix:: %s\n", strerror(EIO));
	ck_assert_ptr_nonnull(strstr(child_said(&child), line));
	ck_assert_ptr_nonnull(strstr(child_said(&child), "options.mode: "));
	peer_expect(fds[1], "250 xyz\n");
	close(fds[1]);
}

static int
answer_a_broken_peer(struct sks_request *req)
{
	close(*(const int *)req->data);
	return sks_puts(req->wfile, "too late\n"); /* into the buffer, which is sent afterwards */
}

TEST(serve_fd_tells_that_an_answer_could_not_be_sent)
{
	static const struct sks_handler late = { .name = "late", .handle = answer_a_broken_peer };
	struct sks_options options = { 0 };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	options.data = &fds[1];
	ck_fails(sks_serve_fd(fds[0], &late, &options), EPIPE);
}

TEST(serve_fd_closes_what_is_no_socket)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	errno = 0;
	ck_assert_int_eq(sks_serve_fd(fds[0], &acc_script, NULL), -1);
	ck_assert_int_eq(errno, ENOTSOCK);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
}

TEST(serve_fd_never_runs_for_a_silent_client_first)
{
	struct sks_handler handler = acc_script;
	struct fd_server s = { .options = { .idle_ms = 1 } };
	int fd;

	handler.client_first = 1;
	fd = serve_pair(&s, &handler);
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(seen->setups + seen->handles + seen->finishes, 0);
}
