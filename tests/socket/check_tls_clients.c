/* SPDX-License-Identifier: MIT */
/*
 * check_tls_clients.c - clients of TLS: whom they believe, and how they connect; and connections that
 * begin in the clear (STARTTLS), on both sides.
 */
#include "certs.h"
#include "rig.h"
#include "tls_peer.h"
#include "tls_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sks_tls *client_tls;
static struct acc acc;

/* "starttls" begins TLS; "inject" too, but says more in the clear; all else is echoed. */
static int
speak(struct sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL) {
		if (strcmp(line, "starttls") == 0) {
			sks_puts(req->wfile, "go ahead\n");
			if (sks_start_tls(req) == -1)
				return -1;
			atomic_store(&seen->note, sks_tell(req->rfile) == 9);
		} else
			sks_printf(req->wfile, "%s %s\n", line,
			    sks_tls_version(req->rfile) != NULL ? "in private" : "in the clear");
	}
	return sks_end(req->rfile);
}

static const struct sks_handler speaking = { .name = "speaking", .handle = speak };

/* A server of TLS with these options, on addresses of TLS and in the clear. */
static void
start_with(int mode, struct sks_tls_options files)
{
	struct sks_options options = { .on_error = acc_on_error };

	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	ck_assert_ptr_nonnull(tls);
	acc_on(&acc, mode, "tls:127.0.0.1:0", &speaking, &options);
	ck_assert_int_eq(sks_server_listen(acc.server, "127.0.0.1:0"), 0);
	acc_start(&acc);
}

static void
teardown(void)
{
	acc_free(&acc);
	sks_tls_free(client_tls);
	client_tls = NULL;
	tls_teardown();
}

FIXTURE(tls_setup, teardown);

/* A server with this certificate. */
static void
start(int mode, const char *cert)
{
	start_with(mode, (struct sks_tls_options){ .cert = certs_path(cert) });
}

/* A client's configuration that believes our own authority. */
static void
believe(struct sks_tls_options more)
{
	more.ca = certs_path("ca");
	client_tls = sks_tls_new(SKS_TLS_CLIENT, &more);
	ck_assert_ptr_nonnull(client_tls);
}

/* The address of the server's i-th listener, for sks_connect(). */
static const char *
address_of(unsigned int i)
{
	static char address[2][160];

	return sks_server_listen_address(acc.server, i, address[i], sizeof(address[i]));
}

static void
expect_echo(struct sks_client *client, const char *how)
{
	char want[100];

	ck_assert_int_eq(sks_puts(client->wfile, "hello\n"), 0);
	snprintf(want, sizeof(want), "hello %s", how);
	ck_assert_str_eq(sks_gets(client->rfile), want);
}

/* -- sks_connect_tls() -- */

static void
connect_and_echo(void *arg)
{
	struct sks_client *client = sks_connect_tls(address_of(0), client_tls, 20000);

	(void)arg;
	ck_assert_ptr_nonnull(client);
	expect_echo(client, "in private");
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
	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ 0 });
	rig_run_on(_i, connect_and_echo, NULL);
}

/* The system's certificates are these, for once. */
TEST(the_systems_certificates_are_the_default)
{
	struct sks_client *client;

	ck_assert_int_eq(setenv("SSL_CERT_FILE", certs_path("ca"), 1), 0);
	start(ACC_FIBERS, "server");
	client = sks_connect(address_of(0), 20000);
	ck_assert_ptr_nonnull(client);
	expect_echo(client, "in private");
	sks_client_close(client);
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
	start(ACC_FIBERS, "x");
	believe((struct sks_tls_options){ 0 });
	errno = 0;
	ck_assert_ptr_null(sks_connect_tls(address_of(0), client_tls, 20000));
	ck_assert_int_eq(errno, EKEYREJECTED);
	ck_assert_int_eq(log_count(doubts[_i].why), 1);
	ck_eventually(acc_stats(&acc).handshakes_failed == 1); /* the server reads the alert */
}

TEST(a_quiet_client_is_told_alone)
{
	char why[200] = "as it was";
	struct sks_client *client;

	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ .name = "elsewhere.example" });
	ck_assert_ptr_null(sks_connect_tls_quiet(address_of(0), client_tls, 20000, why, sizeof(why)));
	ck_assert_int_eq(errno, EKEYREJECTED);
	ck_assert_int_eq(strncmp(why, "connect tls:127.0.0.1:", 22), 0);
	ck_assert_ptr_nonnull(strstr(why, ": the peer's certificate: hostname mismatch"));
	ck_assert_ptr_null(sks_connect_tls_quiet(address_of(0), client_tls, 20000, NULL, 0));
	ck_assert_int_eq(errno, EKEYREJECTED);
	sks_tls_free(client_tls);
	believe((struct sks_tls_options){ 0 });
	strcpy(why, "as it was");
	client = sks_connect_tls_quiet(address_of(0), client_tls, 20000, why, sizeof(why));
	ck_assert_ptr_nonnull(client);
	ck_assert_str_eq(why, "as it was");
	expect_echo(client, "in private");
	sks_client_close(client);
	ck_assert_int_eq(log_count("connect "), 0);
}

