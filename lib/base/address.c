/* SPDX-License-Identifier: MIT */
/*
 * Addresses for those who call bind and sendto themselves: base/addr, as far
 * as it needs no look-up.
 */
#include "base/endpoint.h"
#include "base/sys.h"

#include <errno.h>
#include <socketserver/socket.h>
#include <string.h>

int
sks_address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sks_endpoint ep;
	struct sks_addr *found;
	const char *why;
	size_t n;

	if (sks_endpoint_parse(&ep, text, &why) == -1)
		return -1;
	if (ep.is_proxy || ep.is_tls || ep.scheme->kind == SKS_DESCRIPTOR ||
	    !sks_endpoint_is_direct(&ep)) {
		errno = EINVAL;
		return -1;
	}
	found = sks_endpoint_resolve(&ep, 1, &n, &why);
	if (found == NULL)
		return -1;
	memset(addr, 0, sizeof(*addr));
	memcpy(addr, &found->u, found->len);
	*len = found->len;
	sks_sys_free(found);
	return 0;
}

char *
sks_address_format(const struct sockaddr *addr, socklen_t len, char *buf, size_t size)
{
	return sks_addr_format(addr, len, buf, size);
}
