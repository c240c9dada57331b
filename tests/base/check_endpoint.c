/* SPDX-License-Identifier: MIT */
/*
 * check_endpoint.c - addresses as people write them: what is read from the text, and the kernel's
 * addresses that it stands for.
 */
#include "faults.h"
#include "suite.h"
#include "base/endpoint.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static void
clear(void)
{
	sks_fault_clear();
}

FIXTURE(clear, clear);

static struct sks_endpoint
parse(const char *text)
{
	struct sks_endpoint ep;
	const char *why = "";

	ck_assert_msg(sks_endpoint_parse(&ep, text, &why) == 0, "\"%s\": %s", text, why);
	return ep;
}

/* The addresses of text, as text, with spaces between; or the errno's text. */
static const char *
resolve(const char *text, int passive, char *to, size_t size)
{
	struct sks_endpoint ep = parse(text);
	struct sks_addr *addrs;
	char one[SKS_ADDR_TEXT];
	const char *why = NULL;
	size_t n, i, used = 0;

	addrs = sks_endpoint_resolve(&ep, passive, &n, &why);
	if (addrs == NULL) {
		ck_assert_ptr_nonnull(why);
		ck_assert_str_ne(why, "");
		snprintf(to, size, "%s", strerror(errno));
		return to;
	}
	ck_assert_uint_gt(n, 0);
	to[0] = '\0';
	for (i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(to + used, size - used, "%s%s", i > 0 ? " " : "",
		    sks_addr_format(&addrs[i].u.any, addrs[i].len, one, sizeof(one)));
	sks_sys_free(addrs);
	return to;
}

static const char *
repeat(char *to, const char *prefix, char c, size_t n, const char *suffix)
{
	size_t at = strlen(prefix);

	memcpy(to, prefix, at);
	memset(to + at, c, n);
	strcpy(to + at + n, suffix);
	return to;
}

TEST(inet_endpoints_have_scheme_host_and_port)
{
	static const struct {
		const char *text;
		const char *scheme;
		const char *host, *port;
	} table[] = {
		{ "localhost:2525", "tcp:", "localhost", "2525" },
		{ "tcp:localhost:2525", "tcp:", "localhost", "2525" },
		{ "udp:localhost:2525", "udp:", "localhost", "2525" },
		{ ":80", "tcp:", "", "80" },
		{ "tcp::80", "tcp:", "", "80" },
		{ "udp::23000", "udp:", "", "23000" },
		{ "[::1]:80", "tcp:", "::1", "80" },
		{ "[::]:0", "tcp:", "::", "0" },
		{ "udp:[fe80::1%lo]:80", "udp:", "fe80::1%lo", "80" },
		{ "[::ffff:127.0.0.1]:80", "tcp:", "::ffff:127.0.0.1", "80" },
		{ "127.0.0.1:65535", "tcp:", "127.0.0.1", "65535" },
		{ "a-b.example_1.:http", "tcp:", "a-b.example_1.", "http" },
		{ ":3com-tsmux", "tcp:", "", "3com-tsmux" },
		{ ":00080", "tcp:", "", "00080" },
		{ "b\xc3\xbc""cher.example:80", "tcp:", "b\xc3\xbc""cher.example", "80" },
		{ "TCP:80", "tcp:", "TCP", "80" },
	};
	struct sks_endpoint ep;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		ep = parse(table[i].text);
		ck_assert_str_eq(ep.scheme->prefix, table[i].scheme);
		ck_assert_str_eq(ep.host, table[i].host);
		ck_assert_str_eq(ep.port, table[i].port);
	}
}

