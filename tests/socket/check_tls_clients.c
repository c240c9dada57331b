/* SPDX-License-Identifier: MIT */
/*
 * check_tls_clients.c - clients of TLS: whom they believe, and how they connect.
 */
#include "certs.h"
#include "rig.h"
#include "tls_echo.h"
#include "tls_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(tls_setup, tls_echo_teardown);

/* -- sks_connect_tls() -- */

static void
connect_and_echo(void *arg)
{
	struct sks_client *client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);

	(void)arg;
	ck_assert_ptr_nonnull(client);
	tls_echo_expect(client, "in private");
	ck_assert_str_eq(sks_tls_version(client->rfile), "TLSv1.3");
	ck_assert_ptr_nonnull(strstr(sks_tls_cipher(client->rfile), "_SHA"));
	ck_assert_str_eq(sks_tls_peer_subject(client->rfile), "CN=server");
	ck_assert_str_eq(sks_tls_peer_name(client->rfile, 0), "localhost");
	ck_assert_str_eq(sks_tls_peer_name(client->rfile, 1), "127.0.0.1");
	ck_assert_ptr_null(sks_tls_peer_name(client->rfile, 2));
	ck_assert_int_eq(sks_wfile_shutdown(client->wfile), 0);
	ck_assert_ptr_null(sks_gets(client->rfile));
	ck_assert_int_eq(errno, 0); /* the server has said its end, too */
	ck_assert_int_eq(sks_client_close(client), 0);
}

TEST(a_client_believes_who_is_signed, ON_BOTH)
{
	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	rig_run_on(_i, connect_and_echo, NULL);
}

/* The system's certificates are these, for once. */
TEST(the_systems_certificates_are_the_default)
{
	struct sks_client *client;

	ck_assert_int_eq(setenv("SSL_CERT_FILE", certs_path("ca"), 1), 0);
	tls_echo_start(ACC_FIBERS, "server");
	client = sks_connect(tls_echo_address(0), 20000);
	ck_assert_ptr_nonnull(client);
	tls_echo_expect(client, "in private");
	sks_client_close(client);
}

static void
connect_and_close(void)
{
	struct sks_client *client = sks_connect(tls_echo_address(0), 20000);

	ck_assert_ptr_nonnull(client);
	sks_client_close(client);
}

static void *
connect_on_thread(void *id)
{
	atomic_store((atomic_int *)id, gettid());
	connect_and_close();
	return NULL;
}

