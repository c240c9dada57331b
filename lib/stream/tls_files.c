/* SPDX-License-Identifier: MIT */
/*
 * Files of certificates and keys. They are read here and not by OpenSSL, so that an error
 * of open(2) keeps its errno, a file has a greatest size, and no copy of a key stays
 * in a buffer of stdio. OpenSSL never asks for a passphrase at the terminal.
 */
#include "stream/tls_openssl.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define FILE_MOST ((size_t)1 << 20)

static int
refuse(const char *path, int error, const char *why)
{
	return sks_fail(NULL, error, "tls: %s: %s", path, why);
}

/*
 * Reads all of fd into bytes, which has room for one byte more than a file may have. Returns how
 * many bytes that are, or -1 and errno.
 */
static ssize_t
read_all(int fd, char *bytes)
{
	size_t n = 0;

	while (n <= FILE_MOST) {
		ssize_t got = sks_sys_read(fd, bytes + n, FILE_MOST + 1 - n);

		if (got == 0)
			return (ssize_t)n;
		if (got > 0)
			n += (size_t)got;
		else if (errno != EINTR)
			return -1;
	}
	errno = EFBIG;
	return -1;
}

/*
 * Returns the *n bytes of a file, which the caller frees by OPENSSL_clear_free() as FILE_MOST + 1.
 * NULL and errno, after a line in the log.
 */
static char *
read_file(const char *path, size_t *n)
{
	int fd = sks_sys_open(path, O_RDONLY | O_CLOEXEC), error;
	char *bytes = NULL;
	ssize_t got = -1;

	if (fd != -1) {
		errno = ENOMEM;
		if ((bytes = OPENSSL_malloc(FILE_MOST + 1)) != NULL)
			got = read_all(fd, bytes);
		error = errno;
		sks_sys_close(fd);
		errno = error;
	}
	if (got >= 0) {
		*n = (size_t)got;
		return bytes;
	}
	error = errno;
	OPENSSL_clear_free(bytes, FILE_MOST + 1);
	refuse(path, error, error == EFBIG ? "it has more than 1 MiB" : strerror(error));
	return NULL;
}

/* A file as OpenSSL's readers of PEM take it. */
struct text {
	char *bytes;
	BIO *bio; /* NULL: no memory, which is in OpenSSL's queue of errors */
};

/* Opens the text of a file, with that queue empty. Returns 0, or -1 after a line in the log. */
static int
open_text(struct text *text, const char *path)
{
	size_t n;

	text->bytes = read_file(path, &n);
	if (text->bytes == NULL)
		return -1;
	ERR_clear_error();
	text->bio = BIO_new_mem_buf(text->bytes, (int)n);
	return 0;
}

static void
close_text(struct text *text)
{
	BIO_free(text->bio);
	OPENSSL_clear_free(text->bytes, FILE_MOST + 1);
}

/*
 * Returns all certificates of the text. An error is in OpenSSL's queue, which is empty otherwise.
 */
static STACK_OF(X509) *
parse_certificates(BIO *text)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *cert;

	while (list != NULL && (cert = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(list, cert) != 0)
			continue;
		X509_free(cert); /* a chain with a gap is worse than none */
		sk_X509_pop_free(list, X509_free);
		return NULL;
	}
	if (list != NULL && sk_X509_num(list) > 0 &&
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error(); /* the end of the text is an error for OpenSSL */
	return list;
}

/* OpenSSL has refused a file, and its queue of errors says why. Logs that, and returns -1. */
static int
refuse_by_queue(const char *path)
{
	int error = sks_tls_is_out_of_memory() ? ENOMEM : EINVAL;
	char why[160];

	return refuse(path, error, sks_tls_error(why, sizeof(why)));
}

int
sks_tls_read_certificates(const char *path, STACK_OF(X509) **list)
{
	struct text text;

	if (open_text(&text, path) == -1)
		return -1;
	*list = text.bio != NULL ? parse_certificates(text.bio) : NULL;
	close_text(&text);
	if (*list != NULL && sk_X509_num(*list) > 0 && ERR_peek_error() == 0)
		return 0;
	if (*list != NULL && sk_X509_num(*list) == 0 &&
	    ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE)
		refuse(path, EINVAL, "there is no certificate in it (in PEM)");
	else
		refuse_by_queue(path);
	ERR_clear_error();
	sk_X509_pop_free(*list, X509_free);
	return -1;
}

/* OpenSSL asks for the passphrase of a key: this is noted in *asked, and none is given. */
static int
on_passphrase(char *buf, int size, int is_writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)is_writing;
	*(int *)asked = 1;
	return -1;
}

int
sks_tls_read_key(const char *path, EVP_PKEY **key)
{
	int asked = 0, reason;
	struct text text;

	if (open_text(&text, path) == -1)
		return -1;
	*key = NULL;
	if (text.bio != NULL)
		*key = PEM_read_bio_PrivateKey(text.bio, NULL, on_passphrase, &asked);
	close_text(&text);
	if (*key != NULL)
		return 0;
	reason = ERR_GET_REASON(ERR_peek_error());
	if (asked)
		refuse(path, EINVAL, "the key has a passphrase: it must be stored without one");
	else if (reason == PEM_R_NO_START_LINE || reason == ERR_R_UNSUPPORTED)
		refuse(path, EINVAL, "there is no private key in it (in PEM)");
	else
		refuse_by_queue(path);
	ERR_clear_error();
	return -1;
}

char *
sks_tls_format_time(const ASN1_TIME *time, char *buf, size_t size)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(buf, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(buf, size, "?");
	return buf;
}

char *
sks_tls_format_subject(const X509 *cert, char *buf, size_t size)
{
	BIO *text = BIO_new(BIO_s_mem());
	int n = 0;

	if (text != NULL &&
	    X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) != -1)
		n = BIO_read(text, buf, (int)size - 1);
	BIO_free(text);
	if (n > 0)
		buf[n] = '\0';
	else
		snprintf(buf, size, "?");
	return buf;
}

int
sks_tls_check_dates(const char *path, const X509 *cert)
{
	const ASN1_TIME *from = X509_get0_notBefore(cert), *until = X509_get0_notAfter(cert);
	char day[40];

	if (X509_cmp_current_time(until) < 0)
		return sks_fail(NULL, EINVAL, "tls: %s: the certificate has expired on %s", path,
		    sks_tls_format_time(until, day, sizeof(day)));
	if (X509_cmp_current_time(from) > 0)
		return sks_fail(NULL, EINVAL, "tls: %s: the certificate is not valid before %s",
		    path, sks_tls_format_time(from, day, sizeof(day)));
	return 0;
}
