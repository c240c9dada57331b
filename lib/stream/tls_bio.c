/* SPDX-License-Identifier: MIT */
/*
 * How OpenSSL reads and writes the socket of an engine.
 *
 * OpenSSL's own socket BIO uses write(2), which raises SIGPIPE, and asks for a header and
 * its record by two calls. Ours takes what is there by one call and does not ask a socket
 * that has just given less than it was asked for.
 *
 * A peer may send its last bytes and leave, and these bytes must not be lost. So a write that
 * fails is noted for the writer (send_error), and OpenSSL gets the answer that it has succeeded.
 * That is needed, since a server of TLS 1.3 writes a ticket after the handshake, also to a client
 * that has left already.
 *
 * After the handshake, what the socket does not take is held here, and OpenSSL gets the answer
 * that it has succeeded. Otherwise OpenSSL could write nothing but the rest of that record, and a
 * peer that asks for a new key meanwhile, whom a read has to answer, would lose the connection.
 */
#include "stream/tls_openssl.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <openssl/bio.h>
#include <string.h>

/* A record, and more answers to a peer that reads nothing than SKS_TLS_MESSAGES lets it ask for. */
#define HELD_MOST 32768

static int
read_early(struct sks_tls_engine *e, char *buf, int n)
{
	size_t left = sks_min(e->early_size - e->early_at, (size_t)n);

	memcpy(buf, e->early + e->early_at, left);
	e->early_at += left;
	return (int)left;
}

static int
read_bytes(BIO *bio, char *buf, int n)
{
	struct sks_tls_engine *e = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (e->early_at < e->early_size)
		return read_early(e, buf, n);
	if (e->messages < 0) {
		e->error = EPROTO;
		return -1;
	}
	if (e->is_drained) {
		BIO_set_retry_read(bio);
		return -1;
	}
	do {
		got = sks_sys_recv(e->fd, buf, (size_t)n, MSG_DONTWAIT);
	} while (got == -1 && errno == EINTR);
	if (got > 0)
		e->is_drained = got < n;
	else if (got == 0)
		e->is_ended = 1;
	else if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		e->error = errno;
	return (int)got;
}

/* Returns how many bytes the socket has taken; all of them where it is broken (send_error). */
static size_t
send_some(struct sks_tls_engine *e, const void *bytes, size_t n)
{
	ssize_t sent;

	if (e->send_error != 0)
		return n;
	do {
		sent = sks_sys_send(e->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	if (sent >= 0)
		return (size_t)sent;
	if (errno == EAGAIN)
		return 0;
	e->send_error = errno;
	return n;
}

int
sks_tls_send_held(struct sks_tls_engine *e)
{
	if (e->held.base == NULL)
		return 1;
	sks_buf_consume(&e->held,
	    send_some(e, e->held.base + e->held.start, sks_buf_length(&e->held)));
	if (sks_buf_length(&e->held) == 0)
		sks_buf_release(&e->held, NULL);
	return e->held.base == NULL;
}

/* 0, or -1, and then the engine's error is set. */
static int
hold(struct sks_tls_engine *e, const char *bytes, size_t n)
{
	if (sks_buf_length(&e->held) + n > HELD_MOST) {
		e->error = EPROTO;
		return -1;
	}
	if (sks_buf_reserve(&e->held, NULL, n) == -1) {
		e->error = ENOMEM;
		return -1;
	}
	memcpy(e->held.base + e->held.end, bytes, n);
	e->held.end += n;
	return 0;
}

static int
write_bytes(BIO *bio, const char *buf, int n)
{
	struct sks_tls_engine *e = BIO_get_data(bio);
	size_t sent = 0;

	BIO_clear_retry_flags(bio);
	if (sks_tls_send_held(e))
		sent = send_some(e, buf, (size_t)n);
	if (sent == (size_t)n)
		return n;
	if (e->state != SKS_TLS_SHAKING)
		return hold(e, buf + sent, (size_t)n - sent) == -1 ? -1 : n;
	if (sent > 0)
		return (int)sent;
	BIO_set_retry_write(bio);
	return -1;
}

static long
control(BIO *bio, int what, long number, void *ptr)
{
	const struct sks_tls_engine *e = BIO_get_data(bio);

	(void)number;
	(void)ptr;
	switch (what) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return e->is_ended;
	default:
		return 0;
	}
}

static int
set_up(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *
sks_tls_bio_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socketserver");

	if (method == NULL)
		return NULL;
	BIO_meth_set_read(method, read_bytes);
	BIO_meth_set_write(method, write_bytes);
	BIO_meth_set_ctrl(method, control);
	BIO_meth_set_create(method, set_up);
	return method;
}

/*
 * Key updates and requests to negotiate anew are not payload, and each costs us work. They are
 * counted after the handshake, and read_bytes() stops a peer that sends nothing else.
 */
void
sks_tls_on_message(int is_ours, int version, int type, const void *buf, size_t n, SSL *ssl,
    void *arg)
{
	struct sks_tls_engine *e;

	(void)version;
	(void)buf;
	(void)n;
	(void)arg;
	if (is_ours || type != SSL3_RT_HANDSHAKE)
		return;
	e = SSL_get_app_data(ssl);
	if (e != NULL && e->state != SKS_TLS_SHAKING)
		e->messages--;
}
