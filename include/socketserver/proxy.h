/* SPDX-License-Identifier: MIT */
/*
 * socketserver/proxy.h - the real client of a connection that came by a proxy.
 *
 * On an address that begins with "proxy:", as "proxy::80" or "proxy:tls::443", each
 * connection begins with a header of the PROXY protocol (version 1 or 2), as HAProxy,
 * nginx and others send it. req->peer, verify and the log have the client that it
 * names. It is believed from the networks of options.proxy_from alone: every other
 * peer is refused. A proxy has 5 seconds and 4 KiB for its header; a checksum in it
 * (CRC32c) is checked. All that stands behind the header is the client's. A
 * connection that is the proxy's own (LOCAL, UNKNOWN), as of a health check, keeps
 * the proxy as its peer; nothing else in its header counts.
 *
 * The functions are for a request, from verify to the end of finish, on its task.
 * Those that ask do not wait, and what they return lives as long as the request.
 *
 * Datagrams have no such header here: "proxy:udp:" is refused.
 */
#ifndef SOCKETSERVER_PROXY_H
#define SOCKETSERVER_PROXY_H

#include <socketserver/request.h>
#include <socketserver/stream.h>

SKS_BEGIN_DECLS

/* Types of sks_proxy_tlv(). Others, as those that are free for own use, are found as well. */
#define SKS_PROXY_ALPN 0x01        /* the protocol that the client has asked for, as "h2" */
#define SKS_PROXY_AUTHORITY 0x02   /* the name of a host that it has asked for (SNI) */
#define SKS_PROXY_UNIQUE_ID 0x05   /* up to 128 bytes, for logs */
#define SKS_PROXY_TLS_VERSION 0x21 /* "TLSv1.3" */
#define SKS_PROXY_TLS_CN 0x22      /* the common name of the client's certificate */
#define SKS_PROXY_TLS_CIPHER 0x23
#define SKS_PROXY_TLS_SIGNATURE 0x24 /* "SHA256" */
#define SKS_PROXY_TLS_KEY 0x25       /* "RSA2048" */
#define SKS_PROXY_NETWORK 0x30       /* the name of a namespace of networks */

/* Bits of sks_proxy_tls(). */
#define SKS_PROXY_TLS 1          /* the client has connected to the proxy over TLS, */
#define SKS_PROXY_CERT 2         /* has shown a certificate on this connection, */
#define SKS_PROXY_CERT_SESSION 4 /* or on one before it in the same session, */
#define SKS_PROXY_VERIFIED 8     /* and the proxy has found no fault in it */

/* Returns 1 when the connection began with a header of a proxy, else 0. */
SKS_API int sks_is_proxied(const struct sks_request *req);

/*
 * Returns the proxy's own address, from which it has connected, and in *len its
 * length; NULL and 0 when no proxy sent a header, or its socket has no name.
 */
SKS_API const struct sockaddr *sks_proxy_address(const struct sks_request *req, socklen_t *len);

/*
 * Returns the address that the client has connected to, as the proxy says, and in
 * *len its length; NULL and 0 when the proxy did not say.
 */
SKS_API const struct sockaddr *sks_proxy_destination(const struct sks_request *req,
    socklen_t *len);

/*
 * Returns the first value of that type (0 to 255) in a header of version 2, and in *n
 * its length; it has no NUL behind it, and a client may have chosen it. NULL, and
 * *n is 0, when there is none.
 */
SKS_API const void *sks_proxy_tlv(const struct sks_request *req, int type, size_t *n);

/* Returns what the proxy says of the client's TLS: SKS_PROXY_TLS and so on, or 0. */
SKS_API int sks_proxy_tls(const struct sks_request *req);

/*
 * For a handler that is a proxy itself: writes a header of version 2 with the client of req
 * and the address that it has connected to, as the first bytes to a server that
 * takes one (HAProxy: accept-proxy). Behind another proxy they are those that it has
 * told. req may be NULL: the connection is our own (LOCAL), as of a health check. It may wait
 * where a write does.
 *
 *     struct sks_client *server = sks_connect("localhost:8080", SKS_DEFAULT);
 *     if (server == NULL || sks_proxy_write_header(server->wfile, req) == -1)
 *
 * TLS begins behind it, by sks_client_start_tls().
 * Returns 0, or -1: ENOTSUP where req is a datagram; as getsockname(2) and sks_write().
 */
SKS_API int sks_proxy_write_header(struct sks_wfile *wfile, const struct sks_request *req);

SKS_END_DECLS

#endif
