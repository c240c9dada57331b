/* SPDX-License-Identifier: MIT */
/*
 * check_proxying.c - handlers that are proxies themselves: they tell the next server of their
 * client.
 */
#include "proxy_headers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <socketserver/proxy.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

static char behind[160]; /* where the server listens that is told of the clients */

/* Passes on a line, and what it is answered. */
static int
pass_on(struct sks_request *req)
{
	struct sks_client *server = sks_connect(behind, 20000);
	char *line;
	int rc = -1;

	if (server == NULL)
		return -1;
	if (sks_proxy_write_header(server->wfile, req) == 0 &&
	    (line = sks_gets(req->rfile)) != NULL && sks_puts(server->wfile, line) == 0 &&
	    sks_wfile_shutdown(server->wfile) == 0 && sks_copy(server->rfile, req->wfile, -1) >= 0)
		rc = 0;
	sks_client_close(server);
	return rc;
}

static const struct sks_handler passing = { .name = "passing", .handle = pass_on };

/* The address of the client itself, and of where it has connected to. */
static void
name_both(char *want, size_t size, int fd)
{
	struct sockaddr_in own, other;
	socklen_t len = sizeof(own), other_len = sizeof(other);

	getsockname(fd, (struct sockaddr *)&own, &len);
	getpeername(fd, (struct sockaddr *)&other, &other_len);
	snprintf(want, size, "1 127.0.0.1:%d to 127.0.0.1:%d by 127.0.0.1 none none none none none 0\n",
	    ntohs(own.sin_port), ntohs(other.sin_port));
}

TEST(a_handler_tells_the_next_server_of_its_client, EACH_MODE)
{
	struct sks_options believed = { 0 };
	struct acc front, back;
	char want[200];
	int fd;

	proxy_serve(&back, ACC_FIBERS, &proxy_told, &believed);
	snprintf(behind, sizeof(behind), "%s", back.address);
	acc_on(&front, _i, "127.0.0.1:0", &passing, NULL);
	acc_start(&front);
	fd = acc_client(&front);
	name_both(want, sizeof(want), fd);
	peer_puts(fd, "line\n");
	peer_expect(fd, want);
	peer_expect(fd, "line");
	peer_expect_eof(fd);
	acc_free(&front);
	acc_free(&back);
}

/* Through two proxies comes the client of the first. */
TEST(what_a_proxy_has_told_is_told_to_the_next, EACH_OF(proxy_headers))
{
	static const char *const want[] = {
		"1 192.0.2.1:56324 to 198.51.100.2:443 by 127.0.0.1 none none none none none 0\n",
		"1 [2001:db8::1]:7 to [2001:db8::2]:80 by 127.0.0.1 none none none none none 0\n" };
	struct sks_options believed = { 0 }, in_front = { 0 };
	struct acc front, back;
	int fd;

	proxy_serve(&back, ACC_FIBERS, &proxy_told, &believed);
	snprintf(behind, sizeof(behind), "%s", back.address);
	proxy_serve(&front, ACC_FIBERS, &passing, &in_front);
	fd = acc_client(&front);
	peer_send(fd, proxy_headers[_i].bytes, proxy_headers[_i].n);
	peer_puts(fd, "line\n");
	peer_expect(fd, want[_i]);
	peer_expect(fd, "line");
	peer_expect_eof(fd);
	acc_free(&front);
	acc_free(&back);
}

TEST(a_connection_of_our_own_has_no_client)
{
	struct sks_options believed = { 0 };
	struct sks_client *client;
	struct acc acc;
	char *line;

	proxy_serve(&acc, ACC_FIBERS, &proxy_told, &believed);
	client = sks_connect(acc.address, 20000);
	ck_assert_ptr_nonnull(client);
	ck_assert_int_eq(sks_proxy_write_header(client->wfile, NULL), 0);
	line = sks_gets(client->rfile);
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_nonnull(strstr(line, " to none by 127.0.0.1 "));
	sks_client_close(client);
	acc_free(&acc);
}

static int
refuse_datagram(struct sks_request *req)
{
	acc_require(sks_proxy_write_header(req->wfile, req) == -1 && errno == ENOTSUP);
	return sks_puts(req->wfile, "no");
}

TEST(a_datagram_has_no_header, EACH_MODE)
{
	static const struct sks_handler refusing = { .name = "refusing", .handle = refuse_datagram };
	struct acc acc;
	int fd;

	acc_on(&acc, _i, "udp:127.0.0.1:0", &refusing, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "x");
	peer_expect(fd, "no");
	close(fd);
	acc_free(&acc);
}
