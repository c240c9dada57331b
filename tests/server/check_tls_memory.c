/* SPDX-License-Identifier: MIT */
/*
 * check_tls_memory.c - OpenSSL runs out of memory, at each of its allocations in turn: once, or
 * from then on. Nothing crashes, hangs or leaks, whoever it happened to is told so, and the next
 * connection is served.
 *
 * OpenSSL takes an allocator only before its first allocation, so this suite is a program of its
 * own. Each of the first uses fails, and beyond them each STRIDE-th, so that it takes seconds.
 */
#include "certs.h"
#include "tls_peer.h"
#include "tls_server.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH_UP_TO 200
#define STRIDE (is_slow() ? 197 : 53)

/* -- the allocator -- */

static _Thread_local int is_victim; /* what this thread takes is counted, and may fail */
static atomic_long held;            /* blocks of OpenSSL's, of all threads */
static atomic_long uses, first;     /* of victims, since arm(); the use from which on it fails */
static atomic_int is_lasting, is_armed, struck;

static int
must_fail(void)
{
	long use;

	if (!is_victim || !is_armed)
		return 0;
	use = atomic_fetch_add(&uses, 1) + 1;
	if (use < first || (use > first && !is_lasting))
		return 0;
	struck = 1;
	return 1;
}

/* In front of each block. What the queue of errors has stays until other errors take its place. */
struct header {
	alignas(max_align_t) int is_counted;
};

static void *
get(size_t n, const char *file, int line)
{
	struct header *h;

	(void)line;
	if (n == 0 || must_fail() || (h = malloc(sizeof(*h) + n)) == NULL)
		return NULL;
	h->is_counted = strstr(file, "/err/") == NULL;
	atomic_fetch_add(&held, h->is_counted);
	return h + 1;
}

static void
give_back(void *block, const char *file, int line)
{
	struct header *h = block;

	(void)file;
	(void)line;
	if (h == NULL)
		return;
	h--;
	atomic_fetch_sub(&held, h->is_counted);
	free(h);
}

static void *
resize(void *block, size_t n, const char *file, int line)
{
	struct header *h = block;

	if (h == NULL)
		return get(n, file, line);
	if (n == 0) {
		give_back(block, file, line);
		return NULL;
	}
	h = must_fail() ? NULL : realloc(h - 1, sizeof(*h) + n);
	return h != NULL ? h + 1 : NULL;
}

__attribute__((constructor)) static void
take_over(void)
{
	if (CRYPTO_set_mem_functions(get, resize, give_back) != 1)
		abort();
}

/* From here on the n-th use by a victim fails, and with lasting all that come after it. */
static void
arm(long n, int lasting)
{
	uses = 0;
	struck = 0;
	first = n;
	is_lasting = lasting;
	is_armed = 1;
}

static void
disarm(void)
{
	is_armed = 0;
}

static long
after(long n)
{
	return n < EACH_UP_TO && !is_slow() ? n + 1 : n + STRIDE;
}

static const char *
name_of_end(int i)
{
	return i == 0 ? "once" : "from then on";
}

#define ONCE_AND_FROM_THEN_ON .times = 2, .variant = name_of_end

FIXTURE(tls_setup, tls_teardown);

/* -- a server -- */

static struct acc acc;
static const struct sks_handler echo = { .name = "echo", .handle = acc_echo_lines };

/* Called on the loop's thread, where the handshakes and the handlers of fibers mode run. */
static int
be_victim(struct sks_request *req)
{
	(void)req;
	is_victim = 1;
	return 1;
}

static void
start(int (*verify)(struct sks_request *), struct sks_tls_options more)
{
	tls_start(&acc, ACC_FIBERS, &echo,
	    (struct sks_options){ .on_error = acc_on_error, .verify = verify }, more);
}

/*
 * No more blocks are held than when nothing was the matter, once the server is through with its
 * connection. Then they may be fewer, if it was not through when they were counted.
 */
static void
expect_no_leak(long *before)
{
	ck_eventually(held <= *before);
	*before = held;
}

