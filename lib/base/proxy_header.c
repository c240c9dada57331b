/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, as https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt has it.
 *
 * Nothing is guessed: what does not begin as a header does is refused at its first byte.
 */
#include "base/proxy_header.h"

#include "base/util.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define V1_MOST 107 /* bytes of a line, its end included */
#define V2_START 16 /* bytes before the addresses */
#define TLV_START 3 /* type and length */
#define TLV_CRC32C 0x03
#define TLV_SSL 0x20
#define SSL_START 5 /* client and verify, before the TLVs within */

static const unsigned char v1_signature[] = { 'P', 'R', 'O', 'X', 'Y', ' ' };
static const unsigned char v2_signature[] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U',
	'I', 'T', '\n' };

static enum sks_proxy_progress
bad(const char **why, const char *what)
{
	*why = what;
	return SKS_PROXY_BAD;
}

static size_t
number(const unsigned char *p, size_t bytes)
{
	size_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | *p++;
	return n;
}

/* -- version 1: a line -- */

/* Takes the word up to the next space, or up to the end, which it makes a string. NULL: none. */
static char *
next_word(char **at)
{
	char *word = *at, *space;

	if (word == NULL || word[0] == '\0')
		return NULL;
	space = strchr(word, ' ');
	if (space != NULL)
		*space++ = '\0';
	*at = space;
	return word;
}

