/* SPDX-License-Identifier: MIT */
/*
 * proxy_header.h - what a proxy says in front of a connection: who its client is (the PROXY
 * protocol of HAProxy, version 1 and 2).
 *
 * This room parses bytes. The server reads them, and decides which peers it believes.
 */
#ifndef SKS_BASE_PROXY_HEADER_H
#define SKS_BASE_PROXY_HEADER_H

#include "base/addr.h"

#include <stddef.h>

#define SKS_PROXY_HEADER_MOST 4096 /* bytes of a header; a longer one is refused */

struct sks_proxy_header {
	int is_local;                /* the connection is the proxy's own: there is no other client */
	struct sks_addr source;      /* the client; len is 0 where is_local */
	struct sks_addr destination; /* where the client has connected to, likewise */
	size_t length;               /* of the whole header */
	size_t tlvs, tlvs_length;    /* where its TLVs are; they are whole and without a gap */
	int ssl_client;              /* of the TLV of TLS: PP2_CLIENT_ bits; 0 without one */
	int ssl_verified;            /* and whether the client's certificate was good */
};

enum sks_proxy_progress {
	SKS_PROXY_MORE, /* all n bytes are of the header, and it goes on behind them */
	SKS_PROXY_DONE, /* the first h->length bytes are the header */
	SKS_PROXY_BAD   /* *why is a constant that says what is wrong */
};

/* Bytes of the longest header that sks_proxy_header_format() makes. */
#define SKS_PROXY_HEADER_OURS (16 + 2 * sizeof(((struct sockaddr_un *)0)->sun_path))

/*
 * Makes a header of version 2 for a client and the address that it has connected to. It says that
 * there is no client (LOCAL) where source is NULL, and that they are unknown where they are of two
 * families. Returns its length.
 */
size_t sks_proxy_header_format(unsigned char bytes[SKS_PROXY_HEADER_OURS],
    const struct sks_addr *source, const struct sks_addr *destination);

/* Reads the header that the n bytes begin with. */
enum sks_proxy_progress sks_proxy_header_parse(const unsigned char *bytes, size_t n,
    struct sks_proxy_header *h, const char **why);

/*
 * Returns the value of the first TLV of that type, and in *n its length. Types 0x21 to 0x25 are
 * looked for in the TLV of TLS. NULL: there is none. bytes is what *h was read from.
 */
const unsigned char *sks_proxy_header_tlv(const struct sks_proxy_header *h,
    const unsigned char *bytes, int type, size_t *n);

#endif
