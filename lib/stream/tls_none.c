/* SPDX-License-Identifier: MIT */
/*
 * The library was built without TLS: there is no configuration, so there is no connection
 * of TLS either, and what needs one says why it fails.
 */
#include "stream/tls.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

static int
fail(void)
{
	return sks_fail(NULL, ENOTSUP, "tls: this library was built without TLS");
}

const struct sks_transport_ops sks_tls_transport; /* no transport has it */

int
sks_tls_is_built_in(void)
{
	return 0;
}

struct sks_tls *
sks_tls_new_abi(int role, const struct sks_tls_options *options, size_t options_size)
{
	(void)role;
	(void)options;
	(void)options_size;
	(void)fail();
	return NULL;
}

int
sks_tls_add(struct sks_tls *tls, const char *cert, const char *key)
{
	(void)tls;
	(void)cert;
	(void)key;
	return fail();
}

int
sks_tls_reload(struct sks_tls *tls)
{
	(void)tls;
	return fail();
}

void
sks_tls_free(struct sks_tls *tls)
{
	(void)tls;
}

struct sks_tls *
sks_tls_hold(struct sks_tls *tls)
{
	return tls;
}

struct sks_tls *
sks_tls_default_client(void)
{
	(void)fail();
	return NULL;
}

void
sks_tls_look_at_files(struct sks_tls *tls)
{
	(void)tls;
}

void
sks_tls_stop_looking(struct sks_tls *tls)
{
	(void)tls;
}

int
sks_tls_role(const struct sks_tls *tls)
{
	(void)tls;
	return 0;
}

int64_t
sks_tls_deadline(const struct sks_tls *tls)
{
	(void)tls;
	return SKS_NEVER;
}

int
sks_tls_attach(struct sks_transport *tr, struct sks_tls *tls, const char *name, const void *early,
    size_t n)
{
	(void)tr;
	(void)tls;
	(void)name;
	(void)early;
	(void)n;
	return fail();
}

int
sks_tls_handshake(struct sks_transport *tr, struct sks_watch *watch, int64_t deadline,
    char why[SKS_TLS_WHY])
{
	(void)tr;
	(void)watch;
	(void)deadline;
	why[0] = '\0';
	return fail();
}

void
sks_transport_say_end_waiting(struct sks_transport *tr, int64_t deadline)
{
	(void)tr;
	(void)deadline;
}

/* The questions about the TLS of a connection, and there is no such connection. */

const char *
sks_tls_version(const struct sks_rfile *r)
{
	(void)r;
	return NULL;
}

const char *
sks_tls_cipher(const struct sks_rfile *r)
{
	(void)r;
	return NULL;
}

const char *
sks_tls_alpn(const struct sks_rfile *r)
{
	(void)r;
	return NULL;
}

const char *
sks_tls_server_name(const struct sks_rfile *r)
{
	(void)r;
	return NULL;
}

const char *
sks_tls_peer_subject(const struct sks_rfile *r)
{
	(void)r;
	return NULL;
}

const char *
sks_tls_peer_name(const struct sks_rfile *r, unsigned int i)
{
	(void)r;
	(void)i;
	return NULL;
}

const char *
sks_tls_peer_fingerprint(const struct sks_rfile *r)
{
	(void)r;
	return NULL;
}