static int
unread_bytes(int fd)
{
	int n;

	ck_assert_int_eq(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

/*
 * A thread reads the system's certificates, from a pipe, and the process forks: the child reads
 * them itself, as the thread does not exist there. The thread has read a byte and waits for more
 * then: in malloc() it would have a lock of AddressSanitizer's, and the child would wait for it.
 */
TEST(a_child_does_not_wait_for_its_parents_certificates)
{
	char pipe_name[200], bytes[65536];
	pthread_t thread;
	atomic_int id = 0;
	int file, fd, status;
	ssize_t n;
	pid_t pid;

	tls_echo_start(ACC_FIBERS, "server");
	file = open(certs_path("ca"), O_RDONLY);
	n = read(file, bytes, sizeof(bytes));
	ck_assert_int_gt(n, 0);
	close(file);
	snprintf(pipe_name, sizeof(pipe_name), "%s/pipe", acc_dir);
	ck_assert_int_eq(mkfifo(pipe_name, 0600), 0);
	ck_assert_int_eq(setenv("SSL_CERT_FILE", pipe_name, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, connect_on_thread, &id), 0);
	ck_eventually((fd = open(pipe_name, O_WRONLY | O_NONBLOCK)) != -1);
	ck_assert_int_eq(write(fd, bytes, 1), 1);
	ck_eventually(unread_bytes(fd) == 0 && is_asleep(atomic_load(&id)));
	pid = fork();
	if (pid == 0) {
		limit_child(50);
		setenv("SSL_CERT_FILE", certs_path("ca"), 1);
		connect_and_close();
		kill(getpid(), SIGKILL); /* valgrind would miss what the parent's thread has */
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status 0x%x",
	    (unsigned int)status);
	ck_assert_int_eq(write(fd, bytes + 1, (size_t)n - 1), n - 1);
	close(fd);
	pthread_join(thread, NULL);
	unlink(pipe_name);
}

struct doubt {
	const char *name; /* of the row */
	struct cert cert;
	const char *why;
};

static const struct doubt doubts[] = {
	{ "another name", { .name = "x", .issuer = "ca", .names = "DNS:elsewhere.example" },
	    "IP address mismatch" },
	{ "another authority", { .name = "x", .names = "IP:127.0.0.1" }, "self-signed certificate" },
};

TEST(a_client_doubts, EACH_OF(doubts))
{
	certs_make(&doubts[_i].cert);
	tls_echo_start(ACC_FIBERS, "x");
	tls_echo_believe((struct sks_tls_options){ 0 });
	errno = 0;
	ck_assert_ptr_null(sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000));
	ck_assert_int_eq(errno, EKEYREJECTED);
	ck_assert_int_eq(log_count(doubts[_i].why), 1);
	ck_eventually(acc_stats(&tls_echo_acc).handshakes_failed == 1); /* the server reads the alert */
}

TEST(a_quiet_client_is_told_alone)
{
	char why[200] = "as it was";
	struct sks_client *client;

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ .name = "elsewhere.example" });
	ck_assert_ptr_null(sks_connect_tls_quiet(tls_echo_address(0), tls_echo_client, 20000, why,
	    sizeof(why)));
	ck_assert_int_eq(errno, EKEYREJECTED);
	ck_assert_int_eq(strncmp(why, "connect tls:127.0.0.1:", 22), 0);
	ck_assert_ptr_nonnull(strstr(why, ": the peer's certificate: hostname mismatch"));
	ck_assert_ptr_null(sks_connect_tls_quiet(tls_echo_address(0), tls_echo_client, 20000, NULL, 0));
	ck_assert_int_eq(errno, EKEYREJECTED);
	sks_tls_free(tls_echo_client);
	tls_echo_believe((struct sks_tls_options){ 0 });
	strcpy(why, "as it was");
	client = sks_connect_tls_quiet(tls_echo_address(0), tls_echo_client, 20000, why, sizeof(why));
	ck_assert_ptr_nonnull(client);
	ck_assert_str_eq(why, "as it was");
	tls_echo_expect(client, "in private");
	sks_client_close(client);
	ck_assert_int_eq(log_count("connect "), 0);
}

TEST(a_client_may_expect_another_name)
{
	struct sks_client *client;

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ .name = "localhost" });
	client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);
	ck_assert_ptr_nonnull(client);
	sks_client_close(client);
}

/* Certificates have neither the dot at the end of a full name nor the zone of an address. */
TEST(a_client_compares_what_certificates_have, TIMES(2))
{
	struct sks_client *client;

	certs_make(
	    &(struct cert){ .name = "both", .names = "DNS:localhost,IP:::1", .issuer = "ca" });
	tls_echo_start(ACC_FIBERS, "both");
	tls_echo_believe(
	    (struct sks_tls_options){ .name = _i == 0 ? "localhost." : "::1%1" });
	client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);
	ck_assert_ptr_nonnull(client);
	tls_echo_expect(client, "in private");
	sks_client_close(client);
}

TEST(a_client_may_believe_everybody)
{
	struct sks_client *client;

	certs_make(&(struct cert){ .name = "x" });
	tls_echo_start(ACC_FIBERS, "x");
	tls_echo_believe((struct sks_tls_options){ .verify = SKS_TLS_NO_VERIFY });
	client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);
	ck_assert_ptr_nonnull(client);
	tls_echo_expect(client, "in private");
	sks_client_close(client);
}

TEST(a_server_in_the_clear_is_no_server_of_tls)
{
	static const struct sks_handler hello = { .name = "hello", .handle = acc_hello };

	acc_on(&tls_echo_acc, ACC_FIBERS, "127.0.0.1:0", &hello, NULL);
	acc_start(&tls_echo_acc);
	tls_echo_believe((struct sks_tls_options){ 0 });
	errno = 0;
	ck_assert_ptr_null(sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000));
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_int_eq(log_count("the peer does not speak TLS"), 1);
}

TEST(a_client_has_no_more_time_than_it_was_given)
{
	struct sks_socket *silent = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	char address[100];

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	ck_assert_int_eq(sks_address_parse("127.0.0.1:0", &name, &len), 0);
	ck_assert_int_eq(sks_socket_bind(silent, (struct sockaddr *)&name, len), 0);
	ck_assert_int_eq(sks_socket_listen(silent, 1), 0);
	len = sizeof(name);
	ck_assert_int_eq(sks_socket_getsockname(silent, (struct sockaddr *)&name, &len), 0);
	sks_address_format((struct sockaddr *)&name, len, address, sizeof(address));
	errno = 0;
	ck_assert_ptr_null(sks_connect_tls(address, tls_echo_client, 50));
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(log_count("the handshake took too long"), 1);
	sks_socket_free(silent);
}

