/* SPDX-License-Identifier: MIT */
/*
 * check_tls_reload.c - configurations: files that are not as they should be, certificates that are
 * read again while the server runs, and the one that is made to try with.
 */
#include "certs.h"
#include "tls_peer.h"
#include "tls_server.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FIXTURE(tls_setup, tls_teardown);

static const struct sks_handler echo = { .name = "echo", .handle = acc_echo_keep, .client_first = 1 };

static void
start(struct acc *acc, int mode, struct sks_tls_options more)
{
	tls_start(acc, mode, &echo, (struct sks_options){ 0 }, more);
}

/* A new client is shown a certificate of that subject. */
static void
expect_subject(const struct acc *acc, const char *subject)
{
	struct tls_peer peer;
	char name[100];

	tls_peer_connect(&peer, acc->address);
	X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(peer.ssl)),
	    NID_commonName, name, sizeof(name));
	ck_assert_str_eq(name, subject);
	tls_peer_close(&peer);
}

/* -- files that are not good -- */

struct bad_file {
	const char *name;
	const char *why; /* a part of the line */
	void (*make)(void);
};

static void
make_nothing(void)
{
	unlink(certs_path("bad"));
}

static void
make_folder(void)
{
	ck_assert_int_eq(mkdir(certs_path("bad"), 0700), 0);
}

static void
make_text(void)
{
	certs_write("bad", "this is no certificate\n");
}

static void
make_broken(void)
{
	certs_write("bad", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
}

static void
make_old(void)
{
	certs_make(&(struct cert){ .name = "bad", .from_days = -20, .until_days = -1 });
}

static void
make_early(void)
{
	certs_make(&(struct cert){ .name = "bad", .from_days = 2 });
}

static void
make_large(void)
{
	char *text = malloc((1 << 20) + 100);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', (1 << 20) + 99);
	text[(1 << 20) + 99] = '\0';
	certs_write("bad", text);
	free(text);
}

/* A key with a passphrase, behind a certificate. */
static void
make_locked(void)
{
	FILE *in = fopen(certs_path("server"), "r"), *out;
	X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);

	fclose(in);
	out = fopen(certs_path("bad"), "w");
	PEM_write_X509(out, cert);
	PEM_write_PrivateKey(out, key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)(size_t)"secret");
	fclose(out);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
make_keyless(void)
{
	FILE *in = fopen(certs_path("server"), "r"), *out;
	X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);

	fclose(in);
	out = fopen(certs_path("bad"), "w");
	PEM_write_X509(out, cert);
	fclose(out);
	X509_free(cert);
}

static void
make_empty(void)
{
	certs_write("bad", "");
}

/* A file that was not written to its end. */
static void
make_truncated(void)
{
	FILE *in = fopen(certs_path("server"), "r");
	char text[301];

	ck_assert_uint_eq(fread(text, 1, 300, in), 300);
	text[300] = '\0';
	fclose(in);
	certs_write("bad", text);
}

static void
make_der(void)
{
	FILE *in = fopen(certs_path("server"), "r"), *out = fopen(certs_path("bad"), "w");
	X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);

	ck_assert_int_eq(i2d_X509_fp(out, cert), 1);
	fclose(in);
	fclose(out);
	X509_free(cert);
}