/* A connection with a line there and back. Returns 1 if all went well. */
static int
try_echo(int is_1_2)
{
	struct tls_peer peer;
	char got[8] = "";
	int well;

	tls_peer_open(&peer, peer_connect(acc.address));
	if (is_1_2)
		SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
	well = tls_peer_try(&peer) && SSL_write(peer.ssl, "a line\n", 7) == 7 &&
	    tls_peer_receive(&peer, got, 7) == 7 && strcmp(got, "a line\n") == 0 &&
	    SSL_shutdown(peer.ssl) >= 0 && tls_peer_read(&peer, got, 1) == 0;
	tls_peer_drop(&peer);
	ck_eventually(acc_stats(&acc).active == 0 && acc_stats(&acc).lingering == 0 &&
	    acc_stats(&acc).parked == 0);
	return well;
}

static const char *
name_of_version_and_end(int i)
{
	static char name[40];

	snprintf(name, sizeof(name), "%s, %s", i / 2 ? "TLS 1.2" : "TLS 1.3", name_of_end(i % 2));
	return name;
}

TEST(a_server_without_memory_serves_the_next, .times = 4, .variant = name_of_version_and_end)
{
	int is_1_2 = _i / 2, hits = 0, failures = 0;
	unsigned long failed;
	long n, before;

	signal(SIGPIPE, SIG_IGN);
	start(be_victim, (struct sks_tls_options){ .ca = certs_path("ca"),
	    .verify = SKS_TLS_OPTIONAL, .alpn = "echo" });
	ck_assert(try_echo(is_1_2));
	ck_assert(try_echo(is_1_2));
	before = held;
	for (n = 1;; n = after(n)) {
		arm(n, _i % 2);
		failures += !try_echo(is_1_2);
		disarm();
		expect_no_leak(&before);
		if (!struck)
			break;
		hits++;
		if (n % 16 == 1)
			ck_assert(try_echo(is_1_2));
	}
	ck_assert(try_echo(is_1_2));
	failed = acc_stats(&acc).handshakes_failed;
	ck_assert_int_ge(hits, is_slow() ? 3 : EACH_UP_TO);
	ck_assert_int_gt(failures, 0);
	ck_assert_int_ge(log_count("echo: 127.0.0.1:"), 1);
	ck_assert_int_ge(log_count("TLS handshake: Cannot allocate memory"), 1);
	ck_assert_int_ge((int)failed + seen->errors, failures);
	acc_free(&acc);
	signal(SIGPIPE, SIG_DFL);
}

/* -- a client -- */

/* Returns 1 if all went well, else 0, and a failure has a line. */
static int
try_client(struct sks_tls *client_tls)
{
	char address[160], why[200];
	struct sks_client *client;
	char *line = NULL;

	sks_server_listen_address(acc.server, 0, address, sizeof(address));
	why[0] = '\0';
	errno = 0;
	is_victim = 1;
	client = sks_connect_tls_quiet(address, client_tls, 20000, why, sizeof(why));
	if (client != NULL && sks_puts(client->wfile, "a line\n") == 0)
		line = sks_gets(client->rfile);
	else
		ck_assert_int_ne(errno, 0);
	is_victim = 0;
	ck_assert(line == NULL || strcmp(line, "a line") == 0);
	ck_assert(client != NULL || strncmp(why, "connect tls:127.0.0.1:", 22) == 0);
	is_victim = 1;
	if (client != NULL)
		sks_client_close(client);
	is_victim = 0;
	ck_eventually(acc_stats(&acc).active == 0 && acc_stats(&acc).lingering == 0);
	return line != NULL;
}

TEST(a_client_without_memory_says_so, ONCE_AND_FROM_THEN_ON)
{
	struct sks_tls_options files = { .ca = certs_path("ca") };
	struct sks_tls *client_tls = sks_tls_new(SKS_TLS_CLIENT, &files);
	int hits = 0, failures = 0;
	long n, before;

	ck_assert_ptr_nonnull(client_tls);
	start(NULL, (struct sks_tls_options){ 0 });
	ck_assert(try_client(client_tls));
	ck_assert(try_client(client_tls));
	before = held;
	for (n = 1;; n = after(n)) {
		arm(n, _i);
		failures += !try_client(client_tls);
		disarm();
		expect_no_leak(&before);
		if (!struck)
			break;
		hits++;
	}
	ck_assert(try_client(client_tls));
	ck_assert_int_ge(hits, is_slow() ? 3 : EACH_UP_TO);
	ck_assert_int_gt(failures, 0);
	acc_free(&acc);
	sks_tls_free(client_tls);
}

