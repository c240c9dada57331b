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

/* What stands behind the scheme of an address. */
enum sks_address_kind { SKS_HOST_AND_PORT, SKS_UNIX_PATH, SKS_DESCRIPTOR };

/* A row of the table in addr.c, which has all that the library knows of a scheme. */
struct sks_scheme {
	const char *prefix;         /* "udp:" */
	enum sks_address_kind kind;
	int type;                   /* SOCK_STREAM or SOCK_DGRAM; 0: that of the descriptor */
};

struct sks_endpoint {
	const struct sks_scheme *scheme;
	char host[256];       /* SKS_HOST_AND_PORT: without brackets; "" for every address */
	char port[32];        /* likewise: a number or a service name */
	struct sks_addr path; /* SKS_UNIX_PATH */
	int fd;               /* SKS_DESCRIPTOR */
};

/* The scheme that the text begins with. NULL: it has none, and is taken as tcp: */
const struct sks_scheme *sks_scheme_of(const char *text);

/* The scheme of an address as sks_addr_format() writes it, of a socket of that type. */
const struct sks_scheme *sks_scheme_of_socket(const char *formatted, int type);

/*
 * Reads text into *ep. 0, or -1 with errno EINVAL (ENAMETOOLONG for a Unix
 * path over 107 bytes) and *why set to a constant that says what is wrong:
 * "port must be 0 to 65535". A missing port is an error.
 */
int sks_endpoint_parse(struct sks_endpoint *ep, const char *text, const char **why);

/*
 * The addresses of ep, of a kind other than SKS_DESCRIPTOR: an array that the caller frees with
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
