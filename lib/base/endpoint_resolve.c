/* SPDX-License-Identifier: MIT */
/*
 * endpoint_resolve.c - from an endpoint to the addresses of the kernel.
 *
 * Names are asked without AI_ADDRCONFIG. It hides ::1 from "localhost" where
 * no interface has an IPv6 address that is routed, and both loopbacks on a
 * machine whose network is down; then a server that is asked for localhost is
 * missing on the one address that its client tries. An address that the system
 * lists but does not have shows at bind or connect, with an errno of its own.
 */
#include "base/endpoint.h"

#include "base/lookup.h"
#include "base/sys.h"
#include "base/why.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>

/*
 * Returns 1 when the system has IPv6. Without memory or descriptors that can not be
 * known, and then IPv6 is the better guess: the caller's own socket call will say
 * what is wrong.
 */
static int
has_ipv6(void)
{
	int fd = sks_sys_socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
	sks_sys_close(fd);
	return 1;
}

/* Sets *why and errno for a code of getaddrinfo(3). Returns -1. */
static int
fail(int code, const char **why)
{
	*why = sks_lookup_why(code);
	switch (code) {
	case EAI_SYSTEM:
		if (errno == 0)
			errno = EIO;
		*why = strerror(errno);
		break;
	case EAI_MEMORY:
		errno = ENOMEM;
		break;
	case EAI_AGAIN:
		errno = EAGAIN;
		break;
	default:
		errno = ENOENT;
		break;
	}
	return -1;
}

static struct addrinfo *
look_up(const struct sks_endpoint *ep, const char *host, const char *port, int passive,
    const char **why)
{
	struct addrinfo hints, *list;
	int code;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = ep->scheme->type;
	hints.ai_flags = passive ? AI_PASSIVE : 0;
	errno = 0;
	code = sks_lookup(host, port, &hints, &list);
	if (code == 0)
		return list;
	fail(code, why);
	return NULL;
}

static int
is_inet(const struct addrinfo *ai)
{
	return (ai->ai_family == AF_INET && ai->ai_addrlen == sizeof(struct sockaddr_in)) ||
	    (ai->ai_family == AF_INET6 && ai->ai_addrlen == sizeof(struct sockaddr_in6));
}

/* Returns the port of ep, which the system's list of services may have to tell; -1: it does not. */
static int
resolve_port(const struct sks_endpoint *ep, const char **why)
{
	int port = ep->port_number;
	struct addrinfo *list;
	struct sks_addr addr;

	if (port != -1)
		return port;
	if ((list = look_up(ep, NULL, ep->port, 0, why)) == NULL)
		return -1;
	/* Without a host the list has the loopback's addresses alone, IPv4 or IPv6. */
	memcpy(&addr.u, list->ai_addr, list->ai_addrlen);
	port = sks_addr_port(&addr);
	freeaddrinfo(list);
	return port;
}

/* Takes a host that is an address, and looks up the interface that its scope names. 1, or -1. */
static int
numeric_host(struct sks_addr *addr, const struct sks_endpoint *ep, const char **why)
{
	const char *scope = strchr(ep->host, '%');

	*addr = ep->addr;
	if (scope == NULL || addr->u.in6.sin6_scope_id != 0)
		return 1;
	addr->u.in6.sin6_scope_id = if_nametoindex(scope + 1);
	if (addr->u.in6.sin6_scope_id != 0)
		return 1;
	return sks_refuse(ENOENT, why, "no network interface has the name after %");
}

/* Finds the addresses that need no look-up. Returns how many: up to two, 0 for a name, or -1. */
static int
direct_addresses(struct sks_addr addrs[2], const struct sks_endpoint *ep, int passive,
    const char **why)
{
	if (ep->host[0] != '\0')
		return ep->addr.len > 0 ? numeric_host(&addrs[0], ep, why) : 0;
	if (!passive) {
		sks_addr_set_in6(&addrs[0], &in6addr_loopback);
		sks_addr_set_in(&addrs[1], INADDR_LOOPBACK);
		return 2;
	}
	if (has_ipv6())
		sks_addr_set_in6(&addrs[0], &in6addr_any);
	else
		sks_addr_set_in(&addrs[0], INADDR_ANY);
	return 1;
}

static struct sks_addr *
new_addresses(size_t n, const char **why)
{
	struct sks_addr *addrs = sks_sys_calloc(n, sizeof(*addrs));

	if (addrs == NULL)
		fail(EAI_MEMORY, why);
	return addrs;
}

/* Copies the addresses of the list, without doubles. Returns how many they are. */
static size_t
copy_list(struct sks_addr *addrs, const struct addrinfo *list)
{
	const struct addrinfo *ai;
	size_t n = 0, i;

	for (ai = list; ai != NULL; ai = ai->ai_next) {
		if (!is_inet(ai))
			continue;
		for (i = 0; i < n; i++)
			if (addrs[i].len == ai->ai_addrlen &&
			    memcmp(&addrs[i].u, ai->ai_addr, ai->ai_addrlen) == 0)
				break;
		if (i < n)
			continue;
		memcpy(&addrs[n].u, ai->ai_addr, ai->ai_addrlen);
		addrs[n++].len = ai->ai_addrlen;
	}
	return n;
}

struct sks_addr *
sks_addr_list(const struct addrinfo *list, size_t *n, const char **why)
{
	const struct addrinfo *ai;
	struct sks_addr *addrs = NULL;
	size_t most = 0;

	for (ai = list; ai != NULL; ai = ai->ai_next)
		most++;
	if (most > 0 && (addrs = new_addresses(most, why)) == NULL)
		return NULL;
	*n = copy_list(addrs, list);
	if (*n > 0)
		return addrs;
	sks_sys_free(addrs);
	fail(EAI_NONAME, why);
	return NULL;
}

static struct sks_addr *
resolve_name(const struct sks_endpoint *ep, int passive, size_t *n, const char **why)
{
	struct addrinfo *list = look_up(ep, ep->host, NULL, passive, why);
	struct sks_addr *addrs;

	if (list == NULL)
		return NULL;
	addrs = sks_addr_list(list, n, why);
	freeaddrinfo(list);
	return addrs;
}

struct sks_addr *
sks_endpoint_resolve(const struct sks_endpoint *ep, int passive, size_t *n, const char **why)
{
	struct sks_addr direct[2], *addrs;
	size_t i;
	int port = 0, found = 1;

	if (ep->scheme->kind == SKS_DESCRIPTOR) {
		sks_refuse(EINVAL, why, "a descriptor has no address to look up");
		return NULL;
	}
	if (ep->scheme->kind == SKS_UNIX_PATH)
		direct[0] = ep->addr;
	else if ((port = resolve_port(ep, why)) == -1 ||
	    (found = direct_addresses(direct, ep, passive, why)) == -1)
		return NULL;
	if (found == 0)
		addrs = resolve_name(ep, passive, n, why);
	else if ((addrs = new_addresses((size_t)found, why)) != NULL) {
		*n = (size_t)found;
		memcpy(addrs, direct, *n * sizeof(*addrs));
	}
	for (i = 0; addrs != NULL && i < *n; i++)
		sks_addr_set_port(&addrs[i], port);
	return addrs;
}
