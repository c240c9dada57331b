/* SPDX-License-Identifier: MIT */
/*
 * check_proxy_header.c - headers of proxies: what each says, cut at each byte, and such as are
 * refused.
 */
#include "suite.h"

#include "base/network.h"
#include "base/proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s) (s), sizeof(s) - 1

struct header {
	const char *name;
	const char *bytes;
	size_t n;
	const char *source; /* NULL: it is refused */
	const char *destination;
};

static char room[4096 + 16];

static const char *
text_of(const struct sks_addr *addr, char *buf)
{
	return addr->len > 0 ? sks_addr_format(&addr->u.any, addr->len, buf, SKS_ADDR_TEXT) : "";
}

static enum sks_proxy_progress
parse(const void *bytes, size_t n, struct sks_proxy_header *h)
{
	unsigned char *exact = malloc(n > 0 ? n : 1); /* so that a tool sees a read beyond them */
	enum sks_proxy_progress progress;
	const char *why = NULL;

	memcpy(exact, bytes, n);
	progress = sks_proxy_header_parse(exact, n, h, &why);
	ck_assert_int_eq(why != NULL, progress == SKS_PROXY_BAD);
	free(exact);
	return progress;
}

static const struct header good[] = {
	{ "v1, IPv4", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), "192.0.2.1:56324",
	    "198.51.100.2:443" },
	{ "v1, IPv6", BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "[2001:db8::1]:0",
	    "[2001:db8::2]:65535" },
	{ "v1, unknown", BYTES("PROXY UNKNOWN\r\n"), "", "" },
	{ "v1, unknown with words", BYTES("PROXY UNKNOWN ff::1 any thing 1\r\n"), "", "" },
	{ "v2, local", BYTES(V2 "\x20\x00\0\0"), "", "" },
	{ "v2, local with addresses", BYTES(V2 "\x20\x11\0\x0c" "aaaabbbbccdd"), "", "" },
	{ "v2, local without the addresses of its family", BYTES(V2 "\x20\x11\0\0"), "", "" },
	{ "v2, local of another family", BYTES(V2 "\x20\x41\0\1" "a"), "", "" },
	{ "v2, local with what is no TLV", BYTES(V2 "\x20\x00\0\2" "ab"), "", "" },
	{ "v2, no family", BYTES(V2 "\x21\x00\0\0"), "", "" },
	{ "v2, IPv4", BYTES(V2 "\x21\x11\0\x0c" "\xc0\0\2\1" "\xc6\x33\x64\2" "\xdc\4" "\1\xbb"),
	    "192.0.2.1:56324", "198.51.100.2:443" },
	{ "v2, IPv6", BYTES(V2 "\x21\x21\0\x24"
	    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2" "\0\1\0\2"),
	    "[2001:db8::1]:1", "[2001:db8::2]:2" },
	{ "v2, a TLV", BYTES(V2 "\x21\x11\0\x14" "\xc0\0\2\1" "\xc6\x33\x64\2" "\xdc\4" "\1\xbb"
	    "\2\0\5" "a.com"), "192.0.2.1:56324", "198.51.100.2:443" },
};

TEST(a_header_says_who_the_client_is, EACH_OF(good))
{
	const struct header *g = &good[_i];
	char source[SKS_ADDR_TEXT], destination[SKS_ADDR_TEXT];
	struct sks_proxy_header h;
	size_t n;

	for (n = 0; n < g->n; n++)
		ck_assert_int_eq(parse(g->bytes, n, &h), SKS_PROXY_MORE);
	memcpy(room, g->bytes, g->n);
	memcpy(room + g->n, "PROXY", 5); /* what follows is none of its business */
	ck_assert_int_eq(parse(room, g->n + 5, &h), SKS_PROXY_DONE);
	ck_assert_uint_eq(h.length, g->n);
	ck_assert_int_eq(h.is_local, g->source[0] == '\0');
	ck_assert_str_eq(text_of(&h.source, source), g->source);
	ck_assert_str_eq(text_of(&h.destination, destination), g->destination);
}

