/* SPDX-License-Identifier: MIT */
/*
 * RFC 6761, 6.3: localhost names are the loopback, and no name server is asked for
 * them. The C library leaves that to /etc/hosts, which small systems do not have:
 * there a name server says what localhost is, or that there is no such name, or
 * nothing for ten seconds.
 */
#include "base/lookup.h"

#include "base/sys.h"

#include <netdb.h>
#include <string.h>
#include <strings.h>

#define NAME "localhost"
#define NAME_LEN (sizeof(NAME) - 1)

int
sks_is_localhost(const char *host)
{
	size_t n = strlen(host);

	if (n > 0 && host[n - 1] == '.')
		n--;
	return n >= NAME_LEN && strncasecmp(host + n - NAME_LEN, NAME, NAME_LEN) == 0 &&
	    (n == NAME_LEN || host[n - NAME_LEN - 1] == '.');
}

/* An address without a host is the loopback, unless it is to listen on. */
static int
loopback(const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	struct addrinfo own = *hints;

	own.ai_flags &= ~(AI_PASSIVE | AI_ADDRCONFIG);
	if (service == NULL) {
		own.ai_flags |= AI_NUMERICSERV;
		service = "0";
	}
	return sks_sys_getaddrinfo(NULL, service, &own, list);
}

int
sks_lookup(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list)
{
	if (host != NULL && !(hints->ai_flags & (AI_CANONNAME | AI_NUMERICHOST)) &&
	    sks_is_localhost(host))
		return loopback(service, hints, list);
	return sks_sys_getaddrinfo(host, service, hints, list);
}

/* "Servname not supported for ai_socktype" does not tell people what to write. */
const char *
sks_lookup_why(int code)
{
	return code == EAI_SERVICE ? "the port is neither 0 to 65535 nor the name of a service" :
				     gai_strerror(code);
}
