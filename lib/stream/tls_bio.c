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
 */
#include "stream/tls_openssl.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <openssl/bio.h>
#include <string.h>

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

static int
write_bytes(BIO *bio, const char *buf, int n)
{
	struct sks_tls_engine *e = BIO_get_data(bio);
	ssize_t sent;

	BIO_clear_retry_flags(bio);
	if (e->send_error != 0)
		return n;
	do {
		sent = sks_sys_send(e->fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	if (sent >= 0)
		return (int)sent;
	if (errno == EAGAIN) {
		BIO_set_retry_write(bio);
		return -1;
	}
	e->send_error = errno;
	return n;
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