/* Returns 0 to 65535, or -1: the text has a sign, a zero in front, or is no number. */
static int
read_port(const char *text)
{
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
	int port;

	if (digits == 0 || digits > 5 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
		return -1;
	port = atoi(text);
	return port <= UINT16_MAX ? port : -1;
}

static int
read_address(struct sks_addr *addr, int family, const char *host, const char *port)
{
	struct in6_addr in6;
	struct in_addr in;
	int number = read_port(port);

	if (host == NULL || number == -1)
		return -1;
	if (family == AF_INET && inet_pton(AF_INET, host, &in) == 1)
		sks_addr_set_in(addr, ntohl(in.s_addr));
	else if (family == AF_INET6 && inet_pton(AF_INET6, host, &in6) == 1)
		sks_addr_set_in6(addr, &in6);
	else
		return -1;
	sks_addr_set_port(addr, number);
	return 0;
}

static enum sks_proxy_progress
read_line(char *line, struct sks_proxy_header *h, const char **why)
{
	char *at = line, *protocol = next_word(&at), *source, *destination, *port;
	int family;

	if (protocol != NULL && strcmp(protocol, "UNKNOWN") == 0) {
		h->is_local = 1; /* the rest is to be ignored */
		return SKS_PROXY_DONE;
	}
	if (protocol == NULL || (strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0))
		return bad(why, "neither TCP4, TCP6 nor UNKNOWN");
	family = protocol[3] == '4' ? AF_INET : AF_INET6;
	source = next_word(&at);
	destination = next_word(&at);
	port = next_word(&at);
	if (read_address(&h->source, family, source, port) == -1 ||
	    read_address(&h->destination, family, destination, next_word(&at)) == -1 || at != NULL)
		return bad(why, "not two addresses and two ports of that family");
	return SKS_PROXY_DONE;
}

static enum sks_proxy_progress
parse_v1(const unsigned char *bytes, size_t n, struct sks_proxy_header *h, const char **why)
{
	const unsigned char *end = memchr(bytes, '\n', sks_min(n, V1_MOST));
	char line[V1_MOST];
	size_t start = sizeof(v1_signature), length;

	if (end == NULL)
		return n < V1_MOST ? SKS_PROXY_MORE : bad(why, "a line of over 107 bytes");
	h->length = (size_t)(end - bytes) + 1;
	if (end[-1] != '\r')
		return bad(why, "a line that does not end in CR LF");
	length = h->length - 2 - start;
	if (memchr(bytes + start, '\0', length) != NULL)
		return bad(why, "a NUL in the line");
	memcpy(line, bytes + start, length);
	line[length] = '\0';
	return read_line(line, h, why);
}

/* -- version 2: bytes -- */

/* Returns the CRC-32C of the header, with zeroes for the four bytes at `at`. */
static uint32_t
crc32c(const unsigned char *bytes, size_t n, size_t at)
{
	uint32_t crc = ~UINT32_C(0);
	size_t i;
	int bit;

	for (i = 0; i < n; i++) {
		crc ^= i >= at && i < at + 4 ? 0 : bytes[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & -(crc & 1));
	}
	return ~crc;
}

/* Looks at one TLV of the header. */
static int
is_good_tlv(struct sks_proxy_header *h, const unsigned char *bytes, size_t at, size_t length)
{
	switch (bytes[at - TLV_START]) {
	case TLV_CRC32C:
		return length == 4 && number(bytes + at, 4) == crc32c(bytes, h->length, at);
	case TLV_SSL:
		if (length < SSL_START)
			return 0;
		h->ssl_client = bytes[at];
		h->ssl_verified = number(bytes + at + 1, 4) == 0;
		return 1;
	default:
		return 1;
	}
}

/* Returns 1 when these bytes are TLVs without a gap. Each is looked at, if h is not NULL. */
static int
are_tlvs(struct sks_proxy_header *h, const unsigned char *bytes, size_t at, size_t end)
{
	while (at < end) {
		size_t length;

		if (end - at < TLV_START)
			return 0;
		length = number(bytes + at + 1, 2);
		at += TLV_START;
		if (length > end - at || (h != NULL && !is_good_tlv(h, bytes, at, length)))
			return 0;
		at += length;
	}
	return 1;
}

static void
set_inet(struct sks_addr *addr, int family, const unsigned char *host, const unsigned char *port)
{
	struct in6_addr in6;

	if (family == AF_INET)
		sks_addr_set_in(addr, (uint32_t)number(host, 4));
	else {
		memcpy(&in6, host, sizeof(in6));
		sks_addr_set_in6(addr, &in6);
	}
	sks_addr_set_port(addr, (int)number(port, 2));
}

/* The 108 bytes of a path, which a NUL ends, or of an abstract name. */
static void
set_unix(struct sks_addr *addr, const unsigned char *path)
{
	size_t most = sizeof(addr->u.un.sun_path), n = most;

	memset(addr, 0, sizeof(*addr));
	addr->u.un.sun_family = AF_UNIX;
	memcpy(addr->u.un.sun_path, path, most);
	if (path[0] != '\0')
		n = sks_min(strnlen(addr->u.un.sun_path, most) + 1, most);
	else
		while (n > 0 && path[n - 1] == '\0')
			n--;
	addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* The bytes of addresses behind V2_START for each family and type; -1: there is no such pair. */
static int
addresses_length(int family)
{
	switch (family) {
	case 0x00:
		return 0;
	case 0x11:
	case 0x12:
		return 12;
	case 0x21:
	case 0x22:
		return 36;
	case 0x31:
	case 0x32:
		return 2 * (int)sizeof(((struct sockaddr_un *)0)->sun_path);
	default:
		return -1;
	}
}

static void
read_addresses(const unsigned char *at, int family, struct sks_proxy_header *h)
{
	size_t host = family == 0x11 ? 4 : 16;

	if (family == 0x31) {
		set_unix(&h->source, at);
		set_unix(&h->destination, at + sizeof(h->source.u.un.sun_path));
	} else {
		int inet = family == 0x11 ? AF_INET : AF_INET6;

		set_inet(&h->source, inet, at, at + 2 * host);
		set_inet(&h->destination, inet, at + host, at + 2 * host + 2);
	}
}

static enum sks_proxy_progress
read_v2(const unsigned char *bytes, struct sks_proxy_header *h, const char **why)
{
	int family = bytes[13], addresses = addresses_length(family);

	h->is_local = (bytes[12] & 0xf) == 0 || family == 0x00;
	if ((bytes[12] & 0xf) == 0)
		return SKS_PROXY_DONE; /* the rest is to be ignored, its family too */
	if (addresses == -1)
		return bad(why, "an unknown family");
	if (!h->is_local && (family & 0xf) != 1)
		return bad(why, "of a datagram");
	if (h->length < V2_START + (size_t)addresses)
		return bad(why, "shorter than its addresses");
	if (!h->is_local)
		read_addresses(bytes + V2_START, family, h);
	h->tlvs = V2_START + (size_t)addresses;
	h->tlvs_length = h->length - h->tlvs;
	if (!are_tlvs(h, bytes, h->tlvs, h->length))
		return bad(why, "a TLV that is cut, or a wrong checksum");
	return SKS_PROXY_DONE;
}

static enum sks_proxy_progress
parse_v2(const unsigned char *bytes, size_t n, struct sks_proxy_header *h, const char **why)
{
	if (n < V2_START)
		return SKS_PROXY_MORE;
	if (bytes[12] >> 4 != 2)
		return bad(why, "of another version");
	if ((bytes[12] & 0xf) > 1)
		return bad(why, "an unknown command");
	h->length = V2_START + number(bytes + 14, 2);
	if (h->length > SKS_PROXY_HEADER_MOST)
		return bad(why, "longer than 4 KiB");
	return n < h->length ? SKS_PROXY_MORE : read_v2(bytes, h, why);
}

static int
begins_with(const unsigned char *bytes, size_t n, const unsigned char *signature, size_t length)
{
	return memcmp(bytes, signature, sks_min(n, length)) == 0;
}

enum sks_proxy_progress
sks_proxy_header_parse(const unsigned char *bytes, size_t n, struct sks_proxy_header *h,
    const char **why)
{
	memset(h, 0, sizeof(*h));
	if (begins_with(bytes, n, v2_signature, sizeof(v2_signature)))
		return parse_v2(bytes, n, h, why);
	if (!begins_with(bytes, n, v1_signature, sizeof(v1_signature)))
		return bad(why, "no header");
	return n < sizeof(v1_signature) ? SKS_PROXY_MORE : parse_v1(bytes, n, h, why);
}

/* Returns the value of the first TLV of that type in bytes[at..end). */
static const unsigned char *
find(const unsigned char *bytes, size_t at, size_t end, int type, size_t *n)
{
	for (; at < end; at += TLV_START + *n) {
		*n = number(bytes + at + 1, 2);
		if (bytes[at] == type)
			return bytes + at + TLV_START;
	}
	return NULL;
}

const unsigned char *
sks_proxy_header_tlv(const struct sks_proxy_header *h, const unsigned char *bytes, int type,
    size_t *n)
{
	size_t end = h->tlvs + h->tlvs_length;
	const unsigned char *ssl;

	if (type <= TLV_SSL || type > TLV_SSL + 5)
		return find(bytes, h->tlvs, end, type, n);
	ssl = find(bytes, h->tlvs, end, TLV_SSL, n);
	if (ssl == NULL || !are_tlvs(NULL, ssl, SSL_START, *n))
		return NULL;
	return find(ssl, SSL_START, *n, type, n);
}

/* -- version 2, written -- */

static unsigned char *
put(unsigned char *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

/*
 * A path, or an abstract name, with NULs behind it. The kernel counts a NUL behind a path that
 * fills sun_path, where there is no room for it.
 */
static unsigned char *
put_unix(unsigned char *at, const struct sks_addr *addr)
{
	size_t start = offsetof(struct sockaddr_un, sun_path), most = sizeof(addr->u.un.sun_path);
	size_t n = addr->len > start ? sks_min(addr->len - start, most) : 0;

	memset(at, 0, most);
	memcpy(at, addr->u.un.sun_path, n);
	return at + most;
}

/* Puts both addresses, and their family into *family. Returns the end of what it has put. */
static unsigned char *
put_addresses(unsigned char *at, unsigned char *family, const struct sks_addr *source,
    const struct sks_addr *destination)
{
	if (source->u.any.sa_family != destination->u.any.sa_family)
		return at;
	switch (source->u.any.sa_family) {
	case AF_INET:
		*family = 0x11;
		at = put(at, &source->u.in.sin_addr, 4);
		at = put(at, &destination->u.in.sin_addr, 4);
		at = put(at, &source->u.in.sin_port, 2);
		return put(at, &destination->u.in.sin_port, 2);
	case AF_INET6:
		*family = 0x21;
		at = put(at, &source->u.in6.sin6_addr, 16);
		at = put(at, &destination->u.in6.sin6_addr, 16);
		at = put(at, &source->u.in6.sin6_port, 2);
		return put(at, &destination->u.in6.sin6_port, 2);
	case AF_UNIX:
		*family = 0x31;
		return put_unix(put_unix(at, source), destination);
	default:
		return at;
	}
}

size_t
sks_proxy_header_format(unsigned char bytes[SKS_PROXY_HEADER_OURS], const struct sks_addr *source,
    const struct sks_addr *destination)
{
	unsigned char *start = bytes + V2_START, *end = start;

	memcpy(bytes, v2_signature, sizeof(v2_signature));
	bytes[12] = source == NULL ? 0x20 : 0x21;
	bytes[13] = 0;
	if (source != NULL)
		end = put_addresses(start, &bytes[13], source, destination);
	bytes[14] = 0;
	bytes[15] = (unsigned char)(end - start);
	return (size_t)(end - bytes);
}