TEST(bad_endpoints_are_refused_with_a_reason)
{
	static const struct {
		const char *text;
		const char *why; /* a part of it */
	} table[] = {
		{ "", "port is missing" }, { "localhost", "port is missing" },
		{ "localhost:", "port is missing" }, { ":", "port is missing" },
		{ "tcp:", "port is missing" }, { "tcp:80", "port is missing" },
		{ "udp:", "port is missing" }, { "80", "port is missing" },
		{ "[::1]", "port is missing" }, { "[::1]:", "port is missing" },
		{ ":65536", "0 to 65535" }, { ":99999999999999999999", "0 to 65535" },
		{ ":-1", "0 to 65535" }, { ":+80", "0 to 65535" }, { ": 80", "0 to 65535" },
		{ ":80 ", "0 to 65535" }, { ":80\n", "0 to 65535" }, { ":8/tcp", "0 to 65535" },
		{ ":1.5", "0 to 65535" }, { ":80~", "0 to 65535" },
		{ ":abcdefghijabcdefghijabcdefghijab", "too long" },
		{ "::1:80", "brackets" }, { "::1", "brackets" }, { "fe80::1%lo:80", "brackets" },
		{ "a:b:80", "brackets" },
		{ "[::1:80", "] is missing" }, { "[", "] is missing" },
		{ "[::1]80", "after ]" }, { "[::1] :80", "after ]" },
		{ "[]:80", "IPv6" }, { "[localhost]:80", "IPv6" }, { "[127.0.0.1]:80", "IPv6" },
		{ "[::1%]:80", "IPv6" }, { "[%lo]:80", "IPv6" }, { "[:::]:80", "IPv6" },
		{ "[1111:2222:3333:4444:5555:6666:255.255.255.2551]:80", "IPv6" },
		{ "[::1 ]:80", "character" }, { "[::1/64]:80", "character" },
		{ "a\x7f:80", "character" },
		{ "lo cal:80", "character" }, { "a\tb:80", "character" }, { "/tmp/x:80", "character" },
		{ "http://x:80", "character" }, { "a]:80", "character" }, { "me@host:80", "character" },
		{ "unix:", "begin with" }, { "unix:relative", "begin with" }, { "unix:80", "begin with" },
		{ "unix:/", "no name" }, { "unix:@", "no name" }, { "unix-dgram:@", "no name" },
		{ "unix-dgram:x", "begin with" },
		{ "fd:", "descriptor" }, { "fd:-1", "descriptor" }, { "fd:+3", "descriptor" },
		{ "fd: 3", "descriptor" }, { "fd:3x", "descriptor" }, { "fd:2147483648", "descriptor" },
		{ "fd:18446744073709551619", "descriptor" }, { "fd:0x3", "descriptor" },
	};
	struct sks_endpoint ep;
	const char *why;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		why = "";
		errno = 0;
		ck_assert_msg(sks_endpoint_parse(&ep, table[i].text, &why) == -1,
		    "\"%s\" was taken", table[i].text);
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_msg(strstr(why, table[i].why) != NULL, "\"%s\": %s", table[i].text, why);
	}
}

TEST(host_name_has_255_bytes_at_most)
{
	struct sks_endpoint ep;
	const char *why;
	char text[400];

	ep = parse(repeat(text, "", 'a', 255, ":80"));
	ck_assert_uint_eq(strlen(ep.host), 255);
	ck_assert_int_eq(sks_endpoint_parse(&ep, repeat(text, "", 'a', 256, ":80"), &why), -1);
	ck_assert_int_eq(errno, EINVAL);
}

TEST(descriptors_are_numbers)
{
	ck_assert_int_eq(parse("fd:0").fd, 0);
	ck_assert_int_eq(parse("fd:3").fd, 3);
	ck_assert_int_eq(parse("fd:2147483647").fd, INT_MAX);
	ck_assert_int_eq(parse("fd:3").scheme->kind, SKS_DESCRIPTOR);
	ck_assert_int_eq(parse(":80").fd, -1);
}

