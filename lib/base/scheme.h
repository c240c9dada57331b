/* SPDX-License-Identifier: MIT */
/*
 * scheme.h - the schemes of addresses ("udp:"): all that the library knows of each.
 */
#ifndef SKS_BASE_SCHEME_H
#define SKS_BASE_SCHEME_H

/* The kinds of text behind the scheme of an address. */
enum sks_address_kind { SKS_HOST_AND_PORT, SKS_UNIX_PATH, SKS_DESCRIPTOR };

/* A row of the table in scheme.c. */
struct sks_scheme {
	const char *prefix;         /* "udp:" */
	enum sks_address_kind kind;
	int type;                   /* SOCK_STREAM or SOCK_DGRAM; 0: that of the descriptor */
};

/* Returns the scheme that the text begins with, or NULL when it has none. */
const struct sks_scheme *sks_scheme_of(const char *text);

/* Returns the scheme that an address has when its text names none: tcp. */
const struct sks_scheme *sks_scheme_default(void);

/* Returns the scheme of an address as sks_addr_format() writes it, of a socket of that type. */
const struct sks_scheme *sks_scheme_of_socket(const char *formatted, int type);

#endif
