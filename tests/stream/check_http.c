/* SPDX-License-Identifier: MIT */
/*
 * check_http.c - sks_is_http(): which lines give a browser away.
 */
#include "harness.h"

#include <socketserver.h>
#include <string.h>

static const char *const http[] = {
	"POST / HTTP/1.1\r\n", "GET /index.html HTTP/1.0\n", "GET /a%20b?c=d HTTP/1.1",
	"OPTIONS * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", "CONNECT localhost:80 HTTP/1.1\r\n",
	"GET http://localhost/ HTTP/1.1\r\n", "x-anything / HTTP/1.1\r\n", "post / http/1.1\r\n",
	"POST\t/a b\tHTTP/1.1 \r\n", "POST /\"quotes'' HTTP/1.1\r\n", "GET / HTTP/3",
	"Host: localhost\r\n", "host:localhost", "HOST:\r\n",
};

static const char *const others[] = {
	"", "\r\n", " ", "GET /", "GET key\r\n", "SET k HTTP/1.1\r\n", "HTTP/1.1\r\n", "/ HTTP/1.1",
	"HTTP/1.1 200 OK\r\n", "GET / HTTP/\r\n", "GET / HTTP/x\r\n", "GET / xHTTP/1.1\r\n",
	"they speak HTTP/1.1", "POST / HTTP/1.1 and more\r\n", "Host\r\n", "Hosts: all\r\n", " host:\r\n",
	"Hos",
};

TEST(request_lines_and_the_host_header_are_http, EACH_OF(http))
{
	ck_assert_msg(sks_is_http(http[_i], strlen(http[_i])) == 1, "'%s'", http[_i]);
}

TEST(other_lines_are_not, EACH_OF(others))
{
	ck_assert_msg(sks_is_http(others[_i], strlen(others[_i])) == 0, "'%s'", others[_i]);
}

/* A line is counted: what stands behind it in memory is not looked at, and a NUL is a byte. */
TEST(no_more_than_n_bytes_count)
{
	static const char line[] = "POST / HTTP/1.1";
	size_t n;

	for (n = 0; n < sizeof(line) - 3; n++)
		ck_assert_int_eq(sks_is_http(line, n), 0);
	ck_assert_int_eq(sks_is_http("host:", 4), 0);
	ck_assert_int_eq(sks_is_http("GET /a\0b HTTP/1.1\n", 18), 1);
}
