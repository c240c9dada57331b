/* SPDX-License-Identifier: MIT */
/*
 * check_listen.c - addresses to listen on, and descriptors that are inherited.
 */
#include "acceptance.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static struct sks_server *
new_server(int mode, const struct sks_options *options)
{
	struct sks_options o = acc_options(&acc_modes[mode], options);
	struct sks_server *server = sks_server_new(&acc_script, &o);

	ck_assert_ptr_nonnull(server);
	return server;
}

static char *
in_dir(const char *scheme, const char *file, char *buf, size_t size)
{
	ck_assert_int_lt(snprintf(buf, size, "%s%s%s", scheme, acc_dir, file), (int)size);
	return buf;
}

static int
has_ipv6(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ok = fd != -1 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

	if (fd != -1)
		close(fd);
	return ok;
}

static void
assert_fails(struct sks_server *server, const char *address, int error)
{
	int before = log_lines(), fds = open_descriptors();

	errno = 0;
	ck_assert_msg(sks_server_listen(server, address) == -1, "%s was accepted", address);
	ck_assert_msg(errno == error, "%s: %s", address, strerror(errno));
	ck_assert_int_eq(log_lines(), before + 1);
	ck_assert_int_eq(open_descriptors(), fds);
	ck_assert_int_eq(sks_server_fileno(server, 0), -1);
}

/* -- several listeners, and what they are called -- */

TEST(serves_all_its_listeners, EACH_MODE)
{
	char unix_text[160], dgram_text[160], text[160];
	struct sks_server *server;
	struct acc acc = { 0 };
	int fd, i;

	server = new_server(_i, NULL);
	snprintf(unix_text, sizeof(unix_text), "unix:%s/s", acc_dir);
	snprintf(dgram_text, sizeof(dgram_text), "unix-dgram:%s/d", acc_dir);
	ck_assert_int_eq(sks_server_listen(server, "127.0.0.1:0"), 0);
	ck_assert_int_eq(sks_server_listen(server, "udp:127.0.0.1:0"), 0);
	ck_assert_int_eq(sks_server_listen(server, unix_text), 0);
	ck_assert_int_eq(sks_server_listen(server, dgram_text), 0);
	acc.server = server;
	acc.mode = &acc_modes[_i];
	acc_start(&acc);
	for (i = 0; i < 4; i++) {
		ck_assert_ptr_eq(sks_server_address(server, (unsigned int)i, text, sizeof(text)),
		    text);
		fd = i % 2 == 0 ? peer_connect(text) : peer_datagram(text, NULL);
		peer_puts(fd, "echo\nd\n");
		peer_expect(fd, "echo\n");
		close(fd);
	}
	errno = 0;
	ck_assert_ptr_null(sks_server_address(server, 4, text, sizeof(text)));
	ck_assert_int_eq(errno, ENOENT);
	errno = 0;
	ck_assert_int_eq(sks_server_fileno(server, 4), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(sks_server_address(server, 2, text, sizeof(text)), unix_text);
	ck_assert_str_eq(sks_server_address(server, 2, text, 6), "unix:"); /* cut */
	acc_free(&acc);
}

TEST(a_name_binds_all_its_addresses_on_one_port, EACH_MODE)
{
	struct sks_server *server = new_server(_i, NULL);
	const char *port = NULL, *colon;
	char text[4][160];
	unsigned int n;

	ck_assert_int_eq(sks_server_listen(server, "localhost:0"), 0);
	for (n = 0; n < 4 && sks_server_address(server, n, text[n], sizeof(text[n])); n++) {
		colon = strrchr(text[n], ':');
		ck_assert_str_ne(colon, ":0");
		if (port != NULL)
			ck_assert_str_eq(colon, port);
		port = colon;
	}
	ck_assert_uint_ge(n, 1);
	sks_server_free(server);
}

TEST(every_address_means_both_families, EACH_MODE)
{
	struct acc acc = { 0 };
	char text[160], v4[64], v6[64];

	if (!has_ipv6())
		return;
	acc.mode = &acc_modes[_i];
	acc.server = new_server(_i, NULL);
	ck_assert_int_eq(sks_server_listen(acc.server, ":0"), 0);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 0, text, sizeof(text)));
	snprintf(v4, sizeof(v4), "127.0.0.1%s", strrchr(text, ':'));
	snprintf(v6, sizeof(v6), "[::1]%s", strrchr(text, ':'));
	acc_start(&acc);
	snprintf(acc.address, sizeof(acc.address), "%s", v4);
	acc_ask(&acc, "echo 4\nd\n", "echo 4\n");
	snprintf(acc.address, sizeof(acc.address), "%s", v6);
	acc_ask(&acc, "echo 6\nd\n", "echo 6\n");
	acc_free(&acc);
}

static int
tell_peer(struct sks_request *req)
{
	char text[160];

	return sks_printf(req->wfile, "%s\n", sks_peer(req, text, sizeof(text)));
}