static const struct header bad[] = {
	{ .name = "HTTP", BYTES("GET ") },
	{ .name = "lower case", BYTES("proxy ") },
	{ .name = "no space", BYTES("PROXYTCP4") },
	{ .name = "LF alone", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n") },
	{ .name = "a NUL", BYTES("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n") },
	{ .name = "nothing", BYTES("PROXY \r\n") },
	{ .name = "another protocol", BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n") },
	{ .name = "IPv6 as IPv4", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n") },
	{ .name = "IPv4 as IPv6", BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n") },
	{ .name = "no address", BYTES("PROXY TCP4\r\n") },
	{ .name = "one address", BYTES("PROXY TCP4 1.2.3.4\r\n") },
	{ .name = "a word less", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n") },
	{ .name = "a word more", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n") },
	{ .name = "a space more", BYTES("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n") },
	{ .name = "a large port", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n") },
	{ .name = "a port of six digits", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 100000 2\r\n") },
	{ .name = "a signed port", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n") },
	{ .name = "zeroes in front", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n") },
	{ .name = "a long address", BYTES("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n") },
	{ .name = "version 1 of the bytes", BYTES(V2 "\x11\x11\0\x0c") },
	{ .name = "another command", BYTES(V2 "\x22\x11\0\x0c") },
	{ .name = "another family", BYTES(V2 "\x21\x41\0\0") },
	{ .name = "a datagram", BYTES(V2 "\x21\x12\0\x0c" "aaaabbbbccdd") },
	{ .name = "shorter than its addresses", BYTES(V2 "\x21\x11\0\x0b" "aaaabbbbccd") },
	{ .name = "over 4 KiB", BYTES(V2 "\x21\x11\x0f\xf1") },
	{ .name = "a TLV that is cut", BYTES(V2 "\x21\x11\0\x10" "aaaabbbbccdd" "\2\0\2a") },
	{ .name = "a TLV without length", BYTES(V2 "\x21\x11\0\x0e" "aaaabbbbccdd" "\2\0") },
	{ .name = "a short TLV of TLS", BYTES(V2 "\x21\x11\0\x13" "aaaabbbbccdd" "\x20\0\4" "aaaa") },
	{ .name = "a short checksum", BYTES(V2 "\x21\x11\0\x11" "aaaabbbbccdd" "\3\0\2aa") },
	{ .name = "a wrong checksum", BYTES(V2 "\x21\x11\0\x13" "aaaabbbbccdd" "\3\0\4aaaa") },
};

TEST(what_is_no_header_is_refused, EACH_OF(bad))
{
	struct sks_proxy_header h;

	ck_assert_int_eq(parse(bad[_i].bytes, bad[_i].n, &h), SKS_PROXY_BAD);
}

TEST(a_line_may_have_107_bytes_and_no_more)
{
	struct sks_proxy_header h;

	memset(room, 'x', sizeof(room));
	memcpy(room, "PROXY UNKNOWN ", 14);
	ck_assert_int_eq(parse(room, 106, &h), SKS_PROXY_MORE);
	ck_assert_int_eq(parse(room, 107, &h), SKS_PROXY_BAD);
	memcpy(room + 105, "\r\n", 2);
	ck_assert_int_eq(parse(room, 107, &h), SKS_PROXY_DONE);
	memcpy(room + 105, "xx\r\n", 4);
	ck_assert_int_eq(parse(room, 109, &h), SKS_PROXY_BAD);
}

TEST(a_header_of_4_kib_is_the_longest)
{
	struct sks_proxy_header h;

	memset(room, 0, sizeof(room));
	memcpy(room, V2 "\x21\x11\x0f\xf0", 16);
	memcpy(room + 28, "\4\x0f\xe1", 3); /* what is there to be skipped */
	ck_assert_int_eq(parse(room, 4095, &h), SKS_PROXY_MORE);
	ck_assert_int_eq(parse(room, 4096, &h), SKS_PROXY_DONE);
}

/* Made by hand: the checksum as RFC 3720 has it, of all bytes with zeroes in its own place. */
TEST(the_checksum_is_that_of_castagnoli)
{
	static const char header[] = V2 "\x21\x11\0\x13" "\xc0\0\2\1" "\xc6\x33\x64\2" "\xdc\4"
	    "\1\xbb" "\3\0\4" "\x20\xec\x95\x49";
	struct sks_proxy_header h;
	size_t i;

	ck_assert_int_eq(parse(header, sizeof(header) - 1, &h), SKS_PROXY_DONE);
	for (i = 16; i < sizeof(header) - 1; i++) { /* no byte may change */
		if (i == 28) /* but the type: then there is no checksum */
			continue;
		memcpy(room, header, sizeof(header) - 1);
		room[i] ^= 0x10;
		ck_assert_int_eq(parse(room, sizeof(header) - 1, &h), SKS_PROXY_BAD);
	}
}

TEST(the_checksum_has_the_bytes_behind_it_too)
{
	static const char header[] = V2 "\x21\x11\0\x1b" "\xc0\0\2\1" "\xc6\x33\x64\2" "\xdc\4"
	    "\1\xbb" "\3\0\4" "\x2e\xde\xb1\x8a" "\2\0\5" "a.com";
	struct sks_proxy_header h;

	ck_assert_int_eq(parse(header, sizeof(header) - 1, &h), SKS_PROXY_DONE);
	memcpy(room, header, sizeof(header) - 1);
	room[sizeof(header) - 2] = 'n';
	ck_assert_int_eq(parse(room, sizeof(header) - 1, &h), SKS_PROXY_BAD);
}

static const char with_tlvs[] = V2 "\x21\x11\0\x38" "aaaabbbbccdd"
    "\1\0\2" "h2" "\2\0\5" "a.com" "\x20\0\x15" "\3\0\0\0\0" "\x21\0\7" "TLSv1.3" "\x22\0\3" "joe"
    "\4\0\1" "x" "\x05\0\0";

static void
expect_tlv(const struct sks_proxy_header *h, int type, const char *want)
{
	size_t n;
	const unsigned char *value =
	    sks_proxy_header_tlv(h, (const unsigned char *)with_tlvs, type, &n);

	if (want == NULL) {
		ck_assert_ptr_null(value);
		return;
	}
	ck_assert_ptr_nonnull(value);
	ck_assert_uint_eq(n, strlen(want));
	ck_assert_mem_eq(value, want, n);
}

TEST(values_are_found_by_type)
{
	struct sks_proxy_header h;

	ck_assert_int_eq(parse(with_tlvs, sizeof(with_tlvs) - 1, &h), SKS_PROXY_DONE);
	expect_tlv(&h, 1, "h2");
	expect_tlv(&h, 2, "a.com");
	expect_tlv(&h, 4, "x");
	expect_tlv(&h, 5, "");
	expect_tlv(&h, 0x21, "TLSv1.3");
	expect_tlv(&h, 0x22, "joe");
	expect_tlv(&h, 0x23, NULL);
	expect_tlv(&h, 0x30, NULL);
	ck_assert_int_eq(h.ssl_client, 3);
	ck_assert_int_eq(h.ssl_verified, 1);
}

/* Such a header is taken: its values are looked at only when a handler asks for them. */
TEST(a_tlv_of_tls_that_is_cut_within_has_no_values)
{
	static const unsigned char header[] = V2 "\x21\x11\0\x18" "aaaabbbbccdd"
	    "\x20\0\x9" "\3\0\0\0\0" "\x21\0\2" "T";
	struct sks_proxy_header h;
	size_t n;

	ck_assert_int_eq(parse(header, sizeof(header) - 1, &h), SKS_PROXY_DONE);
	ck_assert_ptr_null(sks_proxy_header_tlv(&h, header, 0x21, &n));
}

TEST(unix_addresses_are_paths_or_abstract_names)
{
	struct sks_proxy_header h;
	char text[SKS_ADDR_TEXT];

	memset(room, 0, sizeof(room));
	memcpy(room, V2 "\x21\x31\0\xd8", 16);
	strcpy(room + 16, "/run/client");
	memcpy(room + 16 + 108, "\0name", 5);
	ck_assert_int_eq(parse(room, 16 + 216, &h), SKS_PROXY_DONE);
	ck_assert_str_eq(text_of(&h.source, text), "unix:/run/client");
	ck_assert_str_eq(text_of(&h.destination, text), "unix:@name");
	memset(room + 16, 0, 216);
	ck_assert_int_eq(parse(room, 16 + 216, &h), SKS_PROXY_DONE);
	ck_assert_str_eq(text_of(&h.source, text), "unix:");
}

/* -- networks -- */

static int
have(const char *list, const char *host)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sks_networks networks;
	const char *why;
	int rc;

	if (sks_networks_parse(&networks, list, &why) == -1) {
		ck_assert_int_eq(errno, EINVAL);
		return -1;
	}
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
		rc = sks_networks_have(&networks, (struct sockaddr *)&in, sizeof(in));
	else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
		rc = sks_networks_have(&networks, (struct sockaddr *)&in6, sizeof(in6));
	else
		rc = sks_networks_have(&networks, NULL, 0);
	sks_networks_free(&networks);
	return rc;
}

static const struct question {
	const char *list, *host;
	int answer;
} questions[] = {
	{ "10.0.0.0/8", "10.255.0.1", 1 },
	{ "10.0.0.0/8", "11.0.0.1", 0 },
	{ "10.0.0.0/8", "::ffff:10.0.0.1", 1 },
	{ "10.0.0.0/8", "a00::", 0 },
	{ "192.0.2.128/25", "192.0.2.128", 1 },
	{ "192.0.2.128/25", "192.0.2.127", 0 },
	{ "192.0.2.1", "192.0.2.1", 1 },
	{ "192.0.2.1", "192.0.2.0", 0 },
	{ "0.0.0.0/0", "1.2.3.4", 1 },
	{ "0.0.0.0/0", "::1", 0 },
	{ "::/0", "1.2.3.4", 1 },
	{ "::1, 192.0.2.1", "192.0.2.1", 1 },
	{ "2001:db8::/33", "2001:db8:7fff::1", 1 },
	{ "2001:db8::/33", "2001:db8:8000::1", 0 },
	{ "unix", "unix", 1 },
	{ "::/0", "unix", 0 },
	{ "unix", "1.2.3.4", 0 },
	{ "", "1.2.3.4", 0 },
	{ NULL, "unix", 0 },
	{ "10.0.0.0/33", "", -1 },
	{ "::1/129", "", -1 },
	{ "10.0.0.0/", "", -1 },
	{ "10.0.0.0/8x", "", -1 },
	{ "10.0.0.0/-1", "", -1 },
	{ "proxy.example", "", -1 },
	{ "unix,10.0.0", "", -1 },
};

TEST(an_address_is_in_a_network_or_not)
{
	size_t i;

	for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		ck_assert_msg(have(questions[i].list, questions[i].host) == questions[i].answer,
		    "%s in %s", questions[i].host, questions[i].list);
}

static void
put(struct sks_addr *addr, const char *text)
{
	struct in6_addr in6;

	memset(addr, 0, sizeof(*addr));
	if (strcmp(text, "unnamed") == 0) {
		addr->u.un.sun_family = AF_UNIX;
		addr->len = offsetof(struct sockaddr_un, sun_path);
	} else if (strcmp(text, "machine") == 0) {
		addr->u.any.sa_family = AF_VSOCK;
		addr->len = sizeof(addr->u.any);
	} else if (text[0] == '/' || text[0] == '@') {
		addr->u.un.sun_family = AF_UNIX;
		strcpy(addr->u.un.sun_path, text);
		if (text[0] == '@')
			addr->u.un.sun_path[0] = '\0';
		addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text) +
		    (text[0] == '/'));
	} else if (strchr(text, ':') != NULL) {
		ck_assert_int_eq(inet_pton(AF_INET6, text, &in6), 1);
		sks_addr_set_in6(addr, &in6);
	} else
		sks_addr_set_in(addr, ntohl(inet_addr(text)));
	sks_addr_set_port(addr, 4711);
}

static const struct pair {
	const char *source, *destination;
	const char *read; /* the source that a server reads; "" where there is none */
} pairs[] = {
	{ "192.0.2.1", "198.51.100.2", "192.0.2.1:4711" },
	{ "2001:db8::1", "::1", "[2001:db8::1]:4711" },
	{ "/run/client", "/run/server", "unix:/run/client" },
	{ "@client", "/run/server", "unix:@client" },
	{ "unnamed", "/run/server", "unix:" },
	{ "192.0.2.1", "::1", "" },
	{ "machine", "machine", "" }, /* of a family that the protocol does not have */
};

TEST(what_we_write_is_read_again, EACH_OF(pairs))
{
	unsigned char bytes[SKS_PROXY_HEADER_OURS];
	struct sks_addr source, destination;
	char read[SKS_ADDR_TEXT], want[SKS_ADDR_TEXT];
	struct sks_proxy_header h;
	size_t n;

	put(&source, pairs[_i].source);
	put(&destination, pairs[_i].destination);
	n = sks_proxy_header_format(bytes, &source, &destination);
	ck_assert_int_eq(parse(bytes, n, &h), SKS_PROXY_DONE);
	ck_assert_uint_eq(h.length, n);
	ck_assert_str_eq(text_of(&h.source, read), pairs[_i].read);
	if (pairs[_i].read[0] != '\0')
		ck_assert_str_eq(text_of(&h.destination, read), text_of(&destination, want));
	n = sks_proxy_header_format(bytes, NULL, NULL);
	ck_assert_int_eq(parse(bytes, n, &h), SKS_PROXY_DONE);
	ck_assert_int_eq(h.is_local, 1);
}

/* The kernel says of such a path that it has 109 bytes, with a NUL for which there is no room. */
TEST(a_path_of_108_bytes_is_written_whole)
{
	struct {
		unsigned char bytes[SKS_PROXY_HEADER_OURS];
		unsigned char behind;
	} got = { .behind = 0xee };
	struct sks_addr addr = { .len = sizeof(struct sockaddr_un) + 1 };
	struct sks_proxy_header h;
	char read[SKS_ADDR_TEXT];
	size_t n;

	addr.u.un.sun_family = AF_UNIX;
	memset(addr.u.un.sun_path, 'x', sizeof(addr.u.un.sun_path));
	addr.u.un.sun_path[0] = '/';
	n = sks_proxy_header_format(got.bytes, &addr, &addr);
	ck_assert_uint_eq(n, sizeof(got.bytes));
	ck_assert_uint_eq(got.behind, 0xee);
	ck_assert_int_eq(parse(got.bytes, n, &h), SKS_PROXY_DONE);
	ck_assert_uint_eq(strlen(text_of(&h.source, read)), strlen("unix:") + 108);
	ck_assert_uint_eq(strlen(text_of(&h.destination, read)), strlen("unix:") + 108);
}
