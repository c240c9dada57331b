/* SPDX-License-Identifier: MIT */
/*
 * network.h - a list of networks as people write it, "10.0.0.0/8,::1,unix", and whether an
 * address is in it.
 */
#ifndef SKS_BASE_NETWORK_H
#define SKS_BASE_NETWORK_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

struct sks_network {
	struct in6_addr host; /* an IPv4 one is v4-mapped */
	int bits;             /* of these count */
};

/* A list without a network is all zeroes. */
struct sks_networks {
	struct sks_network *all;
	size_t n;
	int with_unix; /* peers of Unix sockets are in it */
};

/*
 * Reads a list; text may be NULL. 0, or -1 with errno: EINVAL, and *why a constant that says what
 * is wrong; ENOMEM.
 */
int sks_networks_parse(struct sks_networks *networks, const char *text, const char **why);

/* Frees what the list has, which is empty then. Keeps errno. */
void sks_networks_free(struct sks_networks *networks);

/* Returns 1 when the list has the address. A len of 0 is a Unix socket without a name. */
int sks_networks_have(const struct sks_networks *networks, const struct sockaddr *addr,
    socklen_t len);

#endif
