/* SPDX-License-Identifier: MIT */
/*
 * check_tls_handshake.c - handshakes: what both sides agree on and ask for, and peers that do not
 * shake hands as they should.
 */
#include "certs.h"
#include "tls_peer.h"
#include "tls_server.h"

#include "fiber/fiber.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(tls_setup, tls_teardown);

/* Tells what the TLS of its connection is, then echoes. */
static int
tell(struct sks_request *req)
{
	const char *(*const asked[])(const struct sks_rfile *) = { sks_tls_version, sks_tls_alpn,
		sks_tls_server_name, sks_tls_peer_subject };
	size_t i;

	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const char *text = asked[i](req->rfile);

		sks_printf(req->wfile, "%s ", text != NULL ? text : "-");
	}
	sks_puts(req->wfile, "\n");
	return acc_echo_lines(req);
}

static const struct sks_handler telling = { .name = "telling", .handle = tell };

static void
start(struct acc *acc, int mode, struct sks_tls_options more)
{
	tls_start(acc, mode, &telling, (struct sks_options){ .on_error = acc_on_error }, more);
}

/*
 * The server goes on after all that was done to it, and has counted so many handshakes that
 * failed.
 */
static void
expect_service(struct acc *acc, unsigned int failed)
{
	struct tls_peer peer;

	sks_fault_clear();
	tls_peer_connect(&peer, acc->address);
	tls_peer_puts(&peer, "still here\n");
	tls_peer_drop(&peer);
	ck_eventually(acc_stats(acc).handshakes_failed == failed);
	acc_free(acc);
}

/* -- what is agreed on -- */

TEST(both_versions_are_spoken, EACH_MODE)
{
	static const struct {
		int version;
		const char *says;
	} rows[] = { { TLS1_2_VERSION, "TLSv1.2 - - - \n" }, { TLS1_3_VERSION, "TLSv1.3 - - - \n" } };
	struct tls_peer peer;
	struct acc acc;
	int i;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	for (i = 0; i < 2; i++) {
		tls_peer_open(&peer, peer_connect(acc.address));
		SSL_CTX_set_min_proto_version(peer.ctx, rows[i].version);
		SSL_CTX_set_max_proto_version(peer.ctx, rows[i].version);
		tls_peer_shake(&peer);
		tls_peer_expect(&peer, rows[i].says);
		tls_peer_close(&peer);
	}
	acc_free(&acc);
}

TEST(a_reset_in_a_handshake_harms_nobody, EACH_MODE)
{
	struct acc acc;
	int fd;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	fd = peer_connect(acc.address);
	peer_send(fd, "\x16\x03\x01\x02", 4); /* a part of a client's first record */
	ck_eventually(acc_stats(&acc).bytes_in > 0 || acc_stats(&acc).active == 1);
	peer_reset(fd);
	ck_eventually(acc_stats(&acc).handshakes_failed == 1);
	ck_assert_int_eq(seen->errors, 0);
	expect_service(&acc, 1);
}

TEST(an_old_version_is_refused)
{
	struct tls_peer peer;
	struct acc acc;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ .min_version = SKS_TLS_1_3 });
	tls_peer_open(&peer, peer_connect(acc.address));
	SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
	ck_assert_int_eq(tls_peer_try(&peer), 0);
	tls_peer_drop(&peer);
	ck_eventually(log_count("only versions of TLS that are too old") == 1);
	expect_service(&acc, 1);
}

TEST(an_application_protocol_is_agreed_on)
{
	static const unsigned char theirs[] = "\x04spdy\x08http/1.1\x02h2", none[] = "\x04spdy";
	struct tls_peer peer;
	struct acc acc;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ .alpn = "h2,http/1.1" });
	tls_peer_open(&peer, peer_connect(acc.address));
	SSL_CTX_set_alpn_protos(peer.ctx, theirs, sizeof(theirs) - 1);
	tls_peer_shake(&peer);
	tls_peer_expect(&peer, "TLSv1.3 h2 - - \n");
	tls_peer_close(&peer);
	tls_peer_open(&peer, peer_connect(acc.address));
	SSL_CTX_set_alpn_protos(peer.ctx, none, sizeof(none) - 1);
	ck_assert_int_eq(tls_peer_try(&peer), 0);
	tls_peer_drop(&peer);
	expect_service(&acc, 1);
}

