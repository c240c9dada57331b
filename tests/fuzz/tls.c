/* SPDX-License-Identifier: MIT */
/*
 * Handshakes, for libFuzzer: a server's and a client's.
 *
 * The first byte says whose handshake it is, the version, and what the rest is: the bytes that the
 * peer sends; or edits of what a good peer sends, which come to the states behind the hellos. An
 * edit is three bytes: the distance from the one before, in two of them, and what is added to the
 * byte there; 0 cuts the connection. A good peer says a line and its end. Then what is read must be
 * a beginning of that line, and the end must not come before it.
 */
#include "base/clock.h"
#include "loop/wait.h"
#include "stream/tls.h"
#include "stream/tls_openssl.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <socketserver/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define HOLDS(what)                                                           \
	do {                                                                  \
		if (!(what)) {                                                \
			fprintf(stderr, "does not hold: %s\n", #what);        \
			abort();                                              \
		}                                                             \
	} while (0)

#define PATIENCE_MS 20 /* then both wait for bytes that do not come */
#define LINE "what the peer says\n"

enum { OURS_IS_CLIENT = 1, VERSION_1_2 = 2, RAW = 4 };

static struct sks_tls *ours[2];  /* a server's and a client's */
static SSL_CTX *theirs[2];       /* of the peer of each */

static void
drop_line(const char *line, void *arg)
{
	(void)line;
	(void)arg;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sks_tls_options blind = { .verify = SKS_TLS_NO_VERIFY };
	EVP_PKEY *key;
	X509 *cert;

	(void)argc;
	(void)argv;
	sks_set_log(drop_line, NULL);
	ours[0] = sks_tls_new(SKS_TLS_SERVER, NULL);
	ours[1] = sks_tls_new(SKS_TLS_CLIENT, &blind);
	theirs[0] = SSL_CTX_new(TLS_client_method());
	theirs[1] = SSL_CTX_new(TLS_server_method());
	HOLDS(ours[0] != NULL && ours[1] != NULL && sks_tls_make_certificate(&cert, &key) == 0);
	HOLDS(SSL_CTX_use_cert_and_key(theirs[1], cert, key, NULL, 1) == 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	return 0;
}

/* -- the peer -- */

struct peer {
	pthread_t thread;
	SSL *ssl;
	BIO *in, *out;
	int fd;
	const uint8_t *edits;
	size_t left;    /* bytes of edits */
	size_t sent;    /* bytes of the connection */
	size_t next_at; /* where the next edit is */
};

/* Finds the place of the next edit. */
static void
find_edit(struct peer *p)
{
	p->next_at = p->left < 3 ? SIZE_MAX : p->next_at + ((size_t)p->edits[0] << 8 | p->edits[1]);
}

/* Edits n bytes that are sent now. Returns how many of them are sent. */
static size_t
edit(struct peer *p, unsigned char *bytes, size_t n)
{
	while (p->next_at < p->sent + n) {
		if (p->edits[2] == 0)
			return p->next_at - p->sent;
		bytes[p->next_at - p->sent] = (unsigned char)(bytes[p->next_at - p->sent] + p->edits[2]);
		p->edits += 3;
		p->left -= 3;
		find_edit(p);
	}
	return n;
}

/* Sends what OpenSSL has for the other side. Returns 0 where the connection is over. */
static int
send_all(struct peer *p)
{
	unsigned char bytes[4096];
	int n;

	while ((n = BIO_read(p->out, bytes, sizeof(bytes))) > 0) {
		size_t part = edit(p, bytes, (size_t)n);

		if (send(p->fd, bytes, part, MSG_NOSIGNAL) != (ssize_t)part || part < (size_t)n)
			return 0;
		p->sent += part;
	}
	return 1;
}

static int
receive_some(struct peer *p)
{
	unsigned char bytes[4096];
	ssize_t n = recv(p->fd, bytes, sizeof(bytes), 0);

	return n > 0 && BIO_write(p->in, bytes, (int)n) == n;
}

static void *
run_peer(void *arg)
{
	struct peer *p = arg;
	int rc;

	do {
		rc = SSL_do_handshake(p->ssl);
		if (!send_all(p) || (rc != 1 && SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ))
			break;
	} while (rc != 1 && receive_some(p));
	if (rc == 1) {
		SSL_write(p->ssl, LINE, sizeof(LINE) - 1);
		SSL_shutdown(p->ssl);
		(void)send_all(p);
	}
	ERR_clear_error();
	shutdown(p->fd, SHUT_WR);
	while (recv(p->fd, &rc, sizeof(rc), 0) > 0)
		;
	return NULL;
}

static void
start_peer(struct peer *p, int what, int fd, const uint8_t *edits, size_t size)
{
	*p = (struct peer){ .fd = fd, .edits = edits, .left = size,
		.ssl = SSL_new(theirs[what & OURS_IS_CLIENT]),
		.in = BIO_new(BIO_s_mem()), .out = BIO_new(BIO_s_mem()) };
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_max_proto_version(p->ssl, what & VERSION_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
	if (what & OURS_IS_CLIENT)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
	find_edit(p);
	HOLDS(pthread_create(&p->thread, NULL, run_peer, p) == 0);
}

/* -- ours -- */

/* Reads up to an end or an error. The bytes must be the line's. */
static void
read_all(struct sks_transport *tr)
{
	char got[sizeof(LINE)];
	size_t n = 0;
	ssize_t some;

	for (;;) {
		struct pollfd p = { .fd = tr->fd, .events = POLLIN };

		some = tr->ops->read(tr, got + n, sizeof(got) - n);
		if (some <= 0 && (some == 0 || errno != EAGAIN || poll(&p, 1, PATIENCE_MS) != 1))
			break;
		n += some > 0 ? (size_t)some : 0;
		HOLDS(n < sizeof(got) && memcmp(got, LINE, n) == 0);
	}
	HOLDS(some != 0 || n == sizeof(LINE) - 1);
}

static void
shake_hands(int what, int fd)
{
	struct sks_transport tr = { .ops = &sks_plain_transport, .fd = fd };
	char why[SKS_TLS_WHY];

	HOLDS(sks_tls_attach(&tr, ours[what & OURS_IS_CLIENT], "localhost", NULL, 0) == 0);
	if (sks_tls_handshake(&tr, NULL, sks_clock_after(PATIENCE_MS), why) == 0)
		read_all(&tr);
	else
		HOLDS(errno != 0 && why[0] != '\0');
	shutdown(fd, SHUT_RDWR);
	tr.ops->end(&tr);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	int pair[2], what = size > 0 ? input[0] : 0;
	struct peer peer;

	HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	if (what & RAW) {
		(void)!send(pair[1], input + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		shutdown(pair[1], SHUT_WR);
		shake_hands(what, pair[0]);
	} else {
		start_peer(&peer, what, pair[1], input + (size > 0), size - (size > 0));
		shake_hands(what, pair[0]);
		pthread_join(peer.thread, NULL);
		SSL_free(peer.ssl);
	}
	close(pair[0]);
	close(pair[1]);
	return 0;
}
