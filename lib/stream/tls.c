/* SPDX-License-Identifier: MIT */
/*
 * The life of a configuration: it is made, certificates are added, its files are read
 * again, and its last user frees it.
 */
#include "stream/tls.h"

#include "base/clock.h"
#include "base/known.h"
#include "base/log.h"
#include "base/sys.h"
#include "stream/tls_openssl.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <string.h>

#define HANDSHAKE_MS 10000
#define PROTOCOL_MOST 255 /* bytes of a name of an application protocol */

static_assert(sizeof(struct sks_tls_options) == 5 * sizeof(char *) + sizeof(int (*)(void)) +
	    sizeof(void *) + 6 * sizeof(int),
    "struct sks_tls_options has no padding");

int
sks_tls_is_built_in(void)
{
	return 1;
}

/* -- options -- */

static int
invalid(const char *why)
{
	return sks_fail(NULL, EINVAL, "tls: %s", why);
}

static int
check(int role, const struct sks_tls_options *o)
{
	if (role != SKS_TLS_SERVER && role != SKS_TLS_CLIENT)
		return invalid("the role is SKS_TLS_SERVER or SKS_TLS_CLIENT");
	if (o->verify < 0 || o->verify > SKS_TLS_REQUIRED ||
	    (o->verify == SKS_TLS_OPTIONAL && role == SKS_TLS_CLIENT))
		return invalid("options.verify: there is no such choice");
	if (o->verify > SKS_TLS_NO_VERIFY && role == SKS_TLS_SERVER && o->ca == NULL)
		return invalid("options.verify: clients' certificates need options.ca");
	if (o->min_version != 0 && o->min_version != SKS_TLS_1_2 && o->min_version != SKS_TLS_1_3)
		return invalid("options.min_version: must be SKS_TLS_1_2 or SKS_TLS_1_3");
	if (o->handshake_ms < SKS_OFF || o->watch_s < 0)
		return invalid("options: a time is out of its range");
	if (o->key != NULL && o->cert == NULL)
		return invalid("options.key: there is no options.cert");
	return 0;
}

/* The numbers of a configuration, with their defaults. */
static void
set_numbers(struct sks_tls *tls, const struct sks_tls_options *given)
{
	struct sks_tls_options *o = &tls->options;

	*o = *given;
	o->cert = o->key = o->ca = o->alpn = o->name = NULL;
	if (o->verify == 0)
		o->verify = tls->role == SKS_TLS_CLIENT ? SKS_TLS_REQUIRED : SKS_TLS_NO_VERIFY;
	if (o->min_version == 0)
		o->min_version = SKS_TLS_1_2;
	if (o->handshake_ms == 0)
		o->handshake_ms = HANDSHAKE_MS;
}

/* Copies text, or NULL. 0, or -1: ENOMEM, after a line in the log. */
static int
copy_text(char **to, const char *from)
{
	*to = from != NULL ? OPENSSL_strdup(from) : NULL;
	return from == NULL || *to != NULL ? 0 : sks_tls_no_memory();
}

/* "h2,http/1.1" becomes 2 h 2 8 h t t p / 1 . 1, bytes with a length before each name. */
static int
parse_protocols(struct sks_tls *tls, const char *text)
{
	size_t size = strlen(text) + 1, at = 0, i;

	if ((tls->protocols = OPENSSL_malloc(size)) == NULL)
		return sks_tls_no_memory();
	for (i = 0; i < size; i++) {
		if (text[i] != ',' && text[i] != '\0') {
			tls->protocols[i + 1] = (unsigned char)text[i];
			continue;
		}
		if (i == at || i - at > PROTOCOL_MOST)
			return invalid("options.alpn: a name has 1 to 255 bytes");
		tls->protocols[at] = (unsigned char)(i - at);
		at = i + 1;
	}
	tls->protocols_size = (unsigned int)size;
	return 0;
}

/* -- files -- */

static void
free_files(struct sks_tls_files *files)
{
	OPENSSL_free(files->cert);
	OPENSSL_free(files->key);
}