TEST(a_client_may_expect_another_name)
{
	struct sks_client *client;

	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ .name = "localhost" });
	client = sks_connect_tls(address_of(0), client_tls, 20000);
	ck_assert_ptr_nonnull(client);
	sks_client_close(client);
}

TEST(a_client_may_believe_everybody)
{
	struct sks_client *client;

	certs_make(&(struct cert){ .name = "x" });
	start(ACC_FIBERS, "x");
	believe((struct sks_tls_options){ .verify = SKS_TLS_NO_VERIFY });
	client = sks_connect_tls(address_of(0), client_tls, 20000);
	ck_assert_ptr_nonnull(client);
	expect_echo(client, "in private");
	sks_client_close(client);
}

TEST(a_server_in_the_clear_is_no_server_of_tls)
{
	static const struct sks_handler hello = { .name = "hello", .handle = acc_hello };

	acc_on(&acc, ACC_FIBERS, "127.0.0.1:0", &hello, NULL);
	acc_start(&acc);
	believe((struct sks_tls_options){ 0 });
	errno = 0;
	ck_assert_ptr_null(sks_connect_tls(address_of(0), client_tls, 20000));
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_int_eq(log_count("the peer does not speak TLS"), 1);
}

TEST(a_client_has_no_more_time_than_it_was_given)
{
	struct sks_socket *silent = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	char address[100];

	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ 0 });
	ck_assert_int_eq(sks_address_parse("127.0.0.1:0", &name, &len), 0);
	ck_assert_int_eq(sks_socket_bind(silent, (struct sockaddr *)&name, len), 0);
	ck_assert_int_eq(sks_socket_listen(silent, 1), 0);
	len = sizeof(name);
	ck_assert_int_eq(sks_socket_getsockname(silent, (struct sockaddr *)&name, &len), 0);
	sks_address_format((struct sockaddr *)&name, len, address, sizeof(address));
	errno = 0;
	ck_assert_ptr_null(sks_connect_tls(address, client_tls, 50));
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(log_count("the handshake took too long"), 1);
	sks_socket_free(silent);
}

/* A ticket, or a part of a record, is input of the socket, but none of the stream. */
TEST(a_select_wakes_for_what_can_be_read)
{
	struct sks_selectable set = { .want = SKS_READ };
	struct sks_client *client;

	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ 0 });
	client = sks_connect_tls(address_of(0), client_tls, 20000);
	ck_assert_ptr_nonnull(client);
	ck_eventually(acc_stats(&acc).handshakes == 1); /* the ticket is sent */
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

	start_with(ACC_FIBERS, (struct sks_tls_options){ .cert = certs_path("server"),
		.ca = certs_path("ca"), .verify = SKS_TLS_REQUIRED });
	believe((struct sks_tls_options){ 0 });
	client = sks_connect_tls(address_of(0), client_tls, 20000);
	ck_assert_ptr_nonnull(client);
	set.rfile = client->rfile;
	ck_assert_int_eq(sks_select(&set, 1, 20000), 1);
	ck_fails(sks_read(client->rfile, &byte, 1), EPROTO);
	ck_assert_int_eq(sks_eof(client->rfile), 0);
	sks_client_close(client);
}

/* -- STARTTLS -- */

static struct sks_client *
ask_to_start(void)
{
	struct sks_client *client = sks_connect(address_of(1), 20000);

	ck_assert_ptr_nonnull(client);
	expect_echo(client, "in the clear");
	ck_assert_ptr_null(sks_tls_cipher(client->rfile));
	ck_assert_int_eq(sks_puts(client->wfile, "starttls\n"), 0);
	ck_assert_str_eq(sks_gets(client->rfile), "go ahead");
	return client;
}

TEST(a_connection_becomes_one_of_tls, EACH_MODE)
{
	struct sks_client *client;

	start(_i, "server");
	believe((struct sks_tls_options){ 0 });
	client = ask_to_start();
	ck_assert_int_eq(sks_client_start_tls(client, client_tls, "localhost"), 0);
	expect_echo(client, "in private");
	ck_fails(sks_client_start_tls(client, client_tls, "localhost"), EALREADY);
	ck_assert_int_eq(sks_client_close(client), 0);
	ck_eventually(acc_stats(&acc).handshakes == 1);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

/* What is wrong with the call is told before a byte is sent: the connection goes on in the clear. */
TEST(a_wrong_call_leaves_a_connection_as_it_is)
{
	struct sks_client *client;

	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ 0 });
	client = sks_connect(address_of(1), 20000);
	ck_assert_ptr_nonnull(client);
	ck_fails(sks_client_start_tls(client, tls, "localhost"), EINVAL);
	ck_assert_int_eq(log_count("TLS handshake with localhost: the configuration is not a client's"), 1);
	ck_fails(sks_client_start_tls(client, client_tls, NULL), EINVAL);
	ck_assert_int_eq(log_count("TLS handshake: there is no name that the certificate must have"), 1);
	expect_echo(client, "in the clear");
	ck_assert_int_eq(sks_client_close(client), 0);
}