/* Peers of IPv4 on an IPv6 socket are shown as what they are. */
TEST(peers_are_printed_canonically, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = tell_peer };
	struct sks_options options = acc_options(&acc_modes[_i], NULL);
	struct acc acc = { 0 };
	char text[160], address[64], expected[64];
	union peer_name name;
	socklen_t len;
	int fd, v6;

	if (!has_ipv6())
		return;
	acc.server = sks_tcp_server_new(":0", &handler, &options);
	ck_assert_ptr_nonnull(acc.server);
	acc_start(&acc);
	sks_server_address(acc.server, 0, text, sizeof(text));
	for (v6 = 0; v6 <= 1; v6++) {
		snprintf(address, sizeof(address), "%s%s", v6 ? "[::1]" : "127.0.0.1",
		    strrchr(text, ':'));
		fd = peer_connect(address);
		len = sizeof(name);
		getsockname(fd, &name.any, &len);
		snprintf(expected, sizeof(expected), "%s:%d\n", v6 ? "[::1]" : "127.0.0.1",
		    ntohs(((struct sockaddr_in *)&name.storage)->sin_port));
		peer_expect(fd, expected);
		peer_expect_eof(fd);
	}
	acc_free(&acc);
}

TEST(v6only_leaves_ipv4_to_others)
{
	struct sks_options options = { .v6only = 1 };
	struct sks_server *six, *four;
	char text[160], v4[64];
	int fd;

	if (!has_ipv6())
		return;
	six = new_server(0, &options);
	ck_assert_int_eq(sks_server_listen(six, ":0"), 0);
	sks_server_address(six, 0, text, sizeof(text));
	snprintf(v4, sizeof(v4), "127.0.0.1%s", strrchr(text, ':'));
	fd = peer_try(v4);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	four = new_server(0, NULL);
	ck_assert_int_eq(sks_server_listen(four, v4), 0);
	sks_server_free(four);
	sks_server_free(six);
}

TEST(port_in_use_is_told_with_step_and_object, EACH_MODE)
{
	struct sks_server *server = new_server(_i, NULL);
	char line[200];
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, NULL);
	if (acc.mode->reuse_port) { /* there it is no error */
		acc_free(&acc);
		sks_server_free(server);
		return;
	}
	assert_fails(server, acc.address, EADDRINUSE);
	snprintf(line, sizeof(line), "bind %s: %s", acc.address, strerror(EADDRINUSE));
	ck_assert_int_eq(log_count(line), 1);
	acc_free(&acc);
	sks_server_free(server);
}

TEST(reuse_port_shares_a_port_of_those_who_ask)
{
	struct sks_options options = { .reuse_port = 1 };
	struct sks_server *one = new_server(0, &options), *two = new_server(0, &options);
	struct sks_server *other = new_server(0, NULL);
	char text[160];

	ck_assert_int_eq(sks_server_listen(one, "127.0.0.1:0"), 0);
	sks_server_address(one, 0, text, sizeof(text));
	ck_assert_int_eq(sks_server_listen(two, text), 0);
	assert_fails(other, text, EADDRINUSE);
	sks_server_free(one);
	sks_server_free(two);
	sks_server_free(other);
}

/* A port is free again at once, although its last connections are not forgotten yet. */
TEST(address_can_be_used_again_at_once, EACH_MODE)
{
	struct acc acc;
	struct sks_server *server;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n"); /* the server closes first: TIME_WAIT is ours */
	acc_free(&acc);
	server = new_server(_i, NULL);
	ck_assert_int_eq(sks_server_listen(server, acc.address), 0);
	sks_server_free(server);
}

TEST(refuses_what_is_no_address, EACH_MODE)
{
	struct sks_server *server = new_server(_i, NULL);
	char file[160];

	assert_fails(server, "", EINVAL);
	assert_fails(server, "127.0.0.1", EINVAL);
	assert_fails(server, "127.0.0.1:65536", EINVAL);
	assert_fails(server, "127.0.0.1:-1", EINVAL);
	assert_fails(server, "127.0.0.1:80x", ENOENT);
	ck_assert_int_eq(log_count("127.0.0.1:80x: the port is neither 0 to 65535 nor"), 1);
	assert_fails(server, "*:80", EINVAL);
	ck_assert_int_eq(log_count("*:80: * is no host: every address of this machine is :port"), 1);
	assert_fails(server, "systemd:", EINVAL);
	assert_fails(server, "systemd:web", EINVAL);
	ck_assert_int_eq(log_count("sks_server_listen_inherited()"), 2);
	assert_fails(server, "unix:", EINVAL);
	assert_fails(server, "fd:", EINVAL);
	assert_fails(server, "fd:x", EINVAL);
	assert_fails(server, "192.0.2.1:0", EADDRNOTAVAIL);
	assert_fails(server, in_dir("unix:", "/none/s", file, sizeof(file)), ENOENT);
	sks_server_free(server);
}

static void
keep_error(const struct sks_log_record *record, void *arg)
{
	*(int *)arg = record->error;
}

