/* SPDX-License-Identifier: MIT */
/*
 * check_proxied.c - connections that begin with the header of a proxy: whom the handler, verify
 * and the log see, and which peers are refused.
 */
#include "proxy_headers.h"

#include "base/clock.h"
#include "server/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

static const char *
name_of_mode_and_header(int i)
{
	static char name[80];

	snprintf(name, sizeof(name), "%s, %s", acc_name_of_mode(i / 2), proxy_headers[i % 2].name);
	return name;
}

/* With the header come the first bytes of the client, which are the handler's. */
TEST(the_client_of_a_proxy_is_the_peer, .times = 2 * ACC_MODES, .variant = name_of_mode_and_header)
{
	const struct proxy_header *header = &proxy_headers[_i % 2];
	struct sks_options options = { 0 };
	struct acc acc;
	char all[256];
	int fd;

	proxy_serve(&acc, _i / 2, &proxy_told, &options);
	fd = acc_client(&acc);
	memcpy(all, header->bytes, header->n);
	memcpy(all + header->n, "first\n", 6);
	peer_send(fd, all, header->n + 6);
	peer_expect(fd, header->told);
	peer_expect(fd, "first\n");
	peer_puts(fd, "second\n");
	peer_expect(fd, "second\n");
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), 0);
}

/* Cut at each byte: the first part has come, and been read, before the second. */
TEST(a_header_may_come_in_any_two_pieces, EACH_OF(proxy_headers))
{
	const struct proxy_header *header = &proxy_headers[_i];
	struct sks_options options = { 0 };
	struct acc acc;
	size_t n;
	int fd;

	proxy_serve(&acc, ACC_FIBERS, &proxy_told, &options);
	for (n = 1; n <= header->n; n++) {
		fd = acc_client(&acc);
		peer_send(fd, header->bytes, n);
		if (n % 16 == 1) /* and now and then certainly */
			ck_eventually(acc_stats(&acc).parked == 1);
		peer_send(fd, header->bytes + n, header->n - n);
		peer_puts(fd, "x\n");
		peer_expect(fd, header->told);
		peer_expect(fd, "x\n");
		peer_half_close(fd);
		peer_expect_eof(fd);
		ck_eventually(acc_stats(&acc).finished == n);
	}
	acc_free(&acc);
}

TEST(a_header_may_come_byte_by_byte, EACH_OF(proxy_headers))
{
	const struct proxy_header *header = &proxy_headers[_i];
	struct sks_options options = { 0 };
	struct acc acc;
	size_t n;
	int fd;

	proxy_serve(&acc, ACC_FIBERS, &proxy_told, &options);
	fd = acc_client(&acc);
	for (n = 0; n < header->n; n++) {
		peer_send(fd, header->bytes + n, 1);
		breathe();
	}
	peer_expect(fd, header->told);
	close(fd);
	acc_free(&acc);
}

/* A connection of the proxy's own, as its health check, keeps the proxy as its peer. */
TEST(a_local_connection_keeps_its_peer, EACH_MODE)
{
	struct sks_options options = { 0 };
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	struct acc acc;
	char want[160];
	int fd;

	proxy_serve(&acc, _i, &proxy_told, &options);
	fd = acc_client(&acc);
	getsockname(fd, (struct sockaddr *)&own, &len);
	snprintf(want, sizeof(want), "1 127.0.0.1:%d to none by 127.0.0.1 none none none none none 0\n",
	    ntohs(own.sin_port));
	peer_send(fd, BYTES(V2_LOCAL));
	peer_expect(fd, want);
	close(fd);
	acc_free(&acc);
}

/* The second header is not the proxy's: it is data. */
TEST(a_second_header_is_the_clients)
{
	struct sks_options options = { 0 };
	struct acc acc;
	int fd;

	proxy_serve(&acc, ACC_FIBERS, &proxy_told, &options);
	fd = acc_client(&acc);
	peer_puts(fd, V1 "PROXY TCP4 203.0.113.9 198.51.100.2 1 2\r\n");
	peer_expect(fd, TOLD_V1);
	peer_expect(fd, "PROXY TCP4 203.0.113.9 198.51.100.2 1 2\r\n");
	close(fd);
	acc_free(&acc);
}

