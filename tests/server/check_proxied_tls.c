/* SPDX-License-Identifier: MIT */
/*
 * check_proxied_tls.c - "proxy:tls:": the header of a proxy, then the handshake of its client,
 * which may begin in the same segment; and headers that are not as they should be.
 */
#include "certs.h"
#include "proxy_headers.h"
#include "tls_peer.h"
#include "tls_server.h"

#include <socketserver/proxy.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(tls_setup, tls_teardown);

#define V2 V2_START "\x21\x11\0\x2c" "\xc0\0\2\1" "\xc6\x33\x64\2" "\xdc\4" "\1\xbb" \
    "\2\0\5" "a.com" "\x20\0\x15" "\7\0\0\0\0" "\x21\0\7" "TLSv1.2" "\x22\0\3" "joe"

/* Tells what the proxy says, and what the TLS behind it is, then echoes. */
static int
tell(struct sks_request *req)
{
	char text[160];
	size_t n;
	const char *name = sks_proxy_tlv(req, SKS_PROXY_AUTHORITY, &n);

	sks_printf(req->wfile, "%s %.*s %d %s\n", sks_peer(req, text, sizeof(text)), (int)n,
	    name != NULL ? name : "", sks_proxy_tls(req), sks_tls_version(req->rfile));
	return acc_echo_lines(req);
}

static const struct sks_handler telling = { .name = "telling", .handle = tell };

static const struct proxy_header headers[] = {
	{ "v1", BYTES(V1), "192.0.2.1:56324  0 TLSv1.3\n" },
	{ "v2", BYTES(V2), "192.0.2.1:56324 a.com 15 TLSv1.3\n" },
};

static void
start(struct acc *acc, int mode, const char *proxy_from)
{
	struct sks_tls_options files = { .cert = certs_path("server") };
	struct sks_options options = { .proxy_from = proxy_from, .on_error = acc_on_error };

	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	ck_assert_ptr_nonnull(tls);
	acc_on(acc, mode, "proxy:tls:127.0.0.1:0", &telling, &options);
	acc_start(acc);
}

/* A client whose first n bytes of the header come before the others, which come with its hello. */
static void
say_hello(const struct acc *acc, const struct proxy_header *header, size_t n)
{
	struct tls_peer peer;
	int fd = acc_client(acc);

	peer_send(fd, header->bytes, n);
	if (n % 16 == 1) /* now and then certainly */
		ck_eventually(acc_stats(acc).parked == 1);
	tls_peer_open(&peer, fd);
	ck_assert_int_eq(send(fd, header->bytes + n, header->n - n, MSG_MORE), (int)(header->n - n));
	tls_peer_shake(&peer);
	tls_peer_expect(&peer, header->told);
	tls_peer_puts(&peer, "line\n");
	tls_peer_expect(&peer, "line\n");
	tls_peer_close(&peer);
}

TEST(the_client_is_known_and_its_bytes_are_encrypted, EACH_MODE)
{
	struct acc acc;

	start(&acc, _i, "127.0.0.1");
	say_hello(&acc, &headers[0], 0);
	say_hello(&acc, &headers[1], 0);
	say_hello(&acc, &headers[1], 20);
	ck_assert_uint_eq(acc_stats(&acc).handshakes, 3);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

TEST(a_header_before_tls_may_be_cut_at_each_byte, EACH_OF(headers))
{
	struct acc acc;
	size_t n;

	start(&acc, ACC_FIBERS, "127.0.0.1");
	for (n = 1; n < headers[_i].n; n += is_slow() ? 16 : 1) {
		say_hello(&acc, &headers[_i], n);
		ck_eventually(acc_stats(&acc).active == 0 && acc_stats(&acc).parked == 0);
	}
	acc_free(&acc);
}

static const struct refused {
	const char *name;
	const char *bytes;
	size_t n;
	const char *why;
	const char *proxy_from;
} refused[] = {
	{ "absent", BYTES("\x16\x03\x01\x00\x05hello"), "PROXY header: no header", "127.0.0.1" },
	{ "too long", BYTES(V2_START "\x21\x11\xff\xff" "aaaabbbbccdd"), "longer than 4 KiB", "127.0.0.1" },
	{ "from another peer", BYTES(V1), "not from a proxy of proxy_from", "10.0.0.0/8" },
	{ "cut", BYTES("PROXY TCP4 192."), "PROXY header: it ends early", "127.0.0.1" },
};

/* Before any handshake, and without a handler. */
TEST(what_is_no_header_is_refused_and_named, EACH_OF(refused))
{
	const struct refused *r = &refused[_i];
	struct acc acc;
	int fd;

	start(&acc, ACC_FIBERS, r->proxy_from);
	fd = acc_client(&acc);
	peer_send(fd, r->bytes, r->n);
	(void)shutdown(fd, SHUT_WR); /* a refused client may be gone */
	peer_expect_gone(fd);
	ck_eventually(acc_stats(&acc).refused == 1);
	ck_assert_int_eq(log_count(r->why), 1);
	ck_assert_uint_eq(acc_stats(&acc).handshakes + acc_stats(&acc).handshakes_failed, 0);
	acc_free(&acc);
}

/* What stands behind the header is the client's: it speaks no TLS, and the line names it. */
TEST(a_second_header_is_no_handshake, EACH_MODE)
{
	struct acc acc;
	int fd;

	start(&acc, _i, "127.0.0.1");
	fd = acc_client(&acc);
	peer_send(fd, BYTES(V1 V1));
	peer_half_close(fd);
	ck_eventually(acc_stats(&acc).handshakes_failed == 1);
	ck_eventually(log_count("telling: 192.0.2.1:56324: TLS handshake: ") == 1);
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}
