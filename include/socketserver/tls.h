/* SPDX-License-Identifier: MIT */
/*
 * socketserver/tls.h - TLS in streams: a handler reads and writes as on any other
 * connection, and what goes over the wire is encrypted. Python: ssl.SSLContext.
 *
 *     static struct sks_tls_options files = { .cert = "cert.pem", .key = "key.pem" };
 *     struct sks_tls *tls = sks_tls_new(SKS_TLS_SERVER, &files);
 *     struct sks_options options = { .tls = tls };
 *     return sks_serve("tls::8443", &handler, &options);
 *
 * A server with options.tls listens on "tls:host:443", "tls::443", "tls:[::1]:443",
 * "tls:unix:/path" and "tls:fd:3", beside any plain addresses. A client connects to
 * "tls:host:443" with sks_connect() or sks_connect_tls(). A plain connection becomes one
 * of TLS by sks_start_tls() or sks_client_start_tls() (STARTTLS). There is no TLS for
 * datagrams.
 *
 * The handshake runs on the request's task before setup, within handshake_ms of
 * the accept, and never stops accepting. One that fails calls neither the handler
 * nor on_error: it is a line in the log and counts in sks_stats.handshakes_failed.
 *
 * Versions 1.2 and 1.3 are spoken, the former with forward secrecy and authenticated
 * encryption alone. There is no renegotiation, no compression and no early data.
 *
 * The end. A peer's orderly end (close_notify) is an end of input. A connection that ends
 * without it was cut off, perhaps by an attacker: ECONNRESET, unless lenient_end is
 * set. Our own end is always said. A record that was tampered with, or another breach
 * of the protocol, is EPROTO.
 *
 * A descriptor tells little of a TLS connection: input may be decrypted already while
 * poll(2) sees none. sks_select() looks at an rfile; sks_wait_fd() does not.
 *
 * A library that was built without TLS (meson -Dtls=disabled) has these functions as
 * well: those that need it fail with ENOTSUP after one line in the log.
 */
#ifndef SOCKETSERVER_TLS_H
#define SOCKETSERVER_TLS_H

#include <socketserver/export.h>
#include <socketserver/request.h>
#include <socketserver/socket.h>
#include <socketserver/stream.h>
#include <stddef.h>

SKS_BEGIN_DECLS

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

struct sks_tls; /* a configuration: certificates, keys, and what is asked of peers */

/* The role of a configuration. */
#define SKS_TLS_SERVER 1
#define SKS_TLS_CLIENT 2

/* sks_tls_options.verify */
#define SKS_TLS_NO_VERIFY 1 /* the peer's certificate is not looked at */
#define SKS_TLS_OPTIONAL 2  /* a client may have none; one that it shows must be good */
#define SKS_TLS_REQUIRED 3  /* the peer must have a certificate that is good */

/* sks_tls_options.min_version */
#define SKS_TLS_1_2 0x0303
#define SKS_TLS_1_3 0x0304

/*
 * What a configuration is made of. A member that is 0 has the default that stands
 * first in its comment. Files are PEM, of at most 1 MiB. All is copied.
 */
struct sks_tls_options {
	const char *cert; /* NULL. The file of our certificate, followed by those of the chain.
	                     A server without one makes a certificate for this run, that no
	                     client trusts, and says so in the log: to try TLS with. A client
	                     needs one only where the server asks for it */
	const char *key;  /* NULL: it is in the file of the certificate. The file of the private
	                     key, without a passphrase */
	const char *ca;   /* NULL: those of the system. The file of the certificates that peers'
	                     certificates are signed by; a server that verifies clients needs
	                     it */
	const char *alpn; /* NULL: none. Application protocols, the best first: "h2,http/1.1".
	                     A client that offers none of them is refused, one that does not
	                     speak of protocols is not */
	const char *name; /* NULL: the host that is connected to. For a client: the name or the
	                     address that the server's certificate must have */
	/*
	 * NULL: nothing. Called for each SSL_CTX when all else was set, to set what is not
	 * here, also at each reload. Returns 0, or -1 with errno: then the configuration
	 * is not made.
	 */
	int (*configure)(struct ssl_ctx_st *ctx, void *data);
	void *data;       /* NULL. Handed to configure */
	int verify;       /* A server asks for no certificate, a client verifies the server's chain
	                     and name. Else SKS_TLS_NO_VERIFY, SKS_TLS_OPTIONAL or
	                     SKS_TLS_REQUIRED */
	int min_version;  /* SKS_TLS_1_2. Or SKS_TLS_1_3 */
	int handshake_ms; /* 10,000. Until the handshake is through; SKS_OFF: no limit */
	int watch_s;      /* 0. Not 0: so many seconds after the last look, a new connection has
	                     the files looked at, and read again where one has changed */
	int lenient_end;  /* 0. Not 0: an end without close_notify is an end of input */
	int no_tickets;   /* 0. Not 0: a server gives no ticket to resume a session with; else it
	                     gives one */
};

/*
 * Makes a configuration: reads and checks all files. options may be NULL. A certificate that has
 * expired or is not valid yet is refused, as is a key that does not belong to it.
 * Blocks for the files. Returns it, or NULL after one line in the log that names the file:
 *   EINVAL   an option is out of its range, or a file is not what it should be
 *   ENOTSUP  the library was built without TLS
 *   E2BIG    the program was compiled with newer headers than this library's
 *   ENOENT, EACCES, ENOMEM, ...   as open(2) and read(2) say; what configure said
 */
