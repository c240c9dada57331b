/* SPDX-License-Identifier: MIT */
/*
 * Contexts: what a configuration and its files say, as settings of OpenSSL. The defaults are
 * the safe ones, and nothing of the process's OpenSSL is changed beside our own contexts.
 *
 * A server with several certificates has a context for each. Each connection begins with
 * the first, and changes to another one when the client has said which name it wants.
 */
#include "stream/tls_openssl.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

/* The list is for version 1.2; all ciphers of 1.3 are good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CHAIN_MOST 10 /* certificates between the peer's and one that is trusted */

static const unsigned char id_of_sessions[] = "socketserver";

/* -- what a client asks for -- */

static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct sks_tls_set *set = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	(void)alert;
	for (i = 0; name != NULL && i < set->n; i++) {
		X509 *cert = SSL_CTX_get0_certificate(set->contexts[i]);

		if (X509_check_host(cert, name, 0, 0, NULL) == 1) {
			if (SSL_set_SSL_CTX(ssl, set->contexts[i]) == NULL)
				return SSL_TLSEXT_ERR_ALERT_FATAL;
			break;
		}
	}
	return SSL_TLSEXT_ERR_OK;
}

static int
on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *n,
    const unsigned char *theirs, unsigned int size, void *arg)
{
	const struct sks_tls *tls = arg;
	unsigned char *out;

	(void)ssl;
	if (SSL_select_next_proto(&out, n, tls->protocols, tls->protocols_size, theirs, size) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = out;
	return SSL_TLSEXT_ERR_OK;
}

/* -- a context -- */

static void
set_safe(SSL_CTX *ctx, const struct sks_tls_options *o)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	if (o->lenient_end)
		SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (o->no_tickets)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_verify_depth(ctx, CHAIN_MOST);
	SSL_CTX_set_msg_callback(ctx, sks_tls_on_message);
}

static int
set_versions(SSL_CTX *ctx, const struct sks_tls_options *o)
{
	return SSL_CTX_set_min_proto_version(ctx, o->min_version) == 1 &&
	    SSL_CTX_set_num_tickets(ctx, o->no_tickets ? 0 : 1) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, id_of_sessions, sizeof(id_of_sessions) - 1) == 1;
}

/* ALPN. SSL_CTX_set_alpn_protos() is one of the calls that return 0 when all is well. */
static int
set_protocols(SSL_CTX *ctx, struct sks_tls *tls)
{
	if (tls->protocols == NULL)
		return 1;
	if (tls->role == SKS_TLS_CLIENT)
		return SSL_CTX_set_alpn_protos(ctx, tls->protocols, tls->protocols_size) == 0;
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, tls);
	return 1;
}

/* Trusts each certificate of a list; a server sends their names to its clients. */
static int
trust_all(SSL_CTX *ctx, STACK_OF(X509) *list, int is_server)
{
	int i, held = 1;

	for (i = 0; held && i < sk_X509_num(list); i++) {
		X509 *cert = sk_X509_value(list, i);

		held = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1 &&
		    (!is_server || SSL_CTX_add_client_CA(ctx, cert) == 1);
	}
	return held;
}

/*
 * Sets whom the context trusts. 1; or -1 with errno, after a line in the log; or 0, and the error
 * is in OpenSSL's queue.
 */
