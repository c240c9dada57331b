/* SPDX-License-Identifier: MIT */
/*
 * The parts of TLS that may wait: the handshake, and the end of the output, on the task of a
 * connection.
 */
#include "stream/tls.h"

#include "loop/wait.h"
#include "stream/tls_openssl.h"

#include <errno.h>
#include <openssl/err.h>
#include <socketserver/fiber.h>
#include <stdio.h>
#include <string.h>

/* Sets errno and writes a sentence into why: both say why the handshake has failed. */
static void
explain(const struct sks_tls_engine *e, char why[SKS_TLS_WHY])
{
	long verified = SSL_get_verify_result(e->ssl);
	unsigned long error = ERR_peek_error();

	if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(why, SKS_TLS_WHY, "the peer's certificate: %s",
		    X509_verify_cert_error_string(verified));
		ERR_clear_error();
		errno = EKEYREJECTED;
	} else if (e->is_ended) {
		snprintf(why, SKS_TLS_WHY, "the peer has ended the connection");
		errno = ECONNRESET;
	} else if (error == 0) {
		errno = e->error != 0 ? e->error : e->send_error != 0 ? e->send_error : EPROTO;
		snprintf(why, SKS_TLS_WHY, "%s", strerror(errno));
	} else {
		int reason = sks_tls_is_out_of_memory() ? ENOMEM : EPROTO;

		sks_tls_error(why, SKS_TLS_WHY);
		errno = reason;
	}
}

/*
 * Goes on with the handshake. 0: it is complete; SKS_READ or SKS_WRITE: it must wait for this event
 * first; -1: it has failed.
 */
static int
step(struct sks_tls_engine *e, char why[SKS_TLS_WHY])
{
	int rc, wants = -1;

	pthread_mutex_lock(&e->lock);
	ERR_clear_error();
	e->is_drained = 0;
	rc = SSL_do_handshake(e->ssl);
	if (rc == 1) {
		e->state = SKS_TLS_UP;
		sks_tls_look(e);
		wants = 0;
	} else {
		rc = SSL_get_error(e->ssl, rc);
		if (rc == SSL_ERROR_WANT_READ)
			wants = SKS_READ;
		else if (rc == SSL_ERROR_WANT_WRITE)
			wants = SKS_WRITE;
		else {
			explain(e, why);
			e->error = errno;
			e->state = SKS_TLS_FAILED;
		}
	}
	pthread_mutex_unlock(&e->lock);
	return wants;
}

/* From now on the engine is one that has failed. Returns -1, with errno as it was. */
static int
give_up(struct sks_tls_engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->error = errno;
	e->state = SKS_TLS_FAILED;
	pthread_mutex_unlock(&e->lock);
	return -1;
}

static int
await(int fd, struct sks_watch *watch, int event, int64_t deadline)
{
	if (event == SKS_READ)
		return sks_wait_readable(fd, watch, NULL, deadline);
	return sks_wait_events(fd, SKS_WRITE, deadline) == -1 ? -1 : 0;
}

int
sks_tls_handshake(struct sks_transport *tr, struct sks_watch *watch, int64_t deadline,
    char why[SKS_TLS_WHY])
{
	int wants;

	why[0] = '\0';
	while ((wants = step(tr->tls, why)) > 0) {
		if (await(tr->fd, watch, wants, deadline) == 0)
			continue;
		if (errno != ECANCELED)
			snprintf(why, SKS_TLS_WHY, "%s", errno == ETIMEDOUT ?
				"the handshake took too long" : strerror(errno));
		return give_up(tr->tls);
	}
	return wants;
}

void
sks_transport_say_end_waiting(struct sks_transport *tr, int64_t deadline)
{
	while (sks_transport_say_end(tr) == -1 && errno == EAGAIN)
		if (sks_wait_events(tr->fd, SKS_WRITE, deadline) == -1)
			return;
}
