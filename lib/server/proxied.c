/* SPDX-License-Identifier: MIT */
/*
 * What a handler may ask about the proxy that its connection came by, and the header with which it
 * is a proxy itself.
 */
#include "server/proxied.h"

#include "base/sys.h"
#include "server/call.h"

#include <errno.h>
#include <socketserver/proxy.h>
#include <string.h>

static const struct sockaddr *
give(const struct sockaddr *addr, socklen_t n, socklen_t *len)
{
	*len = n;
	return n > 0 ? addr : NULL;
}

const struct sockaddr *
sks_proxy_address(const struct sks_request *req, socklen_t *len)
{
	const struct sks_proxied *p = sks_call_of(req)->proxied;

	return p != NULL ? give(p->proxy, p->proxy_len, len) : give(NULL, 0, len);
}

const struct sockaddr *
sks_proxy_destination(const struct sks_request *req, socklen_t *len)
{
	const struct sks_proxied *p = sks_call_of(req)->proxied;

	return p != NULL ? give(&p->header.destination.u.any, p->header.destination.len, len) :
			   give(NULL, 0, len);
}

const void *
sks_proxy_tlv(const struct sks_request *req, int type, size_t *n)
{
	const struct sks_proxied *p = sks_call_of(req)->proxied;
	const void *value = NULL;

	if (p != NULL)
		value = sks_proxy_header_tlv(&p->header, p->bytes, type, n);
	if (value == NULL)
		*n = 0;
	return value;
}

int
sks_proxy_tls(const struct sks_request *req)
{
	const struct sks_proxied *p = sks_call_of(req)->proxied;
	int bits = p != NULL ? p->header.ssl_client & (SKS_PROXY_TLS | SKS_PROXY_CERT |
						       SKS_PROXY_CERT_SESSION) : 0;

	return bits != 0 && p->header.ssl_verified ? bits | SKS_PROXY_VERIFIED : bits;
}

int
sks_is_proxied(const struct sks_request *req)
{
	return sks_call_of(req)->proxied != NULL;
}

/* Finds the address that the client has connected to, which the proxy or the kernel knows. */
static int
find_destination(const struct sks_request *req, struct sks_addr *addr)
{
	socklen_t len;
	const struct sockaddr *told = sks_proxy_destination(req, &len);

	addr->len = sizeof(addr->u);
	if (told == NULL)
		return sks_sys_getsockname(req->fd, &addr->u.any, &addr->len);
	memcpy(&addr->u, told, len);
	addr->len = len;
	return 0;
}

int
sks_proxy_write_header(struct sks_wfile *wfile, const struct sks_request *req)
{
	unsigned char bytes[SKS_PROXY_HEADER_OURS];
	struct sks_addr source = { 0 }, destination = { 0 };

	if (req == NULL)
		return sks_write(wfile, bytes, sks_proxy_header_format(bytes, NULL, NULL));
	if (sks_is_datagram(req)) {
		errno = ENOTSUP;
		return -1;
	}
	if (find_destination(req, &destination) == -1)
		return -1;
	source.u.any.sa_family = destination.u.any.sa_family; /* of a Unix socket without a name */
	source.len = req->peer_len;
	memcpy(&source.u, req->peer, req->peer_len);
	return sks_write(wfile, bytes, sks_proxy_header_format(bytes, &source, &destination));
}
