/* SPDX-License-Identifier: MIT */
#include "base/addr.h"

#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

void
sks_addr_set_in(struct sks_addr *addr, uint32_t host)
{
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->u.in);
	addr->u.in.sin_family = AF_INET;
	addr->u.in.sin_addr.s_addr = htonl(host);
}

void
sks_addr_set_in6(struct sks_addr *addr, const struct in6_addr *host)
{
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->u.in6);
	addr->u.in6.sin6_family = AF_INET6;
	addr->u.in6.sin6_addr = *host;
}

int
sks_addr_port(const struct sks_addr *addr)
{
	switch (addr->u.any.sa_family) {
	case AF_INET:
		return ntohs(addr->u.in.sin_port);
	case AF_INET6:
		return ntohs(addr->u.in6.sin6_port);
	default:
		return -1;
	}
}

void
sks_addr_set_port(struct sks_addr *addr, int port)
{
	if (addr->u.any.sa_family == AF_INET)
		addr->u.in.sin_port = htons((uint16_t)port);
	else if (addr->u.any.sa_family == AF_INET6)
		addr->u.in6.sin6_port = htons((uint16_t)port);
}

/* The n bytes of sun_path; it has no NUL when all 108 are used. */
static void
format_path(const char *path, size_t n, char *buf, size_t size)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	size_t i;

	if (n > 0 && path[0] != '\0') {
		snprintf(buf, size, "unix:%.*s", (int)strnlen(path, n), path);
		return;
	}
	/*
	 * All bytes of an abstract name count, NULs too; @ stands for each, as in /proc/net/unix.
	 */
	for (i = 0; i < n; i++)
		name[i] = path[i] == '\0' ? '@' : path[i];
	snprintf(buf, size, "unix:%.*s", (int)n, name);
}

static void
format_host6(const struct sockaddr_in6 *in6, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN], scope[IF_NAMESIZE + 1] = "";

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text));
		snprintf(buf, size, "%s", text);
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	if (in6->sin6_scope_id != 0) {
		scope[0] = '%';
		/* The interface may be gone by now. */
		if (if_indextoname(in6->sin6_scope_id, scope + 1) == NULL)
			snprintf(scope, sizeof(scope), "%%%u", (unsigned int)in6->sin6_scope_id);
	}
	snprintf(buf, size, "%s%s", text, scope);
}

/* The copy need not be aligned where it comes from, and is complete. */
static void
copy_addr(struct sks_addr *copy, const struct sockaddr *addr, socklen_t len)
{
	memset(copy, 0, sizeof(*copy));
	copy->len = (socklen_t)sks_min(len, sizeof(copy->u));
	if (copy->len > 0)
		memcpy(&copy->u, addr, copy->len);
}

static int
is_in(const struct sks_addr *addr)
{
	return addr->len >= sizeof(addr->u.in) && addr->u.any.sa_family == AF_INET;
}

static int
is_in6(const struct sks_addr *addr)
{
	return addr->len >= sizeof(addr->u.in6) && addr->u.any.sa_family == AF_INET6;
}

char *
sks_addr_host(const struct sockaddr *addr, socklen_t len, char *buf, size_t size)
{
	struct sks_addr copy;
	char text[INET_ADDRSTRLEN];
	int saved = errno;

	copy_addr(&copy, addr, len);
	if (is_in(&copy)) {
		inet_ntop(AF_INET, &copy.u.in.sin_addr, text, sizeof(text));
		snprintf(buf, size, "%s", text);
	} else if (is_in6(&copy))
		format_host6(&copy.u.in6, buf, size);
	else
		snprintf(buf, size, "%s", "");
	errno = saved;
	return buf;
}

int
sks_addr_port_of(const struct sockaddr *addr, socklen_t len)
{
	struct sks_addr copy;

	copy_addr(&copy, addr, len);
	return is_in(&copy) || is_in6(&copy) ? sks_addr_port(&copy) : -1;
}

char *
sks_addr_format(const struct sockaddr *addr, socklen_t len, char *buf, size_t size)
{
	struct sks_addr copy;
	char host[SKS_ADDR_HOST];
	int saved = errno;

	copy_addr(&copy, addr, len);
	/* A datagram from an unnamed Unix socket comes with no address at all. */
	if (copy.len == 0)
		snprintf(buf, size, "unix:");
	else if (copy.u.any.sa_family == AF_UNIX && copy.len >= PATH_AT)
		format_path(copy.u.un.sun_path,
		    sks_min(copy.len - PATH_AT, sizeof(copy.u.un.sun_path)), buf, size);
	else if (is_in(&copy) || is_in6(&copy)) {
		sks_addr_host(addr, len, host, sizeof(host));
		snprintf(buf, size, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host,
		    sks_addr_port(&copy));
	} else
		snprintf(buf, size, "family %u", (unsigned int)copy.u.any.sa_family);
	errno = saved;
	return buf;
}