/* The certificate of one, with the key of another. */
static void
make_mixed(void)
{
	FILE *one = fopen(certs_path("server"), "r"), *other = fopen(certs_path("client"), "r");
	FILE *out = fopen(certs_path("bad"), "w");
	X509 *cert = PEM_read_X509(one, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_PrivateKey(other, NULL, NULL, NULL);

	PEM_write_X509(out, cert);
	PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	fclose(one);
	fclose(other);
	fclose(out);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static const struct bad_file bad_files[] = {
	{ "missing", "bad.pem: No such file or directory", make_nothing },
	{ "a folder", "bad.pem: Is a directory", make_folder },
	{ "text", "bad.pem: there is no certificate in it", make_text },
	{ "broken", "bad.pem: ", make_broken },
	{ "expired", "bad.pem: the certificate has expired on ", make_old },
	{ "too early", "bad.pem: the certificate is not valid before ", make_early },
	{ "too large", "bad.pem: it has more than 1 MiB", make_large },
	{ "passphrase", "bad.pem: the key has a passphrase", make_locked },
	{ "no key", "bad.pem: there is no private key in it", make_keyless },
	{ "empty", "bad.pem: there is no certificate in it", make_empty },
	{ "truncated", "bad.pem: ", make_truncated },
	{ "DER", "bad.pem: there is no certificate in it (in PEM)", make_der },
	{ "another key", "bad.pem: the private key does not belong to this certificate", make_mixed },
};

TEST(a_file_that_is_not_good_is_named, EACH_OF(bad_files))
{
	struct sks_tls_options files = { .cert = certs_path("bad") };
	int lines;

	bad_files[_i].make();
	lines = log_lines();
	errno = 0;
	ck_assert_ptr_null(sks_tls_new(SKS_TLS_SERVER, &files));
	ck_assert_int_ne(errno, 0);
	ck_assert_int_eq(log_lines(), lines + 1);
	ck_assert_int_eq(log_count(bad_files[_i].why), 1);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	rmdir(certs_path("bad"));
}

/* While it runs: the line is the same, and the certificate stays that of before. */
TEST(a_file_that_is_not_good_any_more_changes_nothing, EACH_OF(bad_files))
{
	struct sks_options options = { 0 };
	struct acc acc;
	int lines;

	certs_make(&(struct cert){ .name = "bad", .names = "DNS:localhost" });
	options.tls = tls = sks_tls_new(SKS_TLS_SERVER,
	    &(struct sks_tls_options){ .cert = certs_path("bad") });
	ck_assert_ptr_nonnull(tls);
	acc_on(&acc, ACC_FIBERS, "tls:127.0.0.1:0", &echo, &options);
	acc_start(&acc);
	unlink(certs_path("bad"));
	bad_files[_i].make();
	lines = log_lines();
	errno = 0;
	ck_assert_int_eq(sks_tls_reload(tls), -1);
	ck_assert_int_ne(errno, 0);
	ck_assert_int_eq(log_lines(), lines + 1);
	ck_assert_int_eq(log_count(bad_files[_i].why), 1);
	expect_subject(&acc, "bad");
	acc_free(&acc);
	rmdir(certs_path("bad"));
}

/* As a list of whom to trust: there only what can be read counts. */
TEST(a_list_that_is_not_good_is_named, TIMES(3))
{
	static const struct bad_file lists[] = {
		{ "empty", "bad.pem: there is no certificate in it", make_empty },
		{ "truncated", "bad.pem: ", make_truncated },
		{ "DER", "bad.pem: there is no certificate in it (in PEM)", make_der },
	};
	struct sks_tls_options files = { .ca = certs_path("bad") };

	lists[_i].make();
	ck_assert_ptr_null(sks_tls_new(SKS_TLS_CLIENT, &files));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count(lists[_i].why), 1);
}

/* -- much -- */

/* A file of n bytes, of which those behind the certificate and key are empty lines. */
static void
fill_up(const char *path, long n)
{
	FILE *file = fopen(path, "a");

	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	while (ftell(file) < n)
		putc('\n', file);
	ck_assert_int_eq(fclose(file), 0);
}

TEST(a_file_may_have_1_mib)
{
	fill_up(certs_path("server"), 1 << 20);
	tls = sks_tls_new(SKS_TLS_SERVER, &(struct sks_tls_options){ .cert = certs_path("server") });
	ck_assert_ptr_nonnull(tls);
	fill_up(certs_path("server"), (1 << 20) + 1);
	ck_fails(sks_tls_reload(tls), EFBIG);
	ck_assert_int_eq(log_count("server.pem: it has more than 1 MiB"), 1);
}

/* Appends n certificates of other authorities to the file of "server". */
static void
append_chain(int n)
{
	FILE *file = fopen(certs_path("server"), "a");
	X509 *cert;
	int i;

	for (i = 0; i < n; i++) {
		FILE *one;
		const char *path = certs_make(&(struct cert){ .name = "link", .issuer = "ca", .is_ca = 1 });

		one = fopen(path, "r");
		cert = PEM_read_X509(one, NULL, NULL, NULL);
		ck_assert_int_eq(PEM_write_X509(file, cert), 1);
		X509_free(cert);
		fclose(one);
	}
	fclose(file);
}

/* It is sent whole. */
TEST(a_chain_may_have_100_certificates)
{
	struct tls_peer peer;
	struct acc acc;

	append_chain(99);
	start(&acc, ACC_FIBERS, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	ck_assert_int_eq(sk_X509_num(SSL_get_peer_cert_chain(peer.ssl)), 100);
	tls_peer_puts(&peer, "line\n");
	tls_peer_expect(&peer, "line\n");
	tls_peer_close(&peer);
	acc_free(&acc);
}

/* A client that shows 1 MiB of certificates is stopped before they are looked at. */
TEST(a_client_may_not_show_1_mib, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;
	X509 *cert;
	int i, n;

	signal(SIGPIPE, SIG_IGN);
	start(&acc, _i, (struct sks_tls_options){ .ca = certs_path("ca"), .verify = SKS_TLS_OPTIONAL });
	tls_peer_open(&peer, peer_connect(acc.address));
	ck_assert_int_eq(SSL_CTX_use_certificate_file(peer.ctx, certs_path("client"), SSL_FILETYPE_PEM), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(peer.ctx, certs_path("client"), SSL_FILETYPE_PEM), 1);
	cert = SSL_CTX_get0_certificate(peer.ctx);
	n = (1 << 20) / i2d_X509(cert, NULL);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(SSL_CTX_add1_chain_cert(peer.ctx, cert), 1);
	(void)tls_peer_try(&peer);
	ck_eventually(acc_stats(&acc).handshakes_failed == 1);
	ck_eventually(log_count("the peer's certificates are too long") == 1);
	tls_peer_drop(&peer);
	expect_subject(&acc, "server");
	acc_free(&acc);
	signal(SIGPIPE, SIG_DFL);
}

TEST(a_key_must_belong_to_its_certificate)
{
	struct sks_tls_options files = { .cert = certs_path("server"), .key = certs_path("client") };

	ck_assert_ptr_null(sks_tls_new(SKS_TLS_SERVER, &files));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("server.pem: the private key does not belong to this certificate"), 1);
}

TEST(options_are_checked)
{
	static const struct sks_tls_options rows[] = { { .verify = 4 }, { .verify = SKS_TLS_REQUIRED },
		{ .min_version = 13 }, { .handshake_ms = -2 }, { .key = "key.pem" }, { .alpn = "h2,," } };
	struct sks_options options = { 0 };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errno = 0;
		ck_assert_ptr_null(sks_tls_new(SKS_TLS_SERVER, &rows[i]));
		ck_assert_int_eq(errno, EINVAL);
	}
	ck_assert_ptr_null(sks_tls_new(3, NULL));
	options.tls = tls = sks_tls_new(SKS_TLS_CLIENT, &(struct sks_tls_options){ .ca = certs_path("ca") });
	ck_assert_ptr_nonnull(tls);
	ck_assert_ptr_null(sks_server_new(&echo, &options));
	ck_assert_int_eq(log_count("options.tls: must be a configuration of SKS_TLS_SERVER"), 1);
}

