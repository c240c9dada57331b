/* SPDX-License-Identifier: MIT */
/*
 * proxy_headers.h - what the suites of connections behind a proxy share: headers, and a handler
 * that says what it is told of its client.
 */
#ifndef SKS_TEST_PROXY_HEADERS_H
#define SKS_TEST_PROXY_HEADERS_H

#include "acceptance.h"

#define BYTES(s) (s), sizeof(s) - 1
#define V1 "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
#define V2_START "\r\n\r\n\0\r\nQUIT\n"
#define V2_IPV6 V2_START "\x21\x21\0\x4e" "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2" "\0\7\0\x50" \
    "\2\0\5" "a.com" "\1\0\2" "h2" "\5\0\2" "id" "\x20\0\x15" "\7\0\0\0\0" "\x21\0\7" "TLSv1.3" \
    "\x22\0\3" "joe"
#define V2_LOCAL V2_START "\x20\0\0\0"

/* What the handler below says of the client of V1, and of that of V2_IPV6. */
#define TOLD_V1 "1 192.0.2.1:56324 to 198.51.100.2:443 by 127.0.0.1 none none none none none 0\n"
#define TOLD_V2 "1 [2001:db8::1]:7 to [2001:db8::2]:80 by 127.0.0.1 a.com h2 id TLSv1.3 joe 15\n"

struct proxy_header {
	const char *name;
	const char *bytes;
	size_t n;
	const char *told; /* the first line of the handler */
};

/* V1 and V2_IPV6. */
extern const struct proxy_header proxy_headers[2];

/* Says in a line what it knows of its client, and then writes lines back. */
extern const struct sks_handler proxy_told;

/* acc_serve() on an address of a proxy, which is believed if it is of this machine. */
void proxy_serve(struct acc *acc, int mode, const struct sks_handler *handler,
    struct sks_options *options);

#endif
