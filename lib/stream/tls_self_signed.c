/* SPDX-License-Identifier: MIT */
/*
 * A certificate that nobody trusts, to try TLS with: for localhost and this host's name,
 * with a key of its own, neither of which outlives the process.
 */
#include "stream/tls_openssl.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#define DAYS 30
#define HOST 65

/* A host's name that may stand in a list of names: letters, digits, dots and hyphens. */
static const char *
host_name(char name[HOST])
{
	size_t i;

	if (gethostname(name, HOST) == -1)
		return "localhost";
	name[HOST - 1] = '\0';
	for (i = 0; name[i] != '\0'; i++)
		if (name[i] != '-' && name[i] != '.' && (name[i] < '0' || name[i] > '9') &&
		    ((name[i] | 32) < 'a' || (name[i] | 32) > 'z'))
			return "localhost";
	return i > 0 ? name : "localhost";
}

static int
set_serial(X509 *cert)
{
	unsigned char bytes[8];
	BIGNUM *number = NULL;
	int rc = 0;

	if (RAND_bytes(bytes, sizeof(bytes)) == 1) {
		bytes[0] &= 0x7f;
		number = BN_bin2bn(bytes, sizeof(bytes), NULL);
		rc = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	}
	BN_free(number);
	return rc;
}

static int
set_subject(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		   (const unsigned char *)"localhost", -1, -1, 0) == 1 &&
	    X509_set_issuer_name(cert, name) == 1;
}

static int
add_names(X509 *cert)
{
	char host[HOST], names[160];
	X509_EXTENSION *extension;
	int rc;

	snprintf(names, sizeof(names), "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:%s", host_name(host));
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	rc = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return rc;
}

static int
fill_in(X509 *cert, EVP_PKEY *key)
{
	return X509_set_version(cert, 2) == 1 && set_serial(cert) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(cert), 60 * 60 * 24 * DAYS) != NULL &&
	    X509_set_pubkey(cert, key) == 1 && set_subject(cert) && add_names(cert) &&
	    X509_sign(cert, key, EVP_sha256()) > 0;
}

int
sks_tls_make_certificate(X509 **cert, EVP_PKEY **key)
{
	char why[160];
	int error;

	ERR_clear_error();
	*key = EVP_EC_gen("P-256");
	*cert = X509_new();
	if (*key != NULL && *cert != NULL && fill_in(*cert, *key))
		return 0;
	error = sks_tls_is_out_of_memory() ? ENOMEM : EINVAL;
	X509_free(*cert);
	EVP_PKEY_free(*key);
	*cert = NULL;
	*key = NULL;
	return sks_fail(NULL, error, "tls: a certificate for this run: %s",
	    sks_tls_error(why, sizeof(why)));
}
