/* SPDX-License-Identifier: MIT */
/*
 * What a handler may ask about the proxy that its connection came by.
 */
#include "server/proxied.h"

#include "server/call.h"

#include <socketserver/proxy.h>

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
