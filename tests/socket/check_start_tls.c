/* SPDX-License-Identifier: MIT */
/*
 * check_start_tls.c - connections that begin in the clear (STARTTLS), on both sides.
 */
#include "certs.h"
#include "rig.h"
#include "tls_echo.h"
#include "tls_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(tls_setup, tls_echo_teardown);

static struct sks_client *
ask_to_start(void)
{
	struct sks_client *client = sks_connect(tls_echo_address(1), 20000);

	ck_assert_ptr_nonnull(client);
	tls_echo_expect(client, "in the clear");
	ck_assert_ptr_null(sks_tls_cipher(client->rfile));
	ck_assert_int_eq(sks_puts(client->wfile, "starttls\n"), 0);
	ck_assert_str_eq(sks_gets(client->rfile), "go ahead");
	return client;
}

TEST(a_connection_becomes_one_of_tls, EACH_MODE)
{
	struct sks_client *client;

	tls_echo_start(_i, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	client = ask_to_start();
	ck_assert_int_eq(sks_client_start_tls(client, tls_echo_client, "localhost"), 0);
	tls_echo_expect(client, "in private");
	ck_fails(sks_client_start_tls(client, tls_echo_client, "localhost"), EALREADY);
	ck_assert_int_eq(sks_client_close(client), 0);
	ck_eventually(acc_stats(&tls_echo_acc).handshakes == 1);
	acc_free(&tls_echo_acc);
	ck_assert_int_eq(seen->errors, 0);
}

/*
 * What is wrong with the call is told before a byte is sent: the connection goes on in the clear.
 */
TEST(a_wrong_call_leaves_a_connection_as_it_is)
{
	struct sks_client *client;

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	client = sks_connect(tls_echo_address(1), 20000);
	ck_assert_ptr_nonnull(client);
	ck_fails(sks_client_start_tls(client, tls, "localhost"), EINVAL);
	ck_assert_int_eq(log_count("TLS handshake with localhost: the configuration is not a client's"),
	    1);
	ck_fails(sks_client_start_tls(client, tls_echo_client, NULL), EINVAL);
	ck_assert_int_eq(log_count("TLS handshake: there is no name that the certificate must have"), 1);
	tls_echo_expect(client, "in the clear");
	ck_assert_int_eq(sks_client_close(client), 0);
}

/* A server does not prove itself to whoever asks for another name, and no more is said. */
TEST(a_connection_whose_handshake_fails_says_no_more)
{
	struct sks_client *client;

	tls_echo_start(ACC_FIBERS, "server");
	tls_echo_believe((struct sks_tls_options){ 0 });
	client = ask_to_start();
	ck_assert_int_eq(sks_client_start_tls(client, tls_echo_client, "elsewhere"), -1);
	ck_assert_int_eq(log_count("TLS handshake with elsewhere: "), 1);
	ck_assert_int_eq(sks_puts(client->wfile, "secret\n") == 0 && sks_flush(client->wfile) == 0, 0);
	(void)sks_client_close(client);
}

/*
 * A client that sends all at once: the command, and its handshake behind it. It uses OpenSSL when a
 * child process is there: one that is forked meanwhile may find a lock of OpenSSL taken for ever.
 */
TEST(an_early_handshake_is_not_lost, EACH_MODE)
{
	struct tls_peer peer;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char bytes[4096];
	int fd, n;

	tls_echo_start(_i, "server");
	fd = peer_connect(sks_server_address(tls_echo_acc.server, 1, bytes, sizeof(bytes)));
	peer_puts(fd, "hi\n");
	peer_expect(fd, "hi in the clear\n");
	tls_peer_open(&peer, fd);
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

	tls_echo_start(_i, "server");
	fd = peer_connect(sks_server_address(tls_echo_acc.server, 1, name, sizeof(name)));
	peer_puts(fd, "starttls\ninjected\n");
	peer_expect(fd, "go ahead\n");
	ck_eventually(seen->errors == 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	close(fd);
	ck_assert_uint_eq(acc_stats(&tls_echo_acc).handshakes_failed, 1);
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
	acc_on(&tls_echo_acc, ACC_FIBERS, "127.0.0.1:0", &posting, &options);
	acc_start(&tls_echo_acc);
	tls_peer_open(&peer, peer_connect(tls_echo_acc.address));
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

	acc_on(&tls_echo_acc, ACC_FIBERS, "127.0.0.1:0", &refusing, NULL);
	acc_start(&tls_echo_acc);
	snprintf(want, sizeof(want), "%d\n", EINVAL);
	acc_ask(&tls_echo_acc, "", want);
	ck_assert_int_eq(log_count("there is no certificate for it (options.tls)"), 1);
}

/* Its peer reads nothing, and what it has said before must go out first. */
static void
start_behind_a_reply(void *arg)
{
	struct sks_client *client = arg;

	ck_assert_int_eq(sks_puts(client->wfile, "go ahead\n"), 0);
	ck_fails(sks_client_start_tls(client, tls_echo_client, "localhost"), EPIPE);
}

static void
read_meanwhile(void *arg)
{
	struct sks_client *client = arg;
	char *line;

	sks_set_timeout(client->rfile, 0);
	sks_rfile_set_idle(client->rfile, 0);
	ck_fails(sks_readline(client->rfile, &line), EBUSY);
	shutdown(sks_socket_fileno(client->socket), SHUT_RDWR);
}

TEST(nobody_reads_in_the_clear_once_tls_is_to_start)
{
	static const char block[4096];
	struct sks_socket *pair[2];
	struct sks_client *client;
	struct rig_loop rig;

	tls_echo_believe((struct sks_tls_options){ 0 });
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	client = sks_socket_makefile(pair[0], "rw");
	ck_assert_ptr_nonnull(client);
	while (send(sks_socket_fileno(pair[0]), block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	rig_loop_open(&rig);
	rig_go(&rig, start_behind_a_reply, client);
	rig_go(&rig, read_meanwhile, client);
	rig_run(&rig);
	rig_loop_close(&rig);
	(void)sks_client_close(client);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}