static void
expect_name(const struct acc *acc, const char *asked, const char *shown)
{
	struct tls_peer peer;
	char says[100];
	X509 *cert;

	tls_peer_open(&peer, peer_connect(acc->address));
	peer.ssl = SSL_new(peer.ctx);
	SSL_set_tlsext_host_name(peer.ssl, asked);
	tls_peer_shake(&peer);
	cert = SSL_get0_peer_certificate(peer.ssl);
	ck_assert_int_eq(X509_check_host(cert, shown, 0, 0, NULL), 1);
	snprintf(says, sizeof(says), "TLSv1.3 - %s - \n", asked);
	tls_peer_expect(&peer, says);
	tls_peer_close(&peer);
}

TEST(each_name_has_its_certificate)
{
	struct acc acc;

	certs_make(&(struct cert){ .name = "other", .names = "DNS:other.example,DNS:*.wild.example" });
	start(&acc, ACC_FIBERS, (struct sks_tls_options){ 0 });
	ck_assert_int_eq(sks_tls_add(tls, certs_path("other"), NULL), 0);
	expect_name(&acc, "localhost", "localhost");
	expect_name(&acc, "other.example", "other.example");
	expect_name(&acc, "a.wild.example", "other.example");
	expect_name(&acc, "nobody.example", "localhost");
	acc_free(&acc);
}

/* -- client certificates -- */

static int
names_of_peer(struct sks_request *req)
{
	const char *name, *print = sks_tls_peer_fingerprint(req->rfile);
	unsigned int i;

	for (i = 0; (name = sks_tls_peer_name(req->rfile, i)) != NULL; i++)
		sks_printf(req->wfile, "%s ", name);
	return sks_printf(req->wfile, "%zu %s\n", print != NULL ? strlen(print) : 0,
	    print != NULL ? sks_tls_peer_subject(req->rfile) : "nobody");
}

static void
show(struct tls_peer *peer, const struct acc *acc, const char *cert)
{
	tls_peer_open(peer, peer_connect(acc->address));
	if (cert == NULL)
		return;
	ck_assert_int_eq(SSL_CTX_use_certificate_file(peer->ctx, certs_path(cert), SSL_FILETYPE_PEM), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(peer->ctx, certs_path(cert), SSL_FILETYPE_PEM), 1);
}

TEST(a_client_shows_its_certificate, EACH_MODE)
{
	static const struct sks_handler names = { .name = "names", .handle = names_of_peer };
	struct sks_tls_options files = { .cert = certs_path("server"), .ca = certs_path("ca"),
		.verify = SKS_TLS_OPTIONAL };
	struct sks_options options = { 0 };
	struct tls_peer peer;
	struct acc acc;
	char byte;

	certs_make(&(struct cert){ .name = "stranger", .names = "DNS:alice.example" });
	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	acc_on(&acc, _i, "tls:127.0.0.1:0", &names, &options);
	acc_start(&acc);
	show(&peer, &acc, "client");
	tls_peer_shake(&peer);
	tls_peer_expect(&peer, "alice.example alice@example.org 64 CN=client\n");
	tls_peer_expect_end(&peer);
	show(&peer, &acc, NULL);
	tls_peer_shake(&peer);
	tls_peer_expect(&peer, "0 nobody\n");
	tls_peer_expect_end(&peer);
	show(&peer, &acc, "stranger");
	tls_peer_shake(&peer); /* in 1.3 the client is through before the server has looked */
	ck_assert_int_le(tls_peer_read(&peer, &byte, 1), 0);
	tls_peer_drop(&peer);
	ck_eventually(acc_stats(&acc).handshakes_failed == 1);
	ck_eventually(log_count("the peer's certificate: ") == 1);
	acc_free(&acc);
}

TEST(a_client_must_have_a_certificate)
{
	struct tls_peer peer;
	struct acc acc;
	char byte;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ .ca = certs_path("ca"),
		.verify = SKS_TLS_REQUIRED });
	show(&peer, &acc, NULL);
	tls_peer_shake(&peer);
	ck_assert_int_le(tls_peer_read(&peer, &byte, 1), 0);
	tls_peer_drop(&peer);
	ck_eventually(log_count("the peer has shown no certificate") == 1);
	ck_assert_int_eq(seen->errors, 0);
	acc_free(&acc);
}