/* A server does not prove itself to whoever asks for another name, and no more is said. */
TEST(a_connection_whose_handshake_fails_says_no_more)
{
	struct sks_client *client;

	start(ACC_FIBERS, "server");
	believe((struct sks_tls_options){ 0 });
	client = ask_to_start();
	ck_assert_int_eq(sks_client_start_tls(client, client_tls, "elsewhere"), -1);
	ck_assert_int_eq(log_count("TLS handshake with elsewhere: "), 1);
	ck_assert_int_eq(sks_puts(client->wfile, "secret\n") == 0 && sks_flush(client->wfile) == 0, 0);
	(void)sks_client_close(client);
}

/* A client that sends all at once: the command, and its handshake behind it. */
TEST(an_early_handshake_is_not_lost)
{
	struct tls_peer peer;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char bytes[4096];
	int n;

	start(ACC_FIBERS, "server");
	tls_peer_open(&peer, peer_connect(sks_server_address(acc.server, 1, bytes, sizeof(bytes))));
	peer.ssl = SSL_new(peer.ctx);
	SSL_set_bio(peer.ssl, in, out);
	SSL_set_connect_state(peer.ssl);
	ck_assert_int_eq(SSL_do_handshake(peer.ssl), -1);
	memcpy(bytes, "starttls\n", 9);
	n = BIO_read(out, bytes + 9, sizeof(bytes) - 9);
	ck_assert_int_gt(n, 0);
	peer_send(peer.fd, bytes, (size_t)n + 9);
	peer_expect(peer.fd, "go ahead\n");
	tls_peer_shake(&peer);
	tls_peer_puts(&peer, "hi\n");
	tls_peer_expect(&peer, "hi in private\n");
	tls_peer_close(&peer);
}

/* What somebody has put behind the command is not taken for the client's. */
TEST(an_injected_line_fails_the_handshake, EACH_MODE)
{
	char name[160];
	int fd;

	start(_i, "server");
	fd = peer_connect(sks_server_address(acc.server, 1, name, sizeof(name)));
	peer_puts(fd, "starttls\ninjected\n");
	peer_expect(fd, "go ahead\n");
	ck_eventually(seen->errors == 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	close(fd);
	ck_assert_uint_eq(acc_stats(&acc).handshakes_failed, 1);
}

static int
post_and_start(struct sks_request *req)
{
	sks_puts(req->wfile, "before\n");
	ck_assert_int_eq(sks_post(req, "posted\n", 7), 0);
	if (sks_start_tls(req) == -1)
		return -1;
	ck_assert_int_eq(sks_post(req, "secret\n", 7), 0);
	return acc_echo_lines(req);
}

/* What was written or posted before goes out before, in the clear; the rest is encrypted. */
TEST(posts_keep_their_order)
{
	static const struct sks_handler posting = { .name = "posting", .handle = post_and_start };
	struct sks_options options = { 0 };
	struct tls_peer peer;
	char text[15];

	options.tls = tls =
	    sks_tls_new(SKS_TLS_SERVER, &(struct sks_tls_options){ .cert = certs_path("server") });
	acc_on(&acc, ACC_FIBERS, "127.0.0.1:0", &posting, &options);
	acc_start(&acc);
	tls_peer_open(&peer, peer_connect(acc.address));
	ck_assert_uint_eq(peer_receive(peer.fd, text, 14), 14);
	ck_assert(memcmp(text, "before\nposted\n", 14) == 0 || memcmp(text, "posted\nbefore\n", 14) == 0);
	tls_peer_shake(&peer);
	tls_peer_expect(&peer, "secret\n");
	tls_peer_puts(&peer, "echo\n");
	tls_peer_expect(&peer, "echo\n");
	tls_peer_close(&peer);
}

static int
refuse_and_tell(struct sks_request *req)
{
	ck_assert_int_eq(sks_start_tls(req), -1);
	return sks_printf(req->wfile, "%d\n", errno);
}

TEST(tls_is_not_started_without_a_certificate)
{
	static const struct sks_handler refusing = { .name = "refusing", .handle = refuse_and_tell };
	char want[20];

	acc_on(&acc, ACC_FIBERS, "127.0.0.1:0", &refusing, NULL);
	acc_start(&acc);
	snprintf(want, sizeof(want), "%d\n", EINVAL);
	acc_ask(&acc, "", want);
	ck_assert_int_eq(log_count("there is no certificate for it (options.tls)"), 1);
}
