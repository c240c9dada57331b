/* SPDX-License-Identifier: MIT */
/*
 * lookup.h - names to addresses, by the system's resolver; but localhost is this
 * machine.
 */
#ifndef SKS_BASE_LOOKUP_H
#define SKS_BASE_LOOKUP_H

struct addrinfo;

/* Returns 1 for "localhost" and names below it, in any case of letters; else 0. */
int sks_is_localhost(const char *host);

/*
 * getaddrinfo(3), which may block. The addresses of localhost are those of the
 * loopback, and neither a file nor a name server is asked for them; only for its
 * canonical name (AI_CANONNAME) they are.
 */
int sks_lookup(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list);

/* Returns a code of sks_lookup() in words: those of gai_strerror(3), but for a wrong port. */
const char *sks_lookup_why(int code);

#endif