/* -- peers that do not shake hands -- */

TEST(who_does_not_speak_tls_is_told_so, EACH_MODE)
{
	static const char *const words[] = { "GET / HTTP/1.1\r\n\r\n", "hello\n", "\x16\x03\x01\x40\x01" };
	struct acc acc;
	size_t i;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int fd = peer_connect(acc.address);
		size_t n;
		char *answer;

		peer_puts(fd, words[i]);
		peer_half_close(fd);
		answer = peer_read_all(fd, &n); /* an alert */
		ck_assert_uint_le(n, 7);
		free(answer);
		close(fd);
	}
	ck_assert_int_eq(seen->errors, 0);
	expect_service(&acc, 3);
}

TEST(who_says_nothing_is_closed_in_time, EACH_MODE)
{
	struct acc acc;
	int silent, half;

	start(&acc, _i, (struct sks_tls_options){ .handshake_ms = 100 });
	silent = peer_connect(acc.address);
	half = peer_connect(acc.address);
	peer_send(half, "\x16\x03\x01\x02", 4);
	peer_expect_gone(silent);
	peer_expect_gone(half);
	ck_assert_int_eq(seen->errors, 0);
	ck_eventually(acc_stats(&acc).handshakes_failed == 1); /* of the one that has begun */
	acc_free(&acc);
}

TEST(who_only_looks_is_not_worth_a_line, EACH_MODE)
{
	struct acc acc;
	int lines;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	lines = log_lines();
	close(peer_connect(acc.address));
	peer_reset(peer_connect(acc.address));
	ck_eventually(acc_stats(&acc).refused == 2);
	ck_assert_int_eq(log_lines(), lines);
	acc_free(&acc);
}

TEST(who_shakes_hands_and_goes_is_no_error, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;
	int lines;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	lines = log_lines();
	tls_peer_connect(&peer, acc.address);
	tls_peer_drop(&peer);
	tls_peer_connect(&peer, acc.address);
	peer_reset(dup(peer.fd));
	tls_peer_drop(&peer);
	ck_eventually(acc_stats(&acc).finished == 2);
	ck_assert_int_eq(seen->errors, 0);
	ck_assert_int_eq(log_lines(), lines);
	acc_free(&acc);
}

/* -- a relay that cuts what the client sends behind each byte of the handshake -- */

/* What a client sends in a handshake and a line, and no more than `most` bytes of it. How many. */
static size_t
relay(const struct acc *acc, size_t most)
{
	int pair[2], server = peer_connect(acc->address);
	struct tls_peer peer = { .ctx = SSL_CTX_new(TLS_client_method()) };
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char bytes[16384];
	size_t sent = 0;

	(void)pair;
	peer.ssl = SSL_new(peer.ctx);
	SSL_set_bio(peer.ssl, in, out);
	SSL_set_connect_state(peer.ssl);
	for (;;) {
		int rc = SSL_do_handshake(peer.ssl), n;

		if (rc == 1)
			SSL_write(peer.ssl, "line\n", 5);
		while ((n = BIO_read(out, bytes, sizeof(bytes))) > 0) {
			size_t part = most - sent < (size_t)n ? most - sent : (size_t)n;

			peer_send(server, bytes, part);
			sent += part;
		}
		if (rc == 1 || sent == most)
			break;
		n = (int)recv(server, bytes, sizeof(bytes), 0);
		if (n == -1 && errno == EAGAIN) {
			struct pollfd p = { .fd = server, .events = POLLIN };

			ck_assert_int_eq(poll(&p, 1, PEER_DEADLINE_MS), 1);
			continue;
		}
		ck_assert_int_gt(n, 0);
		BIO_write(in, bytes, n);
	}
	SSL_free(peer.ssl);
	SSL_CTX_free(peer.ctx);
	close(server);
	return sent;
}

TEST(a_handshake_may_be_cut_at_each_byte)
{
	struct acc acc;
	size_t whole, cut;
	unsigned int step = is_slow() ? 23 : 1;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ 0 });
	whole = relay(&acc, 100000);
	for (cut = 1; cut < whole; cut += step)
		relay(&acc, cut);
	ck_eventually(acc_stats(&acc).active == 0 && acc_stats(&acc).lingering == 0);
	sks_fault_clear();
	acc_free(&acc);
}