/* A ticket, or a part of a record, is input of the socket, but none of the stream. */
TEST(a_select_wakes_for_what_can_be_read)
{
	struct sks_selectable set = { .want = SKS_READ };
	struct sks_client *client;

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);
	ck_assert_ptr_nonnull(client);
	ck_eventually(acc_stats(&tls_echo_acc).handshakes == 1); /* the ticket is sent */
	set.rfile = client->rfile;
	ck_assert_int_eq(sks_select(&set, 1, 0), 0);
	ck_assert_int_eq(sks_select(&set, 1, 20), 0);
	ck_assert_int_eq(sks_puts(client->wfile, "one\ntwo\n"), 0);
	ck_assert_int_eq(sks_select(&set, 1, 20000), 1);
	ck_assert_str_eq(sks_gets(client->rfile), "one in private");
	ck_assert_str_eq(sks_gets(client->rfile), "two in private");
	ck_assert_int_eq(sks_select(&set, 1, 0), 0);
	sks_client_close(client);
}

/*
 * With TLS 1.3 a client is through before the server has looked for its certificate. What the
 * server then says is no end of input, also where a select has seen it before the read.
 */
TEST(a_select_does_not_make_an_end_of_a_refusal)
{
	struct sks_selectable set = { .want = SKS_READ };
	struct sks_client *client;
	char byte;

	tls_echo_start_with(ACC_FIBERS, (struct sks_tls_options){ .cert = certs_path("server"),
		.ca = certs_path("ca"), .verify = SKS_TLS_REQUIRED });
	tls_echo_believe((struct sks_tls_options){ 0 });
	client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);
	ck_assert_ptr_nonnull(client);
	set.rfile = client->rfile;
	ck_assert_int_eq(sks_select(&set, 1, 20000), 1);
	ck_fails(sks_read(client->rfile, &byte, 1), EPROTO);
	ck_assert_int_eq(sks_eof(client->rfile), 0);
	sks_client_close(client);
}

/* -- a write that is cancelled when the socket has taken a part of its record, or nothing -- */

struct rest {
	const char *name;
	size_t before;     /* bytes in the buffer */
	size_t write;      /* of the write behind them that is cancelled; 0: the flush is */
	int breaks;
};

static const struct rest rests[] = {
	{ "a flush", 500, 0, 0 },
	{ "a large write behind a record of its own", 2000, 20000, 0 },
	{ "a large write in a record with what was before it", 500, 20000, ECANCELED },
	{ "a large write alone", 0, 20000, ECANCELED },
};

static void
cancel_rest(struct sks_client *client, const struct rest *rest)
{
	static char text[20000];
	struct sks_task *task = sks_task_current();

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(sks_write(client->wfile, text, rest->before), 0);
	memset(text, 'y', sizeof(text));
	atomic_store(&task->cancelled, 1);
	fault("send:EAGAIN:1");
	if (rest->write > 0)
		ck_fails(sks_write(client->wfile, text, rest->write), ECANCELED);
	else
		ck_fails(sks_flush(client->wfile), ECANCELED);
	ck_assert_uint_eq(sks_fault_hits(), 1);
	sks_fault_clear();
	atomic_store(&task->cancelled, 0);
}

/* OpenSSL has the bytes of a record that it could not send. No other bytes may take their place. */
TEST(what_is_cancelled_is_not_sent_in_place_of_other_bytes, EACH_OF(rests))
{
	const struct rest *rest = &rests[_i];
	struct sks_client *client;
	char *line;

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	client = sks_connect_tls(tls_echo_address(0), tls_echo_client, 20000);
	ck_assert_ptr_nonnull(client);
	tls_echo_expect(client, "in private");
	cancel_rest(client, rest);
	ck_assert_int_eq(sks_error(client->wfile), rest->breaks);
	if (rest->breaks == 0) {
		ck_assert_int_eq(sks_puts(client->wfile, "\n"), 0);
		line = sks_gets(client->rfile);
		ck_assert_ptr_nonnull(line);
		ck_assert_uint_eq(strspn(line, "x"), rest->before);
		ck_assert_str_eq(line + rest->before, " in private");
	} else
		ck_fails(sks_puts(client->wfile, "\n"), ECANCELED);
	(void)sks_client_close(client);
}
