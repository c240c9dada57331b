/* SPDX-License-Identifier: MIT */
/*
 * addr.h - addresses as people write them, and as the kernel takes them.
 *
 *     [tcp:|udp:]host:port   [tcp:|udp:]:port   [tcp:|udp:][::1]:port
 *     unix:/path   unix:@abstract   unix-dgram:/path   unix-dgram:@abstract   fd:N
 */
#ifndef SKS_BASE_ADDR_H
#define SKS_BASE_ADDR_H

#include <netinet/in.h>
#include <stddef.h>
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

enum sks_scheme { SKS_TCP, SKS_UDP, SKS_UNIX, SKS_UNIX_DGRAM, SKS_FD };

struct sks_endpoint {
	enum sks_scheme scheme;
	char host[256];  /* without brackets; "" for every address */
	char port[32];   /* a number or a service name */
	struct sks_addr path; /* SKS_UNIX, SKS_UNIX_DGRAM */
	int fd;          /* SKS_FD */
};

/*
 * Reads text into *ep. 0, or -1 with errno EINVAL (ENAMETOOLONG for a Unix
 * path over 107 bytes) and *why set to a constant that says what is wrong:
 * "port must be 0 to 65535". A missing port is an error.
 */
int sks_endpoint_parse(struct sks_endpoint *ep, const char *text, const char **why);

/* SOCK_STREAM or SOCK_DGRAM for a scheme other than SKS_FD. */
int sks_scheme_type(enum sks_scheme scheme);

/*
 * The addresses of ep (tcp, udp, unix): an array that the caller frees with
 * sks_sys_free(), in the order to try them, without doubles, and their number. A
 * passive ("" host) endpoint gives one address, :: (for IPv4 and IPv6 on one
 * socket), or 0.0.0.0 where the system has no IPv6. Blocks while names are
 * looked up. NULL, and errno ENOENT (name not found), EAGAIN (the name server
 * did not answer), ENOMEM or what getaddrinfo's EAI_SYSTEM left, and *why as
 * gai_strerror(3) says it, or strerror(3) for EAI_SYSTEM.
 */
struct sks_addr *sks_endpoint_resolve(const struct sks_endpoint *ep, int passive, size_t *n,
    const char **why);

/*
 * The IPv4 and IPv6 addresses of a getaddrinfo(3) list, as above. NULL: ENOENT
 * when it has none, ENOMEM, and *why.
 */
struct addrinfo;
struct sks_addr *sks_addr_list(const struct addrinfo *list, size_t *n, const char **why);

/* Would that need neither a name server nor a file, and so not block? */
int sks_endpoint_is_direct(const struct sks_endpoint *ep);

/* The port in host order, or -1 where the family has none; and setting it. */
int sks_addr_port(const struct sks_addr *addr);
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

#endif
