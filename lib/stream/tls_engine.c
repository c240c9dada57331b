/* SPDX-License-Identifier: MIT */
/*
 * TLS as a transport.
 *
 * A read goes on from record to record until the caller's memory is full or the socket
 * is empty, so that, as with a plain socket, fewer bytes than asked for mean that nothing
 * more is there. Where something is left in the engine, has_input says so to whoever is
 * about to wait for the socket.
 *
 * A write that the socket takes only in part has its record in the engine already (held). Its
 * bytes are reported as sent by the write that sends its rest, which must begin with them; the
 * stream sees that by `begun`. The alternative was to report them at once: then each place that
 * asks whether all was sent would have had to ask the transport too, or a reply would stay behind.
 */
#include "stream/tls.h"

#include "base/sys.h"
#include "base/util.h"
#include "stream/tls_openssl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <socketserver/fiber.h>
#include <string.h>

/* Locks the engine; called before each call of OpenSSL for it. */
static void
enter(struct sks_tls_engine *e)
{
	pthread_mutex_lock(&e->lock);
	if (ERR_peek_error() != 0) /* another fiber of this thread has left an error there */
		ERR_clear_error();
	e->is_drained = 0;
}

static void
leave(struct sks_tls_engine *e)
{
	pthread_mutex_unlock(&e->lock);
}

/* The engine has failed for good, if it was not broken before. Returns -1. */
static int
fail(struct sks_tls_engine *e)
{
	if (e->state != SKS_TLS_FAILED) {
		if (e->error == 0)
			e->error = e->is_ended ? ECONNRESET :
			    sks_tls_is_out_of_memory() ? ENOMEM : EPROTO;
		e->state = SKS_TLS_FAILED;
	}
	e->has_more = 1; /* so that a read is tried, which returns the error */
	errno = e->error;
	return -1;
}

/* -- reading -- */

/* Payload has come, so the peer may send some more messages without payload. */
static void
allow_messages(struct sks_tls_engine *e, size_t n)
{
	e->payload += n;
	while (e->payload >= SKS_TLS_PAYLOAD && e->messages < SKS_TLS_MESSAGES) {
		e->payload -= SKS_TLS_PAYLOAD;
		e->messages++;
	}
	e->payload = sks_min(e->payload, SKS_TLS_PAYLOAD);
}