static const struct refused {
	const char *name;
	const char *bytes;
	size_t n;
	const char *why;
	const char *proxy_from;
} refused[] = {
	{ "no header", BYTES("GET / HTTP/1.0\r\n\r\n"), "PROXY header: no header", NULL },
	{ "another family", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), "not two addresses", NULL },
	{ "a datagram", BYTES(V2_START "\x21\x12\0\x0c" "aaaabbbbccdd"), "of a datagram", NULL },
	{ "too long", BYTES(V2_START "\x21\x11\xff\xff" "aaaabbbbccdd"), "longer than 4 KiB", NULL },
	{ "from another peer", BYTES(V1), "not from a proxy of proxy_from", "10.0.0.0/8,unix" },
};

TEST(what_is_not_believed_is_refused_and_named, EACH_OF(refused))
{
	const struct refused *r = &refused[_i];
	struct sks_options options = { .proxy_from = r->proxy_from };
	struct acc acc;
	int fd;

	proxy_serve(&acc, ACC_FIBERS, &acc_script, &options);
	fd = acc_client(&acc);
	peer_send(fd, r->bytes, r->n);
	peer_expect_gone(fd);
	ck_eventually(acc_stats(&acc).refused == 1);
	ck_assert_int_eq(log_count(r->why), 1);
	ck_assert_int_eq(log_count("script: 127.0.0.1:"), 1);
	ck_assert_int_eq(seen->setups + seen->handles, 0);
	acc_free(&acc);
}

/* Nobody waits for a header that does not come, and a client of good will is served beside it. */
TEST(a_header_that_does_not_come_ends_its_connection_alone, EACH_MODE)
{
	struct sks_options options = { .max_running = 1 };
	struct acc acc;
	int silent, half, fd;

	sks_proxy_header_ms = 300;
	proxy_serve(&acc, _i, &proxy_told, &options);
	silent = acc_client(&acc);
	half = acc_client(&acc);
	peer_puts(half, "PROXY TCP4 ");
	fd = acc_client(&acc);
	peer_puts(fd, V1 "x\n");
	peer_expect(fd, TOLD_V1);
	close(fd);
	peer_expect_gone(silent);
	peer_expect_gone(half);
	ck_assert_int_eq(log_count("none has come in time"), 2);
	acc_free(&acc);
}