/* Appends the files of one certificate. 0, or -1: ENOMEM, after a line in the log. */
static int
append_files(struct sks_tls *tls, const char *cert, const char *key)
{
	struct sks_tls_files *all =
	    OPENSSL_realloc(tls->files, (tls->nfiles + 1) * sizeof(*tls->files));
	struct sks_tls_files *last;

	if (all == NULL)
		return sks_tls_no_memory();
	tls->files = all;
	last = &all[tls->nfiles];
	last->key = NULL;
	if (copy_text(&last->cert, cert) == -1 || copy_text(&last->key, key) == -1) {
		free_files(last);
		errno = ENOMEM;
		return -1;
	}
	tls->nfiles++;
	return 0;
}

static void
look_at(const char *path, struct timespec *newest)
{
	struct stat st;

	if (path != NULL && stat(path, &st) == 0 &&
	    (st.st_ctim.tv_sec > newest->tv_sec || (st.st_ctim.tv_sec == newest->tv_sec &&
						       st.st_ctim.tv_nsec > newest->tv_nsec)))
		*newest = st.st_ctim;
}

/* Returns when the last change of any of the files was. */
static struct timespec
newest_of(const struct sks_tls *tls)
{
	struct timespec newest = { 0 };
	size_t i;

	look_at(tls->options.ca, &newest);
	for (i = 0; i < tls->nfiles; i++) {
		look_at(tls->files[i].cert, &newest);
		look_at(tls->files[i].key, &newest);
	}
	return newest;
}

/* -- sets -- */

/* Makes another set of all files, and gives it to the connections that come. 0, or -1. */
static int
renew(struct sks_tls *tls)
{
	struct timespec newest = newest_of(tls);
	struct sks_tls_set *set = sks_tls_set_new(tls), *before;

	tls->newest = newest;
	if (set == NULL)
		return -1;
	pthread_mutex_lock(&tls->lock);
	before = tls->set;
	tls->set = set;
	pthread_mutex_unlock(&tls->lock);
	sks_tls_set_drop(before);
	return 0;
}

static void
tell_certificates(struct sks_tls *tls)
{
	char subject[256], day[40];
	size_t i;

	for (i = 0; i < tls->nfiles; i++) {
		const X509 *cert = SSL_CTX_get0_certificate(tls->set->contexts[i]);

		if (tls->files[i].cert != NULL)
			sks_log_about(NULL, SKS_LOG_INFO, 0, "tls: %s: reloaded: %s, valid until %s",
			    tls->files[i].cert,
			    sks_tls_format_subject(cert, subject, sizeof(subject)),
			    sks_tls_format_time(X509_get0_notAfter(cert), day, sizeof(day)));
	}
}

static int
reload(struct sks_tls *tls)
{
	int rc = renew(tls);

	if (rc == 0)
		tell_certificates(tls);
	return rc;
}

int
sks_tls_reload(struct sks_tls *tls)
{
	int rc;

	pthread_mutex_lock(&tls->changing);
	rc = reload(tls);
	pthread_mutex_unlock(&tls->changing);
	return rc;
}

int
sks_tls_add(struct sks_tls *tls, const char *cert, const char *key)
{
	int rc = -1, error;

	if (cert == NULL)
		return invalid("a certificate that is added needs a file");
	pthread_mutex_lock(&tls->changing);
	if (append_files(tls, cert, key) == 0 && (rc = renew(tls)) == -1)
		free_files(&tls->files[--tls->nfiles]);
	error = errno;
	pthread_mutex_unlock(&tls->changing);
	errno = error;
	return rc;
}

/* Reads the files again if one has changed, but asks the file system only once in watch_s. */
static void
look_again(struct sks_tls *tls)
{
	int64_t before = atomic_load(&tls->looked_ms), now = sks_clock_ms();
	struct timespec newest;

	if (now - before < (int64_t)tls->options.watch_s * 1000 ||
	    !atomic_compare_exchange_strong(&tls->looked_ms, &before, now) ||
	    pthread_mutex_trylock(&tls->changing) != 0)
		return;
	newest = newest_of(tls);
	if (memcmp(&newest, &tls->newest, sizeof(newest)) != 0)
		(void)reload(tls); /* it logs why it fails */
	pthread_mutex_unlock(&tls->changing);
}

void
sks_tls_look_at_files(struct sks_tls *tls)
{
	if (tls != NULL && tls->options.watch_s > 0)
		look_again(tls);
}

void
sks_tls_stop_looking(struct sks_tls *tls)
{
	if (tls != NULL)
		tls->options.watch_s = 0;
}

