/* SPDX-License-Identifier: MIT */
/*
 * certs.h - certificates for the suites of TLS, made when they are needed, so that none expires.
 *
 * Files lie in acc_dir: NAME.pem has a certificate and its key. Each call fails the test when
 * OpenSSL does. certs_remove() removes them all.
 */
#ifndef SKS_TEST_CERTS_H
#define SKS_TEST_CERTS_H

#include <openssl/ssl.h>

struct cert {
	const char *name;   /* of the file, and the subject's CN */
	const char *names;  /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
	const char *issuer; /* the name of one that was made before; NULL: it signs itself */
	int is_ca;
	int from_days;      /* valid from so many days from now, 0: since yesterday, */
	int until_days;     /* to so many days from now; 0: 30 */
};

/* Makes a certificate and its file. Returns the file's path, which lives as long as the test. */
const char *certs_make(const struct cert *cert);

/* The path of a file of acc_dir with that name and ".pem". */
const char *certs_path(const char *name);

/* Writes text into such a file. Returns its path. */
const char *certs_write(const char *name, const char *text);

/* The usual ones: "ca", and signed by it "server" (localhost, 127.0.0.1) and "client" (alice). */
void certs_usual(void);

void certs_remove(void);

#endif