TEST(unix_path_ends_in_nul_and_has_107_bytes_at_most)
{
	struct sks_endpoint ep = parse("unix:/tmp/x");
	const char *why;
	char text[200];

	ck_assert_str_eq(ep.scheme->prefix, "unix:");
	ck_assert_int_eq(ep.addr.u.un.sun_family, AF_UNIX);
	ck_assert_str_eq(ep.addr.u.un.sun_path, "/tmp/x");
	ck_assert_uint_eq(ep.addr.len, offsetof(struct sockaddr_un, sun_path) + 7);
	ck_assert_str_eq(parse("unix-dgram:/tmp/x").scheme->prefix, "unix-dgram:");

	ep = parse(repeat(text, "unix:/", 'x', 106, ""));
	ck_assert_uint_eq(ep.addr.len, sizeof(struct sockaddr_un));
	ck_assert_int_eq(ep.addr.u.un.sun_path[107], '\0');
	ck_assert_int_eq(sks_endpoint_parse(&ep, repeat(text, "unix:/", 'x', 107, ""), &why), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}

TEST(abstract_name_counts_exactly)
{
	struct sks_endpoint ep = parse("unix:@name");
	const char *why;
	char text[200];

	ck_assert_mem_eq(ep.addr.u.un.sun_path, "\0name", 5);
	ck_assert_uint_eq(ep.addr.len, offsetof(struct sockaddr_un, sun_path) + 5);
	ep = parse(repeat(text, "unix:@", 'x', 107, ""));
	ck_assert_uint_eq(ep.addr.len, sizeof(struct sockaddr_un));
	ck_assert_int_eq(ep.addr.u.un.sun_path[107], 'x');
	ck_assert_int_eq(sks_endpoint_parse(&ep, repeat(text, "unix:@", 'x', 108, ""), &why), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}

/* The kernel's own view of it: bound as parsed, and told as written. */
TEST(bound_abstract_socket_has_the_name_as_written)
{
	struct sks_endpoint ep;
	struct sks_addr bound = { .len = sizeof(bound.u) };
	char name[100], text[SKS_ADDR_TEXT];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(name, sizeof(name), "unix:@check_endpoint.%ld", (long)getpid());
	ep = parse(name);
	ck_assert_int_eq(bind(fd, &ep.addr.u.any, ep.addr.len), 0);
	ck_assert_int_eq(getsockname(fd, &bound.u.any, &bound.len), 0);
	ck_assert_uint_eq(bound.len, ep.addr.len);
	ck_assert_str_eq(sks_addr_format(&bound.u.any, bound.len, text, sizeof(text)), name);
	close(fd);
}

TEST(scheme_says_the_socket_type)
{
	ck_assert_int_eq(sks_scheme_of("tcp:x:1")->type, SOCK_STREAM);
	ck_assert_int_eq(sks_scheme_of("unix:/x")->type, SOCK_STREAM);
	ck_assert_int_eq(sks_scheme_of("udp:x:1")->type, SOCK_DGRAM);
	ck_assert_int_eq(sks_scheme_of("unix-dgram:/x")->type, SOCK_DGRAM);
	ck_assert_ptr_null(sks_scheme_of("localhost:1"));
}

TEST(the_address_and_type_of_a_socket_say_its_scheme)
{
	ck_assert_str_eq(sks_scheme_of_socket("127.0.0.1:1", SOCK_STREAM)->prefix, "tcp:");
	ck_assert_str_eq(sks_scheme_of_socket("[::1]:1", SOCK_DGRAM)->prefix, "udp:");
	ck_assert_str_eq(sks_scheme_of_socket("unix:/x", SOCK_STREAM)->prefix, "unix:");
	ck_assert_str_eq(sks_scheme_of_socket("unix:@x", SOCK_DGRAM)->prefix, "unix-dgram:");
}

TEST(addresses_resolve_to_themselves)
{
	static const struct {
		const char *text;
		int passive;
		const char *result;
	} table[] = {
		{ "127.0.0.1:80", 0, "127.0.0.1:80" },
		{ "127.0.0.1:80", 1, "127.0.0.1:80" },
		{ "0.0.0.0:0", 1, "0.0.0.0:0" },
		{ "[::1]:65535", 0, "[::1]:65535" },
		{ "[::0001]:00080", 1, "[::1]:80" },
		{ "[::ffff:10.0.0.1]:80", 0, "10.0.0.1:80" },
		{ "[fe80::1%lo]:80", 0, "[fe80::1%lo]:80" },
		{ "[fe80::1%1]:80", 0, "[fe80::1%lo]:80" },
		{ "[fe80::1%4000000]:80", 0, "[fe80::1%4000000]:80" },
		{ ":80", 0, "[::1]:80 127.0.0.1:80" },
		{ ":domain", 0, "[::1]:53 127.0.0.1:53" },
		{ "udp::domain", 0, "[::1]:53 127.0.0.1:53" },
		{ "127.0.0.1:http", 0, "127.0.0.1:80" },
		{ "unix:/tmp/x", 1, "unix:/tmp/x" },
		{ "unix:@x", 0, "unix:@x" },
		{ "[fe80::1%nosuchif]:80", 0, "No such file or directory" },
		{ ":nosuchservice", 1, "No such file or directory" },
		{ "fd:3", 1, "Invalid argument" },
	};
	char got[500];
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		/* /etc/services is not everywhere. */
		if ((strstr(table[i].text, ":http") || strstr(table[i].text, ":domain")) &&
		    access("/etc/services", R_OK) == -1)
			continue;
		ck_assert_str_eq(resolve(table[i].text, table[i].passive, got, sizeof(got)),
		    table[i].result);
	}
}

TEST(every_address_is_one_socket_for_both_families)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	char got[100];

	ck_assert_str_eq(resolve(":80", 1, got, sizeof(got)), fd == -1 ? "0.0.0.0:80" : "[::]:80");
	if (fd != -1)
		close(fd);
}

TEST(localhost_is_every_loopback_and_none_twice)
{
	static const char *const hosts[] = { "localhost", "Localhost.", "www.localhost" };
	char got[500], text[64];
	int passive;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(hosts); i++)
		for (passive = 0; passive < 2; passive++) {
			snprintf(text, sizeof(text), "%s:2525", hosts[i]);
			resolve(text, passive, got, sizeof(got));
			ck_assert_msg(strcmp(got, "[::1]:2525 127.0.0.1:2525") == 0 ||
			    strcmp(got, "127.0.0.1:2525 [::1]:2525") == 0, "%s: %s", text, got);
		}
}

