/* SPDX-License-Identifier: MIT */
/*
 * check_serve_fd.c - sks_serve_fd(): a connection that somebody else accepted, as inetd does.
 */
#include "acceptance.h"
#include "child.h"
#include "line_handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

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

static void
note_reason(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	atomic_store(&seen->note, info->reason);
}

TEST(a_client_that_is_to_speak_first_may_be_silent_or_leave, TIMES(2))
{
	struct sks_handler handler = { .handle = acc_echo_line, .client_first = 1 };
	struct fd_server s = { .options = { .idle_ms = _i == 0 ? 1 : SKS_OFF, .on_end = note_reason } };
	int fd = serve_pair(&s, &handler);

	if (_i == 1)
		peer_half_close(fd);
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, 0);
	ck_assert_int_eq(seen->note, _i == 0 ? SKS_ENDED_IDLE : SKS_ENDED_CLOSED);
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

/* The child gets one end of a connection whose client has sent its lines. Returns the other. */
static int
run_with_client(struct child *child, const char *lines)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child->arg = &fds[0];
	peer_puts(fds[1], lines);
	peer_half_close(fds[1]);
	child_run(child);
	close(fds[0]);
	return fds[1];
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
	int fd = run_with_client(&child, "hello\nxyz\nnever read\n");

	ck_assert_msg(child_exited_with(&child, 0), "%s", child_said(&child));
	peer_expect(fd, "250 hello\n250 xyz\n");
	peer_expect_gone(fd);
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
	int fd = run_with_client(&child, "xyz\n");

	snprintf(line, sizeof(line), "smtp-like: unix:: %s\n", strerror(EIO));
	ck_assert_ptr_nonnull(strstr(child_said(&child), line));
	ck_assert_ptr_nonnull(strstr(child_said(&child), "options.mode: "));
	peer_expect(fd, "250 xyz\n");
	close(fd);
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

/* More than the socket takes. */
static int
send_much(struct sks_request *req)
{
	char path[] = "/tmp/sks-serve-XXXXXX";
	int fd = mkstemp(path), rc;

	if (fd == -1 || unlink(path) == -1 || ftruncate(fd, 8 << 20) == -1)
		return -1;
	rc = sks_sendfile(req->wfile, fd, 0, -1);
	close(fd);
	return rc;
}

/* A socket of inetd's blocks, and so would sendfile(2), which has no flag against it. */
TEST(serve_fd_sends_a_file_within_the_time_of_the_options)
{
	static const struct sks_handler sending = { .name = "sending", .handle = send_much };
	struct sks_options options = { .timeout_ms = 50, .linger_ms = 1, .on_error = acc_on_error };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_fails(sks_serve_fd(fds[0], &sending, &options), ETIMEDOUT);
	ck_assert_int_eq(seen->last_error, ETIMEDOUT);
	close(fds[1]);
}
