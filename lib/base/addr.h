/* SPDX-License-Identifier: MIT */
/*
 * addr.h - an address as the kernel takes it, and how people write it.
 */
#ifndef SKS_BASE_ADDR_H
#define SKS_BASE_ADDR_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct sks_addr {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* Make *addr the address of that host, without a port. The IPv4 address is in host order. */
void sks_addr_set_in(struct sks_addr *addr, uint32_t host);
void sks_addr_set_in6(struct sks_addr *addr, const struct in6_addr *host);

/* Returns the port in host order, or -1 for a family that has none. */
int sks_addr_port(const struct sks_addr *addr);

/* Sets the port, given in host order. An address of a family without ports stays as it is. */
void sks_addr_set_port(struct sks_addr *addr, int port);

/*
 * Writes the address as people write it: "127.0.0.1:80", "[::1]:80" (a
 * v4-mapped address as IPv4, a scope as %name), "unix:/path", "unix:@name",
 * "unix:" for an unnamed Unix socket (also when len is 0), "family 16" for
 * what it does not know. The text is cut to size - 1 bytes and ends in NUL.
 * Keeps errno. Returns buf.
 */
char *sks_addr_format(const struct sockaddr *addr, socklen_t len, char *buf, size_t size);
#define SKS_ADDR_TEXT 160 /* room for any of them */

/*
 * Writes the host alone, without brackets; "" for an address that has no host. Otherwise
 * as sks_addr_format().
 */
char *sks_addr_host(const struct sockaddr *addr, socklen_t len, char *buf, size_t size);
#define SKS_ADDR_HOST 64 /* room for any of them */

/* Returns the port in host order, or -1 for an address that has none. */
int sks_addr_port_of(const struct sockaddr *addr, socklen_t len);

#endif
