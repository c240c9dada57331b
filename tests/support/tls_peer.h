/* SPDX-License-Identifier: MIT */
/*
 * tls_peer.h - clients of TLS for the suites: OpenSSL over a descriptor of peer.h, which blocks.
 * Each call fails the test when it does not get what it expects.
 */
#ifndef SKS_TEST_TLS_PEER_H
#define SKS_TEST_TLS_PEER_H

#include "peer.h"

#include <openssl/ssl.h>

struct tls_peer {
	SSL_CTX *ctx; /* the test may change it before the handshake */
	SSL *ssl;
	int fd;
};

/*
 * A client of the fd, which is its own then; nothing was sent yet. It trusts nobody, and asks
 * nothing.
 */
void tls_peer_open(struct tls_peer *peer, int fd);

/* The handshake. tls_peer_try: 1, or 0 when it fails. */
void tls_peer_shake(struct tls_peer *peer);
int tls_peer_try(struct tls_peer *peer);

/* Opens and shakes hands with an address of peer_connect(). */
void tls_peer_connect(struct tls_peer *peer, const char *address);

void tls_peer_puts(struct tls_peer *peer, const char *text);
void tls_peer_expect(struct tls_peer *peer, const char *text);

/* SSL_read(), which a signal does not end. */
int tls_peer_read(struct tls_peer *peer, void *buf, size_t n);

/* Reads until n bytes have come, or the input ends. How many. */
size_t tls_peer_receive(struct tls_peer *peer, void *buf, size_t n);

/* Says the end, expects the other's, and closes. */
void tls_peer_close(struct tls_peer *peer);

/* Expects an orderly end (close_notify), and closes. */
void tls_peer_expect_end(struct tls_peer *peer);

/* Closes without a word. */
void tls_peer_drop(struct tls_peer *peer);

#endif
