/* SPDX-License-Identifier: MIT */
/*
 * check_addr.c - addresses as the kernel takes them: their port, and their text.
 */
#include "suite.h"
#include "base/addr.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

TEST(port_can_be_read_and_set)
{
	struct sks_addr in = { .u.in = { .sin_family = AF_INET, .sin_port = htons(80) } };
	struct sks_addr in6 = { .u.in6 = { .sin6_family = AF_INET6 } };
	struct sks_addr un = { .u.un = { .sun_family = AF_UNIX, .sun_path = "/x" } };

	ck_assert_int_eq(sks_addr_port(&in), 80);
	sks_addr_set_port(&in, 65535);
	ck_assert_int_eq(sks_addr_port(&in), 65535);
	ck_assert_int_eq(sks_addr_port(&in6), 0);
	sks_addr_set_port(&in6, 443);
	ck_assert_int_eq(sks_addr_port(&in6), 443);
	sks_addr_set_port(&un, 443);
	ck_assert_int_eq(sks_addr_port(&un), -1);
	ck_assert_str_eq(un.u.un.sun_path, "/x");
}

static const char *
format_un(const char *path, size_t n, char *to)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t at = offsetof(struct sockaddr_un, sun_path);

	memcpy(un.sun_path, path, n);
	return sks_addr_format((struct sockaddr *)&un, (socklen_t)(at + n), to, SKS_ADDR_TEXT);
}

TEST(unix_addresses_print_with_any_ending)
{
	char text[SKS_ADDR_TEXT], path[108], expected[200];

	ck_assert_str_eq(format_un("", 0, text), "unix:");
	ck_assert_str_eq(format_un("/a", 2, text), "unix:/a");
	ck_assert_str_eq(format_un("/a", 3, text), "unix:/a");
	ck_assert_str_eq(format_un("\0ab", 3, text), "unix:@ab");
	ck_assert_str_eq(format_un("\0a\0b\0", 5, text), "unix:@a@b@");
	memset(path, '/', sizeof(path));
	snprintf(expected, sizeof(expected), "unix:%.108s", path);
	ck_assert_str_eq(format_un(path, sizeof(path), text), expected);
	path[0] = '\0';
	snprintf(expected, sizeof(expected), "unix:@%.107s", path + 1);
	ck_assert_str_eq(format_un(path, sizeof(path), text), expected);
	/* Nothing at all comes with a datagram from an unnamed socket. */
	ck_assert_str_eq(sks_addr_format(NULL, 0, text, sizeof(text)), "unix:");
}

TEST(inet_addresses_print_canonically)
{
	static const struct {
		const char *address, *text;
		unsigned int scope;
	} table[] = {
		{ "::1", "[::1]:80", 0 },
		{ "::ffff:1.2.3.4", "1.2.3.4:80", 0 },
		{ "2001:DB8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:80", 0 },
		{ "0:0:0:1:0:ffff:1.2.3.4", "[::1:0:ffff:102:304]:80", 0 }, /* not an IPv4 address */
		{ "fe80::1", "[fe80::1%lo]:80", 1 },
		{ "fe80::1", "[fe80::1%4000000000]:80", 4000000000 },
	};
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	char text[SKS_ADDR_TEXT];
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		ck_assert_int_eq(inet_pton(AF_INET6, table[i].address, &in6.sin6_addr), 1);
		in6.sin6_scope_id = table[i].scope;
		errno = EDOM;
		ck_assert_str_eq(
		    sks_addr_format((struct sockaddr *)&in6, sizeof(in6), text, sizeof(text)),
		    table[i].text);
		ck_assert_int_eq(errno, EDOM);
	}
}

TEST(incomplete_and_strange_addresses_print_their_family)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	char text[SKS_ADDR_TEXT];

	ck_assert_str_eq(sks_addr_format((struct sockaddr *)&ss, 4, text, sizeof(text)), "family 2");
	ss.ss_family = AF_UNIX; /* of which one byte is there */
	sks_addr_format((struct sockaddr *)&ss, 1, text, sizeof(text));
	ck_assert_mem_eq(text, "family ", 7);
	ss.ss_family = AF_NETLINK;
	ck_assert_str_eq(sks_addr_format((struct sockaddr *)&ss, sizeof(ss), text, sizeof(text)),
	    "family 16");
}

TEST(text_is_cut_to_the_buffer)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(80) };
	char text[8] = "zzzzzzz";

	ck_assert_ptr_eq(sks_addr_format((struct sockaddr *)&in, sizeof(in), text, 4), text);
	ck_assert_str_eq(text, "0.0");
	ck_assert_int_eq(text[4], 'z');
	sks_addr_format((struct sockaddr *)&in, sizeof(in), text, 1);
	ck_assert_str_eq(text, "");
}