static int
refuse_suites(struct ssl_ctx_st *ctx, void *data)
{
	(void)ctx;
	errno = *(const int *)data;
	return -1;
}

TEST(a_hook_may_refuse)
{
	int reason = ERANGE;
	struct sks_tls_options files = { .cert = certs_path("server"), .configure = refuse_suites,
		.data = &reason };

	ck_assert_ptr_null(sks_tls_new(SKS_TLS_SERVER, &files));
	ck_assert_int_eq(errno, ERANGE);
}

/* -- without a certificate -- */

TEST(a_certificate_is_made_to_try_with)
{
	struct sks_options options = { 0 };
	struct tls_peer peer;
	struct acc acc;

	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, NULL);
	ck_assert_int_eq(log_count("NO CERTIFICATE IS GIVEN"), 1);
	acc_on(&acc, ACC_FIBERS, "tls:127.0.0.1:0", &echo, &options);
	acc_start(&acc);
	tls_peer_connect(&peer, acc.address);
	ck_assert_int_eq(X509_check_host(SSL_get0_peer_certificate(peer.ssl), "localhost", 0, 0, NULL), 1);
	ck_assert_int_eq(X509_check_ip_asc(SSL_get0_peer_certificate(peer.ssl), "127.0.0.1", 0), 1);
	tls_peer_close(&peer);
	acc_free(&acc);
}