/* -- files -- */

/* Makes a configuration and frees it. Returns 1, or 0, and one line says why. */
static int
try_files(const struct sks_tls_options *files)
{
	struct sks_tls *made;

	log_forget();
	errno = 0;
	is_victim = 1;
	made = sks_tls_new(SKS_TLS_SERVER, files);
	is_victim = 0;
	if (made == NULL) {
		ck_assert_int_eq(log_lines(), 1);
		ck_assert_int_eq(log_count("tls: "), 1);
		ck_assert_int_ne(errno, 0);
	} else
		ck_assert_int_eq(log_lines(), files->cert == NULL);
	is_victim = 1;
	sks_tls_free(made);
	is_victim = 0;
	return made != NULL;
}

static const struct {
	const char *name;
	struct sks_tls_options files;
} kinds[] = {
	{ "files", { .alpn = "h2,http/1.1", .name = "localhost", .verify = SKS_TLS_REQUIRED } },
	{ "self-signed", { .cert = NULL } },
};

TEST(files_without_memory_are_refused_in_a_line, EACH_OF(kinds))
{
	struct sks_tls_options files = kinds[_i].files;
	int hits = 0, failures = 0, lasting;
	long n, before;

	if (_i == 0) {
		files.cert = certs_path("server");
		files.ca = certs_path("ca");
	}
	ck_assert(try_files(&files));
	before = held;
	for (lasting = 0; lasting < 2; lasting++) {
		for (n = 1;; n = after(n)) {
			arm(n, lasting);
			failures += !try_files(&files);
			disarm();
			ck_assert_msg(held == before, "use %ld: %ld blocks are kept", n, held - before);
			if (!struck)
				break;
			hits++;
		}
	}
	ck_assert(try_files(&files));
	ck_assert_int_ge(hits, is_slow() ? 3 : EACH_UP_TO);
	ck_assert_int_gt(failures, 0);
}

/* How many certificates a new client is shown; 0: the handshake fails. */
static int
certificates_shown(void)
{
	struct tls_peer peer;
	int n = 0;

	tls_peer_open(&peer, peer_connect(acc.address));
	if (tls_peer_try(&peer)) {
		n = sk_X509_num(SSL_get_peer_cert_chain(peer.ssl));
		tls_peer_close(&peer);
	} else
		tls_peer_drop(&peer);
	return n;
}

/*
 * Reloads, and returns 1, or 0 where it has failed, and one line says why.
 *
 * SSL_CTX_new() goes on without an algorithm that it has no memory for, and does not say so. Then
 * the handshakes may fail until the next reload, but no client is shown a chain with a gap.
 */
static int
try_reload(void)
{
	int rc, shown;

	log_forget();
	is_victim = 1;
	rc = sks_tls_reload(tls);
	is_victim = 0;
	disarm();
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count("tls: "), 1);
	ck_assert_int_eq(log_count("reloaded"), rc == 0);
	shown = certificates_shown();
	ck_assert(shown == 2 || (shown == 0 && rc == 0 && struck));
	return rc == 0;
}

TEST(a_reload_without_memory_changes_nothing, ONCE_AND_FROM_THEN_ON)
{
	FILE *from, *to;
	int hits = 0, failures = 0, c;
	long n, before;

	from = fopen(certs_path("ca"), "r"); /* it is the chain: no client looks at it here */
	to = fopen(certs_path("server"), "a");
	while ((c = getc(from)) != EOF)
		putc(c, to);
	fclose(from);
	fclose(to);
	start(NULL, (struct sks_tls_options){ 0 });
	ck_assert(try_reload());
	before = held;
	for (n = 1;; n = after(n)) {
		int is_renewed;

		arm(n, _i);
		is_renewed = try_reload();
		failures += !is_renewed;
		if (!struck)
			break;
		hits++;
		if (is_renewed)
			ck_assert_int_eq(sks_tls_reload(tls), 0);
		expect_no_leak(&before);
	}
	ck_assert_int_ge(hits, is_slow() ? 3 : EACH_UP_TO);
	ck_assert_int_gt(failures, 0);
	acc_free(&acc);
}