/* A health check that connects and goes needs no line. */
TEST(a_peer_that_goes_without_a_word_is_no_error)
{
	struct sks_options options = { 0 };
	struct acc acc;

	proxy_serve(&acc, ACC_FIBERS, &proxy_told, &options);
	close(acc_client(&acc));
	peer_reset(acc_client(&acc));
	ck_eventually(acc_stats(&acc).refused == 2);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

static int
verify_the_client(struct sks_request *req)
{
	char text[160];

	return sks_is_proxied(req) && sks_peer_port(req) == 56324 &&
	    strcmp(sks_peer_host(req, text, sizeof(text)), "192.0.2.1") == 0;
}

TEST(verify_sees_the_client, EACH_MODE)
{
	struct sks_options options = { .verify = verify_the_client };
	struct acc acc;
	int fd;

	proxy_serve(&acc, _i, &proxy_told, &options);
	fd = acc_client(&acc);
	peer_puts(fd, V1);
	peer_expect(fd, TOLD_V1);
	close(fd);
	fd = acc_client(&acc);
	peer_puts(fd, "PROXY TCP4 192.0.2.2 198.51.100.2 56324 443\r\n");
	peer_expect_gone(fd);
	acc_free(&acc);
}

/* Limits for each peer are for the clients; the proxy has many of them. */
TEST(a_limit_for_each_peer_is_for_the_client, EACH_MODE)
{
	struct sks_options options = { .max_per_peer = 1, .reject_text = "enough\n" };
	struct acc acc;
	int fd[3], i;

	proxy_serve(&acc, _i, &proxy_told, &options);
	for (i = 0; i < 3; i++)
		fd[i] = acc_client(&acc);
	peer_puts(fd[0], V1);
	if (!acc.mode->one_at_a_time)
		peer_expect(fd[0], TOLD_V1);
	else
		ck_eventually(acc_stats(&acc).active == 1);
	peer_puts(fd[1], V1);
	peer_expect(fd[1], "enough\n");
	peer_expect_gone(fd[1]);
	ck_assert_int_eq(log_count("told: 192.0.2.1:56324: rejected: it has 1 connections"), 1);
	close(fd[0]);
	peer_send(fd[2], BYTES(V2_IPV6));
	peer_expect(fd[2], TOLD_V2);
	close(fd[2]);
	acc_free(&acc);
}

/* A header that comes while the server stops is a header still, and its client is served. */
TEST(a_header_is_read_while_the_server_stops, EACH_MODE)
{
	struct sks_options options = { .grace_ms = 20000 };
	struct acc acc;
	int fd, i;

	proxy_serve(&acc, _i, &proxy_told, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "PROXY TCP4 192.0.2.1 ");
	ck_eventually(acc_stats(&acc).parked == 1);
	sks_server_shutdown(acc.server);
	ck_eventually(!sks_server_is_ready(acc.server));
	for (i = 0; i < 20; i++)
		breathe(); /* each loop hears of it */
	peer_puts(fd, "198.51.100.2 56324 443\r\nx\n");
	peer_expect(fd, TOLD_V1);
	peer_expect(fd, "x\n");
	close(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* And one that does not come ends with the grace. */
TEST(a_header_that_does_not_come_delays_no_stop, EACH_MODE)
{
	struct sks_options options = { .grace_ms = 20 };
	struct acc acc;
	int fd;

	proxy_serve(&acc, _i, &proxy_told, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "PROXY TCP4 192.0.2.1 ");
	ck_eventually(acc_stats(&acc).parked == 1);
	acc_stop(&acc);
	peer_expect_gone(fd);
	ck_assert_uint_eq(acc_stats(&acc).refused, 1);
	acc_free(&acc);
}

static int
break_off(struct sks_request *req)
{
	(void)req;
	errno = EPROTO;
	return -1;
}

TEST(the_log_names_the_client)
{
	static const struct sks_handler handler = { .name = "failing", .handle = break_off };
	struct sks_options options = { 0 };
	struct acc acc;
	int fd;

	proxy_serve(&acc, ACC_THREADS, &handler, &options);
	fd = acc_client(&acc);
	peer_puts(fd, V1);
	peer_expect_gone(fd);
	ck_eventually(log_count("failing: 192.0.2.1:56324: Protocol error") == 1);
	acc_free(&acc);
}

/* The handler speaks when its client has spoken, not when the proxy has. */
TEST(a_header_is_no_word_of_the_client, EACH_MODE)
{
	struct sks_handler handler = proxy_told;
	struct sks_options options = { 0 };
	struct acc acc;
	int fd;

	handler.client_first = 1;
	proxy_serve(&acc, _i, &handler, &options);
	fd = acc_client(&acc);
	peer_puts(fd, V1);
	ck_eventually(acc_has_parked(&acc, acc.mode->one_memory ? 1 : 0));
	ck_assert(peer_is_silent(fd));
	peer_puts(fd, "x\n");
	peer_expect(fd, TOLD_V1);
	close(fd);
	acc_free(&acc);
}

TEST(an_address_of_a_proxy_needs_to_know_which_are_believed)
{
	struct sks_options wrong = { .proxy_from = "10.0.0.0/33" }, none = { 0 };
	struct acc acc;

	ck_fails(acc_try(&acc, ACC_FIBERS, "proxy:127.0.0.1:0", &proxy_told, &none), EINVAL);
	ck_assert_int_eq(log_count("which proxies are believed (options.proxy_from)"), 1);
	ck_assert_ptr_null(sks_server_new(&proxy_told, &wrong));
	ck_assert_int_eq(log_count("options.proxy_from: 10.0.0.0/33: behind /"), 1);
	none.proxy_from = "::1";
	ck_fails(acc_try(&acc, ACC_FIBERS, "proxy:udp:127.0.0.1:0", &proxy_told, &none), EINVAL);
	ck_fails(acc_try(&acc, ACC_FIBERS, "proxy:proxy:127.0.0.1:0", &proxy_told, &none), EINVAL);
	ck_assert_ptr_null(sks_connect("proxy:127.0.0.1:1", 1000));
	ck_assert_int_eq(errno, EINVAL);
}

static int
keep_the_loop(struct sks_request *req)
{
	(void)req;
	atomic_store(&seen->note, 1);
	while (atomic_load(&seen->note) == 1)
		breathe();
	return SKS_DONE;
}

static void
note_reason(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	atomic_fetch_add(&seen->waited, info->reason == SKS_ENDED_TIMEOUT);
}

/* The loop sees the rest and the end of the time at once. */
TEST(a_header_that_is_late_by_a_part_has_not_come_in_time)
{
	static const struct sks_handler handler = { .handle = keep_the_loop };
	struct sks_options options = { .on_end = note_reason, .block_warn_ms = SKS_OFF };
	int before = sks_proxy_header_ms;
	int64_t deadline;
	struct acc acc;
	int late, fd;

	sks_proxy_header_ms = 1000;
	proxy_serve(&acc, ACC_FIBERS, &handler, &options);
	late = acc_client(&acc);
	peer_puts(late, "PROXY ");
	ck_eventually(acc_stats(&acc).parked == 1);
	deadline = sks_clock_after(sks_proxy_header_ms);
	fd = acc_client(&acc);
	peer_puts(fd, V1);
	ck_eventually(atomic_load(&seen->note) == 1);
	peer_puts(late, "TCP4 ");
	ck_eventually(sks_clock_left(deadline) == 0);
	atomic_store(&seen->note, 2);
	peer_expect_gone(late);
	ck_eventually(atomic_load(&seen->waited) == 1);
	ck_assert_int_eq(log_count("none has come in time"), 1);
	close(fd);
	acc_free(&acc);
	sks_proxy_header_ms = before;
}

/* Also for a handler of their own. */
TEST(each_address_believes_the_same_proxies, EACH_MODE)
{
	struct sks_options options = { 0 };
	char address[160];
	struct acc acc;
	int fd;

	proxy_serve(&acc, _i, &acc_script, &options);
	acc_stop(&acc);
	ck_assert_int_eq(sks_server_listen_with(acc.server, "proxy:127.0.0.1:0", &proxy_told, NULL), 0);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, address, sizeof(address)));
	acc_start(&acc);
	fd = peer_connect(address);
	peer_puts(fd, V1);
	peer_expect(fd, TOLD_V1);
	close(fd);
	acc_free(&acc);
}

TEST(its_address_has_the_prefix)
{
	struct sks_options options = { .proxy_from = "unix" };
	struct acc acc;
	char address[160];
	int fd;

	snprintf(address, sizeof(address), "proxy:%s", acc_listen_address(ACC_UNIX));
	acc_on(&acc, ACC_FIBERS, address, &proxy_told, &options);
	acc_start(&acc);
	ck_assert_ptr_nonnull(sks_server_listen_address(acc.server, 0, address, sizeof(address)));
	ck_assert_int_eq(strncmp(address, "proxy:unix:/", 12), 0);
	fd = acc_client(&acc);
	peer_puts(fd, V1);
	peer_expect(fd, "1 192.0.2.1:56324 to 198.51.100.2:443 by unix: none none none none none 0\n");
	close(fd);
	acc_free(&acc);
}