TEST(the_record_of_a_refused_address_has_its_errno)
{
	static const char *const addresses[] = { "tls:127.0.0.1:0", "proxy:127.0.0.1:0",
		"systemd:web" };
	struct sks_server *server = new_server(ACC_FIBERS, NULL);
	size_t i;
	int error;

	sks_set_log(keep_error, &error);
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		errno = EIO;
		ck_assert_int_eq(sks_server_listen(server, addresses[i]), -1);
		ck_assert_int_eq(error, errno);
	}
	sks_set_log(NULL, NULL);
	sks_server_free(server);
}

static int
tell_tcp(struct sks_request *req)
{
	int no_delay = 0, keepalive = 0;
	socklen_t len = sizeof(int);

	getsockopt(req->fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len);
	getsockopt(req->fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &len);
	return sks_printf(req->wfile, "%d %d\n", no_delay != 0, keepalive != 0);
}

TEST(connections_have_no_delay_and_keepalive, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = tell_tcp };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "", "1 1\n");
	acc_free(&acc);
}

TEST(tcp_and_udp_servers_take_their_own_kind)
{
	char text[160];

	errno = 0;
	ck_assert_ptr_null(sks_tcp_server_new("udp:127.0.0.1:0", &acc_script, NULL));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(sks_tcp_server_new(in_dir("unix-dgram:", "/d", text, sizeof(text)),
	    &acc_script, NULL));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(sks_udp_server_new("tcp:127.0.0.1:0", &acc_script, NULL));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(sks_udp_server_new(in_dir("unix:", "/d", text, sizeof(text)),
	    &acc_script, NULL));
	ck_assert_int_eq(errno, EINVAL);
}

TEST(udp_server_needs_no_prefix)
{
	struct sks_server *server = sks_udp_server_new("127.0.0.1:0", &acc_script, NULL);
	int type = 0;
	socklen_t len = sizeof(type);

	ck_assert_ptr_nonnull(server);
	getsockopt(sks_server_fileno(server, 0), SOL_SOCKET, SO_TYPE, &type, &len);
	ck_assert_int_eq(type, SOCK_DGRAM);
	sks_server_free(server);
}

/* A child process has a copy of its client's socket, here: so it would wait for that one's end. */
TEST(an_address_with_its_scheme_can_be_connected_to, EACH_TRANSPORT)
{
	struct sks_options options = { .linger_ms = 1 };
	struct sks_client *client;
	char address[160];
	struct acc acc;

	acc_all(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	ck_assert_ptr_nonnull(sks_server_listen_address(acc.server, 0, address, sizeof(address)));
	client = sks_connect(address, 5000);
	ck_assert_ptr_nonnull(client);
	ck_assert_int_eq(sks_puts(client->wfile, "echo\nd\n"), 0);
	ck_assert_str_eq(sks_gets(client->rfile), "echo");
	ck_assert_int_eq(sks_client_close(client), 0);
	errno = 0;
	ck_assert_ptr_null(sks_server_listen_address(acc.server, 99, address, sizeof(address)));
	ck_assert_int_eq(errno, ENOENT);
	acc_stop(&acc);
	acc_free(&acc);
}

/* No child that a handler starts inherits anything. */
TEST(descriptors_are_closed_on_exec, EACH_TRANSPORT)
{
	struct acc acc;

	acc_all(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(fcntl(sks_server_fileno(acc.server, 0), F_GETFD), FD_CLOEXEC);
	acc_free(&acc);
}

/* -- inherited sockets -- */

TEST(inherited_socket_is_served_and_closed, EACH_TRANSPORT)
{
	struct acc acc, heir = { 0 };
	char text[32];
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	if (acc.mode->reuse_port) { /* there are two: who asks there may find either */
		acc_free(&acc);
		return;
	}
	fd = fcntl(sks_server_fileno(acc.server, 0), F_DUPFD, 100);
	heir = acc;
	heir.server = new_server(_i / 4, NULL);
	snprintf(text, sizeof(text), "fd:%d", fd);
	ck_assert_int_eq(sks_server_listen(heir.server, text), 0);
	ck_assert_int_eq(sks_server_fileno(heir.server, 0), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_str_eq(sks_server_address(heir.server, 0, heir.address, sizeof(heir.address)),
	    acc.address);
	acc_start(&heir);
	acc_ask(&heir, "echo\nd\n", "echo\n");
	acc_free(&heir);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	/* A socket file is not the heir's to remove: who bound it still serves there. */
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}

TEST(refuses_to_inherit_what_does_not_listen, EACH_MODE)
{
	struct sks_server *server = new_server(_i, NULL);
	char text[32];
	int fds[2], fd;

	assert_fails(server, "fd:999", EBADF);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	errno = 0;
	snprintf(text, sizeof(text), "fd:%d", fds[0]);
	ck_assert_int_eq(sks_server_listen(server, text), -1);
	ck_assert_int_eq(errno, ENOTSOCK);
	snprintf(text, sizeof(text), "fd:%d", fd);
	ck_assert_int_eq(sks_server_listen(server, text), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_lines(), 3);
	close(fds[0]);
	close(fds[1]);
	close(fd);
	sks_server_free(server);
}
