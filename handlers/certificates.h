/* SPDX-License-Identifier: MIT */
/*
 * certificates.h - the certificates that are named on the command line of socketserverd.
 */
#ifndef HANDLERS_CERTIFICATES_H
#define HANDLERS_CERTIFICATES_H

#include <stddef.h>

struct sks_tls;

/* The files of one certificate. */
struct certificate {
	const char *cert;
	const char *key; /* NULL: it is in the file of the certificate */
};

struct certificates {
	struct certificate *all; /* with room for one for each argument of the command line */
	size_t n;
	const char *client_ca;   /* NULL: clients need no certificate */
	int lenient_end;         /* as in struct sks_tls_options */
	int self_signed;         /* one may be made for this run */
};

/* --cert and --key. The second returns 0, or -1: there is no certificate that it can belong to. */
void certificates_add(struct certificates *c, const char *cert);
int certificates_add_key(struct certificates *c, const char *key);

/*
 * Reads all files into *tls, for which sks_tls_free() is due; NULL where TLS is not asked for. Then
 * the program ends, as after a wrong use, when another option needs a certificate, or one of these
 * addresses, the last of which is NULL. 0, or -1 after one line in the log.
 */
int certificates_read(const struct certificates *c, const char *const *addresses,
    struct sks_tls **tls);

#endif