/* OpenSSL has given no bytes. Returns what a read does: 0 at the end of input, or -1 and errno. */
static int
judge_read(struct sks_tls_engine *e)
{
	e->has_more = 0;
	switch (SSL_get_error(e->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		e->has_more = 1;
		return 0;
	default:
		return fail(e);
	}
}

/*
 * Has OpenSSL decrypt a record, if a whole one is there. An alert that ends the connection is an
 * error in this call alone: the next one would say that the input has ended.
 */
static void
take_in(struct sks_tls_engine *e)
{
	unsigned char byte;
	size_t got;

	e->has_more = 1;
	if (SSL_peek_ex(e->ssl, &byte, 1, &got) == 1)
		return;
	switch (SSL_get_error(e->ssl, 0)) {
	case SSL_ERROR_WANT_READ: /* less than a record is there */
		e->has_more = 0;
		break;
	case SSL_ERROR_ZERO_RETURN:
		break;
	default:
		(void)fail(e);
	}
}

void
sks_tls_look(struct sks_tls_engine *e)
{
	e->has_more = e->early_at < e->early_size || SSL_pending(e->ssl) > 0;
	if (!e->has_more && SSL_has_pending(e->ssl))
		take_in(e);
}

static ssize_t
read_records(struct sks_tls_engine *e, unsigned char *buf, size_t n)
{
	size_t done = 0, got;
	int rc;

	if (e->state == SKS_TLS_FAILED)
		return fail(e);
	while (done < n) {
		if (SSL_read_ex(e->ssl, buf + done, n - done, &got) != 1) {
			rc = judge_read(e);
			return done > 0 ? (ssize_t)done : rc;
		}
		done += got;
		allow_messages(e, got);
		if (e->is_drained && !SSL_has_pending(e->ssl)) { /* another recv(2) would cost 10 % */
			e->has_more = 0;
			return (ssize_t)done;
		}
	}
	sks_tls_look(e);
	return (ssize_t)done;
}

static ssize_t
tls_read(struct sks_transport *tr, void *buf, size_t n)
{
	struct sks_tls_engine *e = tr->tls;
	ssize_t got;

	enter(e);
	got = read_records(e, buf, n);
	leave(e);
	sks_transport_count_in(e->traffic, tr->flow, got);
	return got;
}

static int
tls_has_input(struct sks_transport *tr)
{
	int has_more;

	pthread_mutex_lock(&tr->tls->lock);
	has_more = tr->tls->has_more;
	pthread_mutex_unlock(&tr->tls->lock);
	return has_more;
}

static int
tls_look(struct sks_transport *tr)
{
	struct sks_tls_engine *e = tr->tls;
	int has_more;

	enter(e);
	if (!e->has_more && e->state != SKS_TLS_FAILED)
		take_in(e);
	has_more = e->has_more;
	leave(e);
	return has_more;
}

/* -- writing -- */

/* Sends the rest of the last record. Returns how many bytes of it have to be reported, or -1. */
static ssize_t
finish_record(struct sks_tls_engine *e)
{
	size_t n = e->unreported;

	if (e->state != SKS_TLS_UP && e->error == 0) {
		errno = EPIPE;
		return -1;
	}
	if (e->state != SKS_TLS_UP)
		return fail(e);
	if (!sks_tls_send_held(e)) {
		errno = EAGAIN;
		return -1;
	}
	if (e->send_error != 0) {
		errno = e->send_error;
		return -1;
	}
	e->unreported = 0;
	return (ssize_t)n;
}

/*
 * Writes n bytes, record by record, until the socket takes no more. Returns as write(2) does.
 * Renegotiation is refused, so no write has to wait for input.
 */
static ssize_t
write_records(struct sks_tls_engine *e, const unsigned char *bytes, size_t n)
{
	size_t done = 0, sent;

	while (done < n && e->unreported == 0 && e->send_error == 0) {
		if (SSL_write_ex(e->ssl, bytes + done, n - done, &sent) != 1) {
			(void)fail(e);
			return done > 0 ? (ssize_t)done : -1;
		}
		if (e->held.base == NULL)
			done += sent;
		else
			e->unreported = sent;
	}
	if (e->send_error != 0) {
		errno = e->send_error;
		return -1;
	}
	if (done == 0) {
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)done;
}

/* Copies the beginnings of short pieces, so that they become one record. Returns how many bytes. */
static size_t
join(unsigned char joined[SKS_TRANSPORT_JOINED], const struct iovec *iov, int n, size_t skip)
{
	size_t done = 0;

	for (; n > 0 && done < SKS_TRANSPORT_JOINED; n--, iov++, skip = 0) {
		size_t part = sks_min(iov->iov_len - skip, SKS_TRANSPORT_JOINED - done);

		memcpy(joined + done, (const unsigned char *)iov->iov_base + skip, part);
		done += part;
	}
	return done;
}

/* Writes the pieces until the socket takes no more. Returns as writev(2) does. */
static ssize_t
write_pieces(struct sks_tls_engine *e, const struct iovec *iov, int n)
{
	unsigned char joined[SKS_TRANSPORT_JOINED];
	ssize_t sent = finish_record(e);
	size_t done = 0, skip = 0;

	while (sent >= 0) {
		const unsigned char *bytes;
		size_t length;

		done += (size_t)sent;
		for (skip += (size_t)sent; n > 0 && skip >= iov->iov_len; n--)
			skip -= iov++->iov_len;
		if (n == 0)
			return (ssize_t)done;
		bytes = (const unsigned char *)iov->iov_base + skip;
		length = iov->iov_len - skip;
		if (length < SKS_TRANSPORT_JOINED && n > 1) {
			length = join(joined, iov, n, skip);
			bytes = joined;
		}
		sent = write_records(e, bytes, length);
		if (sent >= 0 && (size_t)sent < length)
			return (ssize_t)(done + (size_t)sent);
	}
	return done > 0 ? (ssize_t)done : -1;
}

static ssize_t
tls_write(struct sks_transport *tr, const struct iovec *iov, int n)
{
	struct sks_tls_engine *e = tr->tls;
	ssize_t sent;

	enter(e);
	sent = write_pieces(e, iov, n);
	tr->begun = e->unreported > 0;
	leave(e);
	sks_transport_count_out(e->traffic, tr->flow, sent);
	return sent;
}

/* -- the end -- */

static int
say_end(struct sks_tls_engine *e)
{
	if (e->state == SKS_TLS_UP) {
		(void)SSL_shutdown(e->ssl);
		e->state = SKS_TLS_ENDED;
	}
	if (e->state != SKS_TLS_ENDED || sks_tls_send_held(e))
		return 0;
	errno = EAGAIN;
	return -1;
}

static int
tls_say_end(struct sks_transport *tr)
{
	int rc;

	enter(tr->tls);
	rc = say_end(tr->tls);
	leave(tr->tls);
	return rc;
}

static void
tls_shutdown(struct sks_transport *tr)
{
	(void)tls_say_end(tr);
	sks_sys_shutdown(tr->fd, SHUT_WR);
}

static void
tls_rest(struct sks_transport *tr)
{
	enter(tr->tls);
	if (tr->tls->state == SKS_TLS_UP)
		(void)SSL_free_buffers(tr->tls->ssl); /* not while a record is in one */
	leave(tr->tls);
}

static void
free_engine(struct sks_tls_engine *e)
{
	SSL_free(e->ssl);
	sks_tls_set_drop(e->set);
	sks_tls_free(e->tls);
	sks_sys_free(e->early);
	sks_buf_release(&e->held, NULL);
	sks_tls_info_free(e->info);
	pthread_mutex_destroy(&e->lock);
	sks_sys_free(e);
}

static void
tls_end(struct sks_transport *tr)
{
	free_engine(tr->tls);
	tr->ops = &sks_plain_transport;
	tr->traffic = NULL;
}

const struct sks_transport_ops sks_tls_transport = {
	.read = tls_read,
	.write = tls_write,
	.shutdown = tls_shutdown,
	.say_end = tls_say_end,
	.has_input = tls_has_input,
	.look = tls_look,
	.rest = tls_rest,
	.end = tls_end,
};

/* -- the beginning -- */

/* Has OpenSSL compare the certificate's names with the one that was asked for. 1, or 0. */
static int
expect(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return 1;
	ERR_clear_error();
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

/*
 * Returns how much of a host's text stands in a certificate: not the zone of an IPv6 address, which
 * only this machine knows, nor the dot at the end of a full name.
 */
static size_t
certified_length(const char *name)
{
	size_t n = strchr(name, ':') != NULL ? strcspn(name, "%") : strlen(name);

	if (n == 0) /* OpenSSL would take an empty name for any */
		return strlen(name);
	return n > 1 && name[n - 1] == '.' ? n - 1 : n;
}

static int
expect_name(SSL *ssl, const char *name)
{
	char *certified = OPENSSL_strndup(name, certified_length(name));
	int is_set = certified != NULL && expect(ssl, certified);

	OPENSSL_free(certified);
	if (is_set)
		return 0;
	errno = ENOMEM;
	return -1;
}

static int
set_role(struct sks_tls_engine *e, const char *name)
{
	const struct sks_tls_options *o = &e->tls->options;

	if (e->tls->role == SKS_TLS_SERVER) {
		SSL_set_accept_state(e->ssl);
		return 0;
	}
	SSL_set_connect_state(e->ssl);
	if (o->name != NULL)
		name = o->name;
	if (name != NULL && name[0] != '\0')
		return expect_name(e->ssl, name);
	if (o->verify == SKS_TLS_NO_VERIFY)
		return 0;
	errno = EINVAL;
	return -1;
}

static int
set_early(struct sks_tls_engine *e, const void *early, size_t n)
{
	if (n == 0)
		return 0;
	if ((e->early = sks_sys_malloc(n)) == NULL)
		return -1;
	memcpy(e->early, early, n);
	e->early_size = n;
	return 0;
}

/* OpenSSL's part of an engine. 0, or -1: ENOMEM. */
static int
set_ssl(struct sks_tls_engine *e)
{
	BIO *bio;

	ERR_clear_error();
	e->set = sks_tls_current_set(e->tls);
	e->ssl = SSL_new(e->set->contexts[0]);
	bio = e->ssl != NULL ? BIO_new(e->tls->bio) : NULL;
	if (bio == NULL) {
		ERR_clear_error();
		errno = ENOMEM;
		return -1;
	}
	BIO_set_data(bio, e);
	SSL_set_bio(e->ssl, bio, bio);
	SSL_set_app_data(e->ssl, e);
	return 0;
}

int
sks_tls_attach(struct sks_transport *tr, struct sks_tls *tls, const char *name, const void *early,
    size_t n)
{
	struct sks_tls_engine *e = sks_sys_calloc(1, sizeof(*e));
	int error;

	if (e == NULL)
		return -1;
	pthread_mutex_init(&e->lock, NULL);
	e->tls = sks_tls_hold(tls);
	e->fd = tr->fd;
	e->traffic = tr->traffic;
	e->messages = SKS_TLS_MESSAGES;
	if (set_ssl(e) == 0 && set_role(e, name) == 0 && set_early(e, early, n) == 0) {
		tr->tls = e;
		tr->ops = &sks_tls_transport;
		return 0;
	}
	error = errno;
	free_engine(e);
	errno = error;
	return -1;
}
