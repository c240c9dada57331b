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
	/* All bytes of an abstract name count, NULs too; @ stands for each, as in /proc/net/unix. */
	for (i = 0; i < n; i++)
		name[i] = path[i] == '\0' ? '@' : path[i];
	snprintf(buf, size, "unix:%.*s", (int)n, name);
}

static void
format_in6(const struct sockaddr_in6 *in6, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN], scope[IF_NAMESIZE + 1] = "";
	unsigned int port = ntohs(in6->sin6_port);

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, port);
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	if (in6->sin6_scope_id != 0) {
		scope[0] = '%';
		/* The interface may be gone by now. */
		if (if_indextoname(in6->sin6_scope_id, scope + 1) == NULL)
			snprintf(scope, sizeof(scope), "%%%u", (unsigned int)in6->sin6_scope_id);
	}
	snprintf(buf, size, "[%s%s]:%u", text, scope, port);
}

char *
sks_addr_format(const struct sockaddr *addr, socklen_t len, char *buf, size_t size)
{
	struct sks_addr copy;
	char text[INET_ADDRSTRLEN];
	int saved = errno;

	/* A copy: it need not be aligned, and is complete. */
	memset(&copy, 0, sizeof(copy));
	copy.len = (socklen_t)sks_min(len, sizeof(copy.u));
	if (copy.len > 0)
		memcpy(&copy.u, addr, copy.len);
	/* A datagram from an unnamed Unix socket comes with no address at all. */
	if (copy.len == 0)
		snprintf(buf, size, "unix:");
	else if (copy.u.any.sa_family == AF_UNIX && copy.len >= PATH_AT)
		format_path(copy.u.un.sun_path,
		    sks_min(copy.len - PATH_AT, sizeof(copy.u.un.sun_path)), buf, size);
	else if (copy.u.any.sa_family == AF_INET && copy.len >= sizeof(copy.u.in)) {
		inet_ntop(AF_INET, &copy.u.in.sin_addr, text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, (unsigned int)ntohs(copy.u.in.sin_port));
	} else if (copy.u.any.sa_family == AF_INET6 && copy.len >= sizeof(copy.u.in6))
		format_in6(&copy.u.in6, buf, size);
	else
		snprintf(buf, size, "family %u", (unsigned int)copy.u.any.sa_family);
	errno = saved;
	return buf;
}