TEST(direct_endpoints_need_no_lookup)
{
	static const struct {
		const char *text;
		int direct;
	} table[] = {
		{ "127.0.0.1:80", 1 }, { "[::1]:80", 1 }, { "[fe80::1%lo]:80", 1 }, { ":80", 1 },
		{ "unix:/x", 1 }, { "unix-dgram:@x", 1 }, { "fd:3", 1 },
		{ "localhost:80", 0 }, { "127.0.0.1:http", 0 }, { ":http", 0 }, { "1.2.3:80", 0 },
	};
	struct sks_endpoint ep;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		ep = parse(table[i].text);
		ck_assert_int_eq(sks_endpoint_is_direct(&ep), table[i].direct);
	}
}

TEST(failed_lookups_have_an_errno)
{
	static const struct {
		const char *fault;
		int error;
	} table[] = {
		{ "getaddrinfo:EAI_AGAIN", EAGAIN }, { "getaddrinfo:EAI_NONAME", ENOENT },
		{ "getaddrinfo:EAI_NODATA", ENOENT }, { "getaddrinfo:EAI_FAIL", ENOENT },
		{ "getaddrinfo:EAI_MEMORY", ENOMEM }, { "getaddrinfo:EMFILE", EMFILE },
		{ "getaddrinfo:EAI_SYSTEM", EIO }, /* without an errno */
		{ "malloc:ENOMEM", ENOMEM },
	};
	char got[500];
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		sks_fault_clear();
		ck_assert_int_eq(sks_fault(table[i].fault), 0);
		ck_assert_str_eq(resolve("localhost:80", 0, got, sizeof(got)),
		    strerror(table[i].error));
		ck_assert_uint_eq(sks_fault_hits(), 1);
	}
}

TEST(system_without_ipv6_gets_the_ipv4_wildcard)
{
	char got[100];

	ck_assert_int_eq(sks_fault("socket:EAFNOSUPPORT"), 0);
	ck_assert_str_eq(resolve(":80", 1, got, sizeof(got)), "0.0.0.0:80");
}

TEST(system_that_may_have_ipv6_gets_its_wildcard)
{
	static const char *const rules[] = { "socket:EMFILE", "socket:ENFILE", "socket:ENOMEM",
		"socket:ENOBUFS" };
	char got[100];
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(rules); i++) {
		sks_fault_clear();
		ck_assert_int_eq(sks_fault(rules[i]), 0);
		ck_assert_str_eq(resolve(":80", 1, got, sizeof(got)), "[::]:80");
		ck_assert_uint_eq(sks_fault_hits(), 1);
	}
}

TEST(only_whole_inet_addresses_are_taken_from_a_list)
{
	struct sks_addr in, in6, *addrs;
	struct addrinfo list[] = {
		{ .ai_family = AF_UNIX, .ai_addr = &in.u.any, .ai_addrlen = sizeof(in.u.in) },
		{ .ai_family = AF_INET, .ai_addr = &in.u.any, .ai_addrlen = sizeof(in.u.in) - 1 },
		{ .ai_family = AF_INET6, .ai_addr = &in6.u.any, .ai_addrlen = sizeof(in6.u.in6) - 1 },
		{ .ai_family = AF_INET, .ai_addr = &in.u.any, .ai_addrlen = sizeof(in.u.in) },
	};
	const char *why = NULL;
	char text[SKS_ADDR_TEXT];
	size_t n = 0, i;

	sks_addr_set_in(&in, INADDR_LOOPBACK);
	sks_addr_set_in6(&in6, &in6addr_loopback);
	for (i = 0; i < 3; i++)
		list[i].ai_next = &list[i + 1];
	addrs = sks_addr_list(list, &n, &why);
	ck_assert_ptr_nonnull(addrs);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(sks_addr_format(&addrs[0].u.any, addrs[0].len, text, sizeof(text)),
	    "127.0.0.1:0");
	sks_sys_free(addrs);
	list[2].ai_next = NULL;
	for (i = 0; i < 2; i++) { /* none of them, and an empty list */
		why = NULL;
		errno = 0;
		ck_assert_ptr_null(sks_addr_list(i == 0 ? list : NULL, &n, &why));
		ck_assert_int_eq(errno, ENOENT);
		ck_assert_ptr_nonnull(why);
	}
}

TEST(direct_endpoints_never_ask_the_resolver)
{
	char got[100];

	resolve("127.0.0.1:80", 0, got, sizeof(got));
	resolve("[::1]:80", 1, got, sizeof(got));
	resolve(":80", 0, got, sizeof(got));
	resolve(":80", 1, got, sizeof(got));
	ck_assert_uint_eq(sks_fault_calls("getaddrinfo"), 0);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM"), 0);
	ck_assert_str_eq(resolve(":80", 0, got, sizeof(got)), strerror(ENOMEM));
}