static int
set_trust(SSL_CTX *ctx, const struct sks_tls *tls)
{
	STACK_OF(X509) *list;
	int held;

	if (tls->options.verify == SKS_TLS_NO_VERIFY)
		return 1;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (tls->options.verify == SKS_TLS_REQUIRED ?
		SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	if (tls->options.ca == NULL)
		return SSL_CTX_set_default_verify_paths(ctx) == 1;
	if (sks_tls_read_certificates(tls->options.ca, &list) == -1)
		return -1;
	held = trust_all(ctx, list, tls->role == SKS_TLS_SERVER);
	sk_X509_pop_free(list, X509_free);
	return held;
}

/* Sets the certificate of a context and its chain. Returns what set_trust() does. */
static int
set_chain(SSL_CTX *ctx, const char *path, STACK_OF(X509) *list, EVP_PKEY *key)
{
	X509 *cert = sk_X509_shift(list);
	int held;

	if (sks_tls_check_dates(path, cert) == -1)
		held = -1;
	else if (X509_check_private_key(cert, key) != 1) {
		ERR_clear_error();
		held = sks_fail(NULL, EINVAL,
		    "tls: %s: the private key does not belong to this certificate", path);
	} else
		held = SSL_CTX_use_cert_and_key(ctx, cert, key, list, 1);
	X509_free(cert);
	return held;
}

static int
set_certificate(SSL_CTX *ctx, const struct sks_tls *tls, const struct sks_tls_files *files)
{
	STACK_OF(X509) *list;
	EVP_PKEY *key = NULL;
	int held = -1, error;

	if (files->cert == NULL)
		return tls->own_cert == NULL ||
		    SSL_CTX_use_cert_and_key(ctx, tls->own_cert, tls->own_key, NULL, 1) == 1;
	if (sks_tls_read_certificates(files->cert, &list) == -1)
		return -1;
	if (sks_tls_read_key(files->key != NULL ? files->key : files->cert, &key) == 0)
		held = set_chain(ctx, files->cert, list, key);
	error = errno;
	EVP_PKEY_free(key);
	sk_X509_pop_free(list, X509_free);
	errno = error;
	return held;
}

/* Sets all of a context. Returns what set_trust() does. */
static int
set_all(SSL_CTX *ctx, struct sks_tls *tls, const struct sks_tls_files *files)
{
	int held;

	set_safe(ctx, &tls->options);
	if (!set_versions(ctx, &tls->options) || !set_protocols(ctx, tls))
		return 0;
	if ((held = set_trust(ctx, tls)) != 1 || (held = set_certificate(ctx, tls, files)) != 1)
		return held;
	if (tls->options.configure == NULL)
		return 1;
	if (tls->options.configure(ctx, tls->options.data) == 0)
		return 1;
	return sks_fail(NULL, errno, "tls: configure: %m");
}

/* Makes the context of one certificate. NULL and errno, after one line in the log. */
static SSL_CTX *
new_context(struct sks_tls *tls, const struct sks_tls_files *files)
{
	SSL_CTX *ctx;
	char why[160];
	int held = 0, error;

	ERR_clear_error();
	ctx = SSL_CTX_new(tls->role == SKS_TLS_SERVER ? TLS_server_method() : TLS_client_method());
	if (ctx != NULL)
		held = set_all(ctx, tls, files);
	if (held == 1)
		return ctx;
	error = held != 0 ? errno : sks_tls_is_out_of_memory() ? ENOMEM : EINVAL;
	if (held == 0)
		sks_fail(NULL, error, "tls: %s%s%s", files->cert != NULL ? files->cert : "",
		    files->cert != NULL ? ": " : "",
		    sks_tls_error(why, sizeof(why)));
	ERR_clear_error();
	SSL_CTX_free(ctx);
	errno = error;
	return NULL;
}

/* -- a set -- */

void
sks_tls_set_drop(struct sks_tls_set *set)
{
	size_t i;

	if (set == NULL || atomic_fetch_sub(&set->holds, 1) > 1)
		return;
	for (i = 0; i < set->n; i++)
		SSL_CTX_free(set->contexts[i]);
	OPENSSL_free(set);
}

struct sks_tls_set *
sks_tls_set_new(struct sks_tls *tls)
{
	struct sks_tls_set *set =
	    OPENSSL_zalloc(sizeof(*set) + tls->nfiles * sizeof(set->contexts[0]));
	int error;

	if (set == NULL) {
		sks_tls_no_memory();
		return NULL;
	}
	set->holds = 1;
	while (set->n < tls->nfiles) {
		SSL_CTX *ctx = new_context(tls, &tls->files[set->n]);

		if (ctx == NULL) {
			error = errno;
			sks_tls_set_drop(set);
			errno = error;
			return NULL;
		}
		set->contexts[set->n++] = ctx;
		if (tls->role == SKS_TLS_SERVER) {
			SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
			SSL_CTX_set_tlsext_servername_arg(ctx, set);
		}
	}
	return set;
}