/* -- again -- */

TEST(a_reload_is_for_those_who_come_later, EACH_MODE)
{
	struct tls_peer before;
	struct acc acc;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	tls_peer_connect(&before, acc.address);
	certs_make(&(struct cert){ .name = "renewed", .names = "DNS:localhost" });
	ck_assert_int_eq(rename(certs_path("renewed"), certs_path("server")), 0);
	expect_subject(&acc, "server");
	ck_assert_int_eq(sks_tls_reload(tls), 0);
	ck_assert_int_eq(log_count("server.pem: reloaded: CN=renewed, valid until 2"), 1);
	expect_subject(&acc, "renewed");
	tls_peer_puts(&before, "still\n");
	tls_peer_expect(&before, "still\n");
	tls_peer_close(&before);
	acc_free(&acc);
}

TEST(a_reload_that_fails_changes_nothing)
{
	struct acc acc;

	start(&acc, ACC_FIBERS, (struct sks_tls_options){ 0 });
	certs_make(&(struct cert){ .name = "second", .names = "DNS:second.example" });
	ck_assert_int_eq(sks_tls_add(tls, certs_path("second"), NULL), 0);
	ck_fails(sks_tls_add(tls, certs_path("nowhere"), NULL), ENOENT);
	ck_fails(sks_tls_add(tls, NULL, certs_path("second")), EINVAL);
	certs_make(&(struct cert){ .name = "server", .names = "DNS:renewed.example" });
	certs_write("second", "gone");
	ck_fails(sks_tls_reload(tls), EINVAL);
	ck_assert_int_eq(log_count("reloaded"), 0);
	expect_subject(&acc, "server");
	acc_free(&acc);
}

/* Without a word from us, when a connection comes; and not again for each one that follows. */
TEST(files_that_change_are_read_again, EACH_MODE)
{
	struct acc acc;
	int i;

	start(&acc, _i, (struct sks_tls_options){ .watch_s = 1 });
	expect_subject(&acc, "server");
	certs_make(&(struct cert){ .name = "renewed", .names = "DNS:localhost" });
	ck_assert_int_eq(rename(certs_path("renewed"), certs_path("server")), 0);
	while (log_count("reloaded: CN=renewed") == 0) {
		struct tls_peer peer;

		tls_peer_connect(&peer, acc.address);
		tls_peer_close(&peer);
		breathe();
	}
	for (i = 0; i < 3; i++)
		expect_subject(&acc, "renewed");
	acc_free(&acc);
	ck_assert_int_eq(log_count("reloaded: CN=renewed"), 1);
}

/* -- while it runs -- */

static void *
reload_often(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(sks_tls_reload(tls), 0);
	return NULL;
}

/* A child that is forked while a thread is in OpenSSL may find a lock of it taken for ever. */
TEST(reloads_fail_no_request, EACH_MODE_IN_ONE_MEMORY)
{
	struct tls_peer peer;
	struct acc acc;
	pthread_t thread;
	int i;

	start(&acc, _i, (struct sks_tls_options){ 0 });
	ck_assert_int_eq(pthread_create(&thread, NULL, reload_often, NULL), 0);
	for (i = 0; i < 30; i++) {
		tls_peer_connect(&peer, acc.address);
		tls_peer_puts(&peer, "request\n");
		tls_peer_expect(&peer, "request\n");
		tls_peer_close(&peer);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(acc_stats(&acc).handshakes, 30);
	acc_free(&acc);
}
