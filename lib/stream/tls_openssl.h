/* SPDX-License-Identifier: MIT */
/*
 * tls_openssl.h - what the parts of the room tls share, with OpenSSL's types.
 *
 * A configuration has a set of contexts, one for each certificate. A reload makes another
 * set; connections keep the one that they began with. Its memory comes from OpenSSL's
 * allocator, since the default configuration of clients is never freed.
 */
#ifndef SKS_STREAM_TLS_OPENSSL_H
#define SKS_STREAM_TLS_OPENSSL_H

#include "base/buf.h"
#include "stream/transport.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <socketserver/tls.h>
#include <stdatomic.h>
#include <time.h>

/* -- a configuration -- */

/* The contexts of all certificates at one time. The first is for clients that name no server. */
struct sks_tls_set {
	atomic_int holds;
	size_t n;
	SSL_CTX *contexts[];
};

/* The files of one certificate. */
struct sks_tls_files {
	char *cert; /* NULL: it is our own (self-signed), or there is none (a client) */
	char *key;
};

struct sks_tls {
	atomic_int holds;
	int role;
	struct sks_tls_options options; /* no zero stands for a default; strings are copies */
	unsigned char *protocols;       /* options.alpn as it goes over the wire; NULL: none */
	unsigned int protocols_size;
	BIO_METHOD *bio;
	pthread_mutex_t changing;       /* guards the members below: one change at a time */
	struct sks_tls_files *files;
	size_t nfiles;
	X509 *own_cert;                 /* self-signed; NULL: none */
	EVP_PKEY *own_key;
	struct timespec newest;         /* when the files were changed, the last of them; */
	_Atomic int64_t looked_ms;      /* when they were looked at (options.watch_s) */
	pthread_mutex_t lock;           /* of set */
	struct sks_tls_set *set;
};

/* -- tls_why.c: OpenSSL's errors in words -- */

/*
 * Puts a sentence for the oldest error of this thread into buf, and empties OpenSSL's queue of
 * errors. Returns buf.
 */
char *sks_tls_error(char *buf, size_t size);

/* Returns 1 if a call of OpenSSL has failed on this thread because there is no memory. */
int sks_tls_is_out_of_memory(void);

/* Logs that there is no memory. Returns -1: ENOMEM. */
int sks_tls_no_memory(void);

/* -- tls_files.c -- */

/*
 * Each reads a file of PEM. 0, or -1 with errno after one line in the log. A chain or list
 * has at least one certificate.
 */
int sks_tls_read_certificates(const char *path, STACK_OF(X509) **list);
int sks_tls_read_key(const char *path, EVP_PKEY **key);

/* Checks that the certificate is valid now. 0, or -1: EINVAL, after one line in the log. */
int sks_tls_check_dates(const char *path, const X509 *cert);

/* Puts the day and time into buf as text, in UTC. */
char *sks_tls_format_time(const ASN1_TIME *time, char *buf, size_t size);

/* Puts the subject of a certificate into buf, by RFC 2253; "?" where it cannot be read. */
char *sks_tls_format_subject(const X509 *cert, char *buf, size_t size);

/* -- tls_self_signed.c -- */

/*
 * Makes a certificate for this host, valid for 30 days, and its key. 0, or -1: EINVAL or ENOMEM,
 * after one line in the log.
 */
int sks_tls_make_certificate(X509 **cert, EVP_PKEY **key);

/* -- tls_context.c -- */

/*
 * Makes a set of all files, with one hold, the caller's. NULL with errno, after one line in the
 * log. Any thread may drop a hold of a set; the last one frees it. set may be NULL.
 */
struct sks_tls_set *sks_tls_set_new(struct sks_tls *tls);
void sks_tls_set_drop(struct sks_tls_set *set);

/* -- tls.c -- */

/*
 * Returns the set that a new connection begins with, retained. Looks at the files, if that is due.
 */
struct sks_tls_set *sks_tls_current_set(struct sks_tls *tls);

/* -- an engine: the TLS of one connection -- */

enum sks_tls_state {
	SKS_TLS_SHAKING, /* no byte of a stream has gone through yet */
	SKS_TLS_UP,
	SKS_TLS_ENDED,   /* we have said the end of our output */
	SKS_TLS_FAILED   /* OpenSSL must not be asked for anything any more */
};

struct sks_tls_info;

struct sks_tls_engine {
	pthread_mutex_t lock;   /* around each call of OpenSSL */
	SSL *ssl;
	struct sks_tls *tls;
	struct sks_tls_set *set;
	struct sks_traffic *traffic;
	unsigned char *early;   /* input that was read before TLS began; NULL: none */
	size_t early_size;      /* bytes in early */
	size_t early_at;        /* bytes of early that OpenSSL has read */
	size_t payload;         /* that the peer has sent since it was allowed one more message */
	struct sks_buf held;    /* records that the socket has not taken yet; no memory: none */
	size_t unreported;      /* bytes of a write that are held, and that it has not reported */
	enum sks_tls_state state;
	int fd;
	int error;              /* of a read of the socket, or why the engine has failed; 0: none */
	int send_error;         /* of a write: nothing goes out any more, but input may be left */
	int messages;           /* of the protocol that the peer may still send without payload */
	unsigned char is_drained; /* the socket had less than was asked for, in this call */
	unsigned char is_ended; /* the socket has given its end */
	unsigned char has_more; /* a read would not say EAGAIN */
	struct sks_tls_info *info; /* what was asked about the connection; NULL: nothing yet */
};

/* -- tls_engine.c -- */

/* Sets has_more, within a call that has the lock. */
void sks_tls_look(struct sks_tls_engine *e);

/* -- tls_info.c -- */

/* Frees the answers about a connection. info may be NULL. */
void sks_tls_info_free(struct sks_tls_info *info);

/* -- tls_bio.c -- */

#define SKS_TLS_MESSAGES 32    /* a peer may send so many without payload, */
#define SKS_TLS_PAYLOAD 16384  /* and one more for so many bytes of it */

/*
 * Sends what is held, as far as the socket takes it, within a call that has the lock. Returns 1
 * when nothing is held any more.
 */
int sks_tls_send_held(struct sks_tls_engine *e);

/* Makes the method of BIOs that read and write the socket of an engine. NULL: no memory. */
BIO_METHOD *sks_tls_bio_new(void);

/* A message callback of a context: counts what the peer sends beside payload. */
void sks_tls_on_message(int is_ours, int version, int type, const void *buf, size_t n, SSL *ssl,
    void *arg);

#endif
