/* SPDX-License-Identifier: MIT */
#include "tls_peer.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
tls_peer_open(struct tls_peer *peer, int fd)
{
	struct timeval limit = { .tv_sec = PEER_DEADLINE_MS / 1000 };

	ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	peer->fd = fd;
	peer->ctx = SSL_CTX_new(TLS_client_method());
	peer->ssl = NULL;
	ck_assert_ptr_nonnull(peer->ctx);
}

/* A socket with a time limit does not go on by itself behind a signal, as of a child's end. */
static int
is_interrupted(const struct tls_peer *peer, int rc)
{
	int error = errno;

	return rc < 0 && SSL_get_error(peer->ssl, rc) == SSL_ERROR_WANT_READ && error == EINTR;
}

int
tls_peer_try(struct tls_peer *peer)
{
	int rc;


	if (peer->ssl == NULL)
		peer->ssl = SSL_new(peer->ctx);
	ck_assert_ptr_nonnull(peer->ssl);
	ck_assert_int_eq(SSL_set_fd(peer->ssl, peer->fd), 1);
	do
		rc = SSL_connect(peer->ssl);
	while (is_interrupted(peer, rc));
	return rc == 1;
}

void
tls_peer_shake(struct tls_peer *peer)
{
	ck_assert_int_eq(tls_peer_try(peer), 1);
}

void
tls_peer_connect(struct tls_peer *peer, const char *address)
{
	tls_peer_open(peer, peer_connect(address));
	tls_peer_shake(peer);
}

void
tls_peer_puts(struct tls_peer *peer, const char *text)
{
	ck_assert_int_eq(SSL_write(peer->ssl, text, (int)strlen(text)), (int)strlen(text));
}

int
tls_peer_read(struct tls_peer *peer, void *buf, size_t n)
{
	int rc;

	do
		rc = SSL_read(peer->ssl, buf, (int)n);
	while (is_interrupted(peer, rc));
	return rc;
}

size_t
tls_peer_receive(struct tls_peer *peer, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		int got = tls_peer_read(peer, (char *)buf + done, n - done);

		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

void
tls_peer_expect(struct tls_peer *peer, const char *text)
{
	char got[512];
	size_t n = strlen(text);

	ck_assert_uint_lt(n, sizeof(got));
	n = tls_peer_receive(peer, got, n);
	got[n] = '\0';
	ck_assert_str_eq(got, text);
}

void
tls_peer_drop(struct tls_peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->ctx);
	close(peer->fd);
}

void
tls_peer_expect_end(struct tls_peer *peer)
{
	char byte;

	ck_assert_int_eq(tls_peer_read(peer, &byte, 1), 0);
	ck_assert_int_eq(SSL_get_error(peer->ssl, 0), SSL_ERROR_ZERO_RETURN);
	tls_peer_drop(peer);
}

void
tls_peer_close(struct tls_peer *peer)
{
	ck_assert_int_ge(SSL_shutdown(peer->ssl), 0);
	tls_peer_expect_end(peer);
}
