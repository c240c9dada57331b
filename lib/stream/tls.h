/* SPDX-License-Identifier: MIT */
/*
 * tls.h - TLS as a transport (socketserver/tls.h).
 *
 * A connection has an engine: OpenSSL's state of it, and a lock around each call of
 * OpenSSL, since the reader and the writer of a connection may be two threads. The lock is
 * never held across a wait.
 *
 * tls_none.c has the same names for a library that is built without OpenSSL.
 */
#ifndef SKS_STREAM_TLS_H
#define SKS_STREAM_TLS_H

#include "stream/transport.h"

#include <socketserver/tls.h>

struct sks_tls_engine;
struct sks_watch;

#define SKS_TLS_WHY 200 /* room for a sentence that says why a handshake has failed */

extern const struct sks_transport_ops sks_tls_transport;

static inline int
sks_transport_is_tls(const struct sks_transport *tr)
{
	return tr->ops == &sks_tls_transport;
}

/* Returns 1, or 0: the library is built without TLS, and sks_tls_new() fails. */
int sks_tls_is_built_in(void);

/* Retains a configuration until sks_tls_free(). Returns it; tls may be NULL. */
struct sks_tls *sks_tls_hold(struct sks_tls *tls);

/*
 * Returns the configuration of clients that bring none, which is made at the first call
 * and lives as long as the process. NULL as sks_tls_new(). Any thread.
 */
struct sks_tls *sks_tls_default_client(void);

/*
 * Has the files of a configuration looked at, if that is due (options.watch_s): before a fork, as
 * what a child reads is lost with it. tls may be NULL.
 */
void sks_tls_look_at_files(struct sks_tls *tls);

/* In a child that serves one request: its copy never looks at the files. tls may be NULL. */
void sks_tls_stop_looking(struct sks_tls *tls);

/* Returns SKS_TLS_SERVER or SKS_TLS_CLIENT. */
int sks_tls_role(const struct sks_tls *tls);

/* Returns the deadline of a handshake that begins now. */
int64_t sks_tls_deadline(const struct sks_tls *tls);

/*
 * Makes a plain transport one of TLS that has not shaken hands yet. name is what a
 * server's certificate must have, or NULL: that of the configuration. early has n bytes of
 * input that was read before, and is copied. 0, or -1: EINVAL when a client has
 * no name to verify, ENOMEM.
 */
int sks_tls_attach(struct sks_transport *tr, struct sks_tls *tls, const char *name,
    const void *early, size_t n);

/*
 * Shakes hands, on the task, before the deadline. watch may be NULL, as of sks_wait_readable().
 * 0, or -1 with errno, and in why a sentence, which is "" for ECANCELED.
 */
int sks_tls_handshake(struct sks_transport *tr, struct sks_watch *watch, int64_t deadline,
    char why[SKS_TLS_WHY]);

/*
 * On the task that owns a connection: says the end of the output to the peer, waiting for
 * room until the deadline. Nothing happens on a plain transport.
 */
void sks_transport_say_end_waiting(struct sks_transport *tr, int64_t deadline);

#endif
