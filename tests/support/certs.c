/* SPDX-License-Identifier: MIT */
#include "certs.h"

#include "acceptance.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY (60 * 60 * 24)
#define FILES_MOST 32

struct made {
	char path[200];
	char name[64];
	X509 *cert;
	EVP_PKEY *key;
};

static struct made made[FILES_MOST];
static int nmade;

static struct made *
find(const char *name)
{
	int i;

	for (i = 0; i < nmade; i++)
		if (strcmp(made[i].name, name) == 0)
			return &made[i];
	return NULL;
}

static struct made *
find_or_add(const char *name)
{
	struct made *m = find(name);

	if (m != NULL)
		return m;
	ck_assert_int_lt(nmade, FILES_MOST);
	m = &made[nmade++];
	snprintf(m->name, sizeof(m->name), "%s", name);
	snprintf(m->path, sizeof(m->path), "%s/%s.pem", acc_dir, name);
	return m;
}

const char *
certs_path(const char *name)
{
	return find_or_add(name)->path;
}

static void
add_extension(X509 *cert, int id, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, value);

	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void
fill_in(X509 *x, const struct cert *cert, EVP_PKEY *key)
{
	static int serial;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x),
	    (long)DAY * (cert->from_days != 0 ? cert->from_days : -1));
	X509_gmtime_adj(X509_getm_notAfter(x),
	    (long)DAY * (cert->until_days != 0 ? cert->until_days : 30));
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)cert->name, -1, -1, 0);
	add_extension(x, NID_basic_constraints, cert->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (cert->names != NULL)
		add_extension(x, NID_subject_alt_name, cert->names);
}

static void
write_pem(const struct made *m)
{
	FILE *file = fopen(m->path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_X509(file, m->cert), 1);
	ck_assert_int_eq(PEM_write_PrivateKey(file, m->key, NULL, NULL, 0, NULL, NULL), 1);
	ck_assert_int_eq(fclose(file), 0);
}

const char *
certs_make(const struct cert *cert)
{
	struct made *m = find_or_add(cert->name);
	const struct made *issuer = cert->issuer != NULL ? find(cert->issuer) : NULL;

	X509_free(m->cert);
	EVP_PKEY_free(m->key);
	m->key = EVP_EC_gen("P-256");
	m->cert = X509_new();
	ck_assert(m->key != NULL && m->cert != NULL);
	fill_in(m->cert, cert, m->key);
	if (issuer == NULL)
		issuer = m;
	X509_set_issuer_name(m->cert, X509_get_subject_name(issuer->cert));
	ck_assert_int_gt(X509_sign(m->cert, issuer->key, EVP_sha256()), 0);
	write_pem(m);
	return m->path;
}

const char *
certs_write(const char *name, const char *text)
{
	const char *path = certs_path(name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

void
certs_usual(void)
{
	certs_make(&(struct cert){ .name = "ca", .is_ca = 1 });
	certs_make(&(struct cert){ .name = "server", .issuer = "ca",
	    .names = "DNS:localhost,IP:127.0.0.1" });
	certs_make(&(struct cert){ .name = "client", .issuer = "ca",
	    .names = "DNS:alice.example,email:alice@example.org" });
}

void
certs_remove(void)
{
	while (nmade > 0) {
		struct made *m = &made[--nmade];

		unlink(m->path);
		X509_free(m->cert);
		EVP_PKEY_free(m->key);
		*m = (struct made){ 0 };
	}
}
