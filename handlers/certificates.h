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
	int self_signed;         /* one may be made for this run */
};

/* --cert and --key. The second returns 0, or -1: there is no certificate that it can belong to. */
void certificates_add(struct certificates *c, const char *cert);
int certificates_add_key(struct certificates *c, const char *key);

/* Returns 1 when TLS is asked for. */
int certificates_are_given(const struct certificates *c);

/* Returns the first of these addresses that is one of TLS, or NULL. They end with a NULL. */
const char *certificates_first_use(const char *const *addresses);

/* Reads all files. NULL after one line in the log. sks_tls_free() is due. */
struct sks_tls *certificates_read(const struct certificates *c);

#endif