static inline struct sks_tls *sks_tls_new(int role, const struct sks_tls_options *options);

/*
 * Adds a certificate for other names: a client that asks for one of the names in
 * it gets it (SNI). A name may begin with a wildcard, as "*.example.org". A client that
 * asks for none of the names gets the first certificate. key may be NULL, as in the options.
 * Connections that come later get it. Blocks for the files. Any thread may call it.
 * Returns 0, or -1 after one line in the log, and nothing has changed: as sks_tls_new().
 */
SKS_API int sks_tls_add(struct sks_tls *tls, const char *cert, const char *key);

/*
 * Reads all files again, for the connections that come later. When one of them is not good
 * nothing changes. One line in the log for each certificate tells its subject and when it
 * expires. Blocks for the files. Any thread may call it; where a server forks (SKS_PROCESSES)
 * its own thread should, as in on_tick: a fork copies the locks of other threads.
 * Returns 0, or -1 after one line in the log: as sks_tls_new().
 */
SKS_API int sks_tls_reload(struct sks_tls *tls);

/*
 * Frees a configuration. Servers and connections that use it keep it until they
 * end. NULL is fine. Any thread may call it.
 */
SKS_API void sks_tls_free(struct sks_tls *tls);

/*
 * Makes the plain connection of a request one of TLS, with options.tls: flushes what was
 * written, and shakes hands. Input that was read but not taken is the beginning of the
 * handshake and never reaches the handler: lines that were sent in the clear behind the
 * command that starts TLS make it fail. May wait, for handshake_ms.
 * Returns 0, or -1 after one line in the log, which EALREADY, EBUSY, ECANCELED and a request that
 * is no connection need not have. But for EINVAL, EALREADY, ENOTSUP and EBUSY the connection is
 * broken then:
 *   EINVAL    the server has no options.tls
 *   EALREADY  it is one of TLS
 *   ENOTSUP   the request is no connection, or the library was built without TLS
 *   EBUSY     another task uses the streams
 *   EPROTO    the peer does not speak TLS, or nothing that is allowed here
 *   EKEYREJECTED  its certificate is not good
 *   ECONNRESET, EPIPE, ...   as recv(2) and send(2) say
 *   ETIMEDOUT, ECANCELED, ENOMEM   as all calls that may wait
 */
SKS_API int sks_start_tls(struct sks_request *req);

/*
 * The same for a client. tls may be NULL: the server's chain is verified by the system's
 * certificates. name is what the server's certificate must have, and may be NULL where
 * tls has a name or does not verify. May wait.
 * Returns 0, or -1 after one line in the log: as sks_start_tls(). EINVAL when there is no
 * name to verify, or the configuration is a server's; ENOTSUP when the client has not
 * both streams of a connection.
 */
SKS_API int sks_client_start_tls(struct sks_client *client, struct sks_tls *tls,
    const char *name);

/*
 * Connects as sks_connect() does, with or without "tls:" before the address, and shakes
 * hands, all within timeout_ms. tls is a client's configuration, or NULL: the
 * system's certificates. The name that the server's certificate must have is that of
 * the configuration, else the host of the address; a Unix socket has no host. May wait.
 * Returns the client, or NULL after one line in the log: as sks_connect() and
 * sks_client_start_tls().
 */
SKS_API struct sks_client *sks_connect_tls(const char *address, struct sks_tls *tls,
    int timeout_ms) SKS_MUST_CHECK;

/*
 * As sks_connect_tls(), but without a line in the log: why gets what it would have said, cut
 * to size bytes, as sks_connect_quiet() has it. May wait.
 * Returns the client, or NULL as sks_connect_tls().
 */
SKS_API struct sks_client *sks_connect_tls_quiet(const char *address, struct sks_tls *tls,
    int timeout_ms, char *why, size_t size) SKS_MUST_CHECK;

/*
 * Tell of the TLS of a connection, by its rfile: the version ("TLSv1.3"), the cipher, the
 * application protocol that was agreed on, and the server's name that the client has asked for.
 * They return a string that lives as long as the connection, or NULL: it is
 * plain, or there is none.
 */
SKS_API const char *sks_tls_version(const struct sks_rfile *rfile);
SKS_API const char *sks_tls_cipher(const struct sks_rfile *rfile);
SKS_API const char *sks_tls_alpn(const struct sks_rfile *rfile);
SKS_API const char *sks_tls_server_name(const struct sks_rfile *rfile);

/*
 * Tell of the peer's certificate: its subject ("CN=alice,O=Example", by RFC 2253), the i-th
 * (0, 1, ...) of its names ("alice.example.org", "192.0.2.1" or "alice@example.org"), and the
 * SHA-256 of it in 64 hexadecimal digits. Text of a peer: sks_escape() it for a log.
 * They return a string that lives as long as the connection, or NULL: the peer has no
 * certificate, there is no such name, or there is no memory.
 */
SKS_API const char *sks_tls_peer_subject(const struct sks_rfile *rfile);
SKS_API const char *sks_tls_peer_name(const struct sks_rfile *rfile, unsigned int i);
SKS_API const char *sks_tls_peer_fingerprint(const struct sks_rfile *rfile);

/* What the inline function calls: it adds the size of the struct, as those of server.h do. */
SKS_API struct sks_tls *sks_tls_new_abi(int role, const struct sks_tls_options *options,
    size_t options_size);

static inline struct sks_tls *
sks_tls_new(int role, const struct sks_tls_options *options)
{
	return sks_tls_new_abi(role, options, sizeof(*options));
}

SKS_END_DECLS

#endif