/* -- the stack that it takes -- */

/* A handshake on a fiber whose stack is painted before, so that it shows how deep it went. */
static int
shake_on_painted_stack(struct sks_request *req)
{
	const struct sks_fiber *fiber = sks_task_current()->fiber;
	char *lowest = fiber->stack, *here = __builtin_frame_address(0);
	size_t n = (size_t)(here - lowest) - 2048, i;
	int rc;

	memset(lowest, 0xa5, n);
	rc = sks_start_tls(req);
	for (i = 0; i < n && (unsigned char)lowest[i] == 0xa5; i++)
		;
	atomic_store(&seen->note, (int)((size_t)(here - lowest) - i)); /* below the handler */
	return rc == 0 ? acc_echo_lines(req) : -1;
}

TEST(it_fits_half_of_a_fibers_stack, .left_out = is_slow() ? "the stack of a watched program is deeper" : NULL)
{
	static const struct sks_handler painting = { .name = "painting",
		.handle = shake_on_painted_stack };
	struct sks_tls_options files = { .cert = certs_path("server"), .ca = certs_path("ca"),
		.verify = SKS_TLS_REQUIRED };
	struct sks_options options = { 0 };
	struct tls_peer peer;
	struct acc acc;

	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	acc_on(&acc, ACC_FIBERS, "127.0.0.1:0", &painting, &options);
	acc_start(&acc);
	show(&peer, &acc, "client");
	tls_peer_shake(&peer);
	tls_peer_puts(&peer, "x\n");
	tls_peer_expect(&peer, "x\n");
	tls_peer_close(&peer);
	acc_free(&acc);
	ck_assert_int_gt(seen->note, 4096);
	ck_assert_int_le(seen->note, 128 * 1024 / 2);
}

/* -- after the handshake -- */

static int
write_without_end(struct sks_request *req)
{
	while (sks_puts(req->wfile, "more\n") == 0 && sks_flush(req->wfile) == 0)
		;
	return -1;
}

/* EPIPE, or ECONNRESET if it had not read all. SIGPIPE would end this process or the child. */
TEST(who_goes_while_it_is_written_to_raises_no_sigpipe, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = write_without_end, .client_first = 1 };
	struct tls_peer peer;
	struct acc acc;

	tls_start_on(&acc, _i, acc_listen_address(ACC_UNIX), &handler,
	    (struct sks_options){ .on_error = acc_on_error }, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "go\n");
	tls_peer_expect(&peer, "more\n");
	tls_peer_drop(&peer);
	ck_eventually(seen->errors == 1);
	ck_assert(seen->last_error == EPIPE || seen->last_error == ECONNRESET);
	acc_free(&acc);
}

TEST(key_updates_are_answered, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;
	int i;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_expect(&peer, "TLSv1.3 - - - \n");
	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		tls_peer_puts(&peer, "new key\n");
		tls_peer_expect(&peer, "new key\n");
	}
	tls_peer_close(&peer);
	acc_free(&acc);
}

TEST(key_updates_without_end_are_stopped)
{
	struct tls_peer peer;
	struct acc acc;
	int i, rc = 1;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < 100000 && rc == 1; i++) {
		ck_assert_int_eq(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		rc = SSL_do_handshake(peer.ssl);
	}
	signal(SIGPIPE, SIG_DFL);
	ck_eventually(seen->errors == 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	tls_peer_drop(&peer);
	acc_free(&acc);
}

TEST(renegotiation_is_refused)
{
	struct tls_peer peer;
	struct acc acc;
	char byte;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ 0 });
	tls_peer_open(&peer, peer_connect(acc.address));
	SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
	tls_peer_shake(&peer);
	tls_peer_expect(&peer, "TLSv1.2 - - - \n");
	ck_assert_int_eq(SSL_renegotiate(peer.ssl), 1);
	(void)SSL_do_handshake(peer.ssl);
	ck_assert_int_le(tls_peer_read(&peer, &byte, 1), 0);
	tls_peer_drop(&peer);
	ck_eventually(acc_stats(&acc).active == 0);
	ck_assert_uint_eq(acc_stats(&acc).handshakes, 1);
	acc_free(&acc);
}
