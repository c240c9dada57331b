/* SPDX-License-Identifier: MIT */
/*
 * The questions of a handler about the TLS of its connection. The strings are made at the first
 * question, and live as long as the engine.
 */
#include "base/sys.h"
#include "stream/stream.h"
#include "stream/tls.h"
#include "stream/tls_openssl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MOST 100 /* of a certificate */
#define DIGEST 32      /* bytes of a SHA-256 */

struct sks_tls_info {
	char protocol[256]; /* "": none */
	char fingerprint[2 * DIGEST + 1];
	char *server_name;
	char *subject;
	char *names[NAMES_MOST];
	unsigned int nnames;
};

void
sks_tls_info_free(struct sks_tls_info *info)
{
	if (info == NULL)
		return;
	while (info->nnames > 0)
		sks_sys_free(info->names[--info->nnames]);
	sks_sys_free(info->server_name);
	sks_sys_free(info->subject);
	sks_sys_free(info);
}

/*
 * Returns a copy of n bytes as a string. NULL: there is no memory, or one of them is a NUL, which
 * would hide the bytes behind it.
 */
static char *
copy_text(const void *bytes, size_t n)
{
	char *text = memchr(bytes, '\0', n) == NULL ? sks_sys_malloc(n + 1) : NULL;

	if (text != NULL) {
		memcpy(text, bytes, n);
		text[n] = '\0';
	}
	return text;
}

static char *
copy_address(const unsigned char *bytes, int n)
{
	char text[INET6_ADDRSTRLEN];

	if ((n != 4 && n != 16) ||
	    inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)) == NULL)
		return NULL;
	return copy_text(text, strlen(text));
}

static char *
copy_name(const GENERAL_NAME *name)
{
	const ASN1_STRING *text;
	int kind;

	text = GENERAL_NAME_get0_value(name, &kind);
	switch (kind) {
	case GEN_DNS:
	case GEN_EMAIL:
	case GEN_URI:
		return copy_text(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
	case GEN_IPADD:
		return copy_address(ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
	default:
		return NULL;
	}
}

static void
note_names(struct sks_tls_info *info, const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(names) && info->nnames < NAMES_MOST; i++) {
		info->names[info->nnames] = copy_name(sk_GENERAL_NAME_value(names, i));
		if (info->names[info->nnames] != NULL)
			info->nnames++;
	}
	GENERAL_NAMES_free(names);
}

static void
note_certificate(struct sks_tls_info *info, const X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char subject[1024];
	unsigned int n = 0, i;

	sks_tls_format_subject(cert, subject, sizeof(subject));
	info->subject = copy_text(subject, strlen(subject));
	note_names(info, cert);
	if (X509_digest(cert, EVP_sha256(), digest, &n) == 1)
		for (i = 0; i < DIGEST && i < n; i++)
			snprintf(info->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

static struct sks_tls_info *
new_info(SSL *ssl)
{
	struct sks_tls_info *info = sks_sys_calloc(1, sizeof(*info));
	const unsigned char *protocol;
	X509 *cert = SSL_get0_peer_certificate(ssl);
	const char *name;
	unsigned int n;

	if (info == NULL)
		return NULL;
	SSL_get0_alpn_selected(ssl, &protocol, &n);
	snprintf(info->protocol, sizeof(info->protocol), "%.*s", (int)n, (const char *)protocol);
	name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (name != NULL)
		info->server_name = copy_text(name, strlen(name));
	if (cert != NULL)
		note_certificate(info, cert);
	ERR_clear_error();
	return info;
}

static struct sks_tls_engine *
engine_of(const struct sks_rfile *r)
{
	return r->tr != NULL && sks_transport_is_tls(r->tr) ? r->tr->tls : NULL;
}

/* Returns all answers about a connection. NULL: it is plain, or there is no memory. */
static const struct sks_tls_info *
info_of(const struct sks_rfile *r)
{
	struct sks_tls_engine *e = engine_of(r);

	if (e == NULL)
		return NULL;
	pthread_mutex_lock(&e->lock);
	if (e->info == NULL)
		e->info = new_info(e->ssl);
	pthread_mutex_unlock(&e->lock);
	return e->info;
}

static const char *
unless_empty(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* Asks OpenSSL, under the lock: a read may replace the session that the answer is taken from. */
static const char *
ask(const struct sks_rfile *r, const char *(*question)(const SSL *ssl))
{
	struct sks_tls_engine *e = engine_of(r);
	const char *answer;

	if (e == NULL)
		return NULL;
	pthread_mutex_lock(&e->lock);
	answer = question(e->ssl);
	pthread_mutex_unlock(&e->lock);
	return answer;
}

static const char *
cipher_of(const SSL *ssl)
{
	return SSL_get_cipher_name(ssl);
}

const char *
sks_tls_version(const struct sks_rfile *r)
{
	return ask(r, SSL_get_version);
}

const char *
sks_tls_cipher(const struct sks_rfile *r)
{
	return ask(r, cipher_of);
}

const char *
sks_tls_alpn(const struct sks_rfile *r)
{
	const struct sks_tls_info *info = info_of(r);

	return info != NULL ? unless_empty(info->protocol) : NULL;
}

const char *
sks_tls_server_name(const struct sks_rfile *r)
{
	const struct sks_tls_info *info = info_of(r);

	return info != NULL ? info->server_name : NULL;
}

const char *
sks_tls_peer_subject(const struct sks_rfile *r)
{
	const struct sks_tls_info *info = info_of(r);

	return info != NULL ? info->subject : NULL;
}

const char *
sks_tls_peer_name(const struct sks_rfile *r, unsigned int i)
{
	const struct sks_tls_info *info = info_of(r);

	return info != NULL && i < info->nnames ? info->names[i] : NULL;
}

const char *
sks_tls_peer_fingerprint(const struct sks_rfile *r)
{
	const struct sks_tls_info *info = info_of(r);

	return info != NULL ? unless_empty(info->fingerprint) : NULL;
}
