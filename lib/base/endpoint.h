/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - an address as people write it: read from text, and resolved to
 * the addresses of the kernel.
 *
 *     [tcp:|udp:]host:port   [tcp:|udp:]:port   [tcp:|udp:][::1]:port
 *     unix:/path   unix:@abstract   unix-dgram:/path   unix-dgram:@abstract   fd:N
 *     tls: before any of them that is for connections, and proxy: before that
 */
#ifndef SKS_BASE_ENDPOINT_H
#define SKS_BASE_ENDPOINT_H

#include "base/addr.h"
#include "base/scheme.h"

#include <stddef.h>

struct addrinfo;

struct sks_endpoint {
	const struct sks_scheme *scheme;
	char host[256];       /* SKS_HOST_AND_PORT: without brackets; "" for every address */
	char port[32];        /* SKS_HOST_AND_PORT: a number or the name of a service */
	int port_number;      /* the number that port is, or -1 for the name of a service */
	int fd;               /* SKS_DESCRIPTOR */
	int is_proxy;         /* its connections begin with the header of a proxy, */
	int is_tls;           /* and are of TLS */
	/*
	 * SKS_UNIX_PATH: the address. SKS_HOST_AND_PORT: the host as an address, without the
	 * port, and without its %zone where that is a name. len is 0 where the host is a name
	 * or "".
	 */
	struct sks_addr addr;
};

#define SKS_PROXY_PREFIX "proxy:"
#define SKS_TLS_PREFIX "tls:"

/*
 * Reads text into *ep. 0, or -1 with errno EINVAL (ENAMETOOLONG for a Unix
 * path over 107 bytes) and *why set to a constant that says what is wrong:
 * "port must be 0 to 65535". A missing port is an error.
 */
int sks_endpoint_parse(struct sks_endpoint *ep, const char *text, const char **why);

/* Returns the text behind "proxy:" and "tls:", where an address begins with them. */
const char *sks_endpoint_skip_prefixes(const char *text);

/*
 * Returns the addresses of ep, of a kind other than SKS_DESCRIPTOR: an array that the
 * caller frees with sks_sys_free(), in the order to try them, without doubles, and in
 * *n their number. A passive endpoint whose host is "" gives one address, :: (for IPv4
 * and IPv6 on one socket), or 0.0.0.0 where the system has no IPv6. Blocks while names
 * are looked up. NULL, and errno ENOENT (name not found), EAGAIN (the name server
 * did not answer), ENOMEM or what getaddrinfo's EAI_SYSTEM left, and *why as
 * gai_strerror(3) says it, or strerror(3) for EAI_SYSTEM.
 */
struct sks_addr *sks_endpoint_resolve(const struct sks_endpoint *ep, int passive, size_t *n,
    const char **why);

/*
 * Returns the IPv4 and IPv6 addresses of a getaddrinfo(3) list, as above. NULL: ENOENT
 * when it has none, ENOMEM, and *why.
 */
struct sks_addr *sks_addr_list(const struct addrinfo *list, size_t *n, const char **why);

/*
 * Returns 1 when sks_endpoint_resolve() asks neither a name server nor a file, so does not block.
 */
int sks_endpoint_is_direct(const struct sks_endpoint *ep);

#endif