struct sks_tls_set *
sks_tls_current_set(struct sks_tls *tls)
{
	struct sks_tls_set *set;

	sks_tls_look_at_files(tls);
	pthread_mutex_lock(&tls->lock);
	set = tls->set;
	atomic_fetch_add(&set->holds, 1);
	pthread_mutex_unlock(&tls->lock);
	return set;
}

/* -- life -- */

static void
destroy(struct sks_tls *tls)
{
	struct sks_tls_options *o = &tls->options;

	sks_tls_set_drop(tls->set);
	while (tls->nfiles > 0)
		free_files(&tls->files[--tls->nfiles]);
	OPENSSL_free(tls->files);
	OPENSSL_free((char *)o->ca);
	OPENSSL_free((char *)o->name);
	OPENSSL_free(tls->protocols);
	X509_free(tls->own_cert);
	EVP_PKEY_free(tls->own_key);
	BIO_meth_free(tls->bio);
	pthread_mutex_destroy(&tls->changing);
	pthread_mutex_destroy(&tls->lock);
	OPENSSL_free(tls);
}

void
sks_tls_free(struct sks_tls *tls)
{
	if (tls != NULL && atomic_fetch_sub(&tls->holds, 1) == 1)
		destroy(tls);
}

struct sks_tls *
sks_tls_hold(struct sks_tls *tls)
{
	if (tls != NULL)
		atomic_fetch_add(&tls->holds, 1);
	return tls;
}

static int
build(struct sks_tls *tls, const struct sks_tls_options *given)
{
	struct sks_tls_options *o = &tls->options;

	set_numbers(tls, given);
	if (copy_text((char **)&o->name, given->name) == -1 ||
	    copy_text((char **)&o->ca, given->ca) == -1 ||
	    (given->alpn != NULL && parse_protocols(tls, given->alpn) == -1) ||
	    append_files(tls, given->cert, given->key) == -1)
		return -1;
	if ((tls->bio = sks_tls_bio_new()) == NULL)
		return sks_tls_no_memory();
	if (tls->role == SKS_TLS_SERVER && given->cert == NULL &&
	    sks_tls_make_certificate(&tls->own_cert, &tls->own_key) == -1)
		return -1;
	tls->looked_ms = sks_clock_ms();
	if (renew(tls) == -1)
		return -1;
	if (tls->own_cert != NULL)
		sks_log_about(NULL, SKS_LOG_WARN, 0, "tls: NO CERTIFICATE IS GIVEN: one was made for"
		    " this run, which no client trusts; it is for trying TLS");
	return 0;
}

static struct sks_tls *
new_tls(int role)
{
	struct sks_tls *tls = OPENSSL_zalloc(sizeof(*tls));

	ERR_clear_error();
	if (tls == NULL) {
		sks_tls_no_memory();
		return NULL;
	}
	tls->holds = 1;
	tls->role = role;
	pthread_mutex_init(&tls->changing, NULL);
	pthread_mutex_init(&tls->lock, NULL);
	return tls;
}

struct sks_tls *
sks_tls_new_abi(int role, const struct sks_tls_options *options, size_t options_size)
{
	struct sks_tls_options given = { 0 };
	struct sks_tls *tls;
	int error;

	if (sks_copy_known(&given, sizeof(given), options, options_size, "tls: options") == -1 ||
	    check(role, &given) == -1 ||
	    (tls = new_tls(role)) == NULL)
		return NULL;
	if (build(tls, &given) == 0)
		return tls;
	error = errno;
	destroy(tls);
	errno = error;
	return NULL;
}

struct sks_tls *
sks_tls_default_client(void)
{
	/* A lock would be held while files are read: a fork meanwhile would copy it to a child. */
	static struct sks_tls *_Atomic client;
	struct sks_tls *found = atomic_load(&client), *made;

	if (found != NULL)
		return found;
	made = sks_tls_new(SKS_TLS_CLIENT, NULL);
	if (made == NULL || atomic_compare_exchange_strong(&client, &found, made))
		return made;
	sks_tls_free(made); /* another thread was faster */
	return found;
}

int
sks_tls_role(const struct sks_tls *tls)
{
	return tls->role;
}

int64_t
sks_tls_deadline(const struct sks_tls *tls)
{
	return sks_clock_after(tls->options.handshake_ms);
}
