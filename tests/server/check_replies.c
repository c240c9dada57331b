/* SPDX-License-Identifier: MIT */
/*
 * check_replies.c - sks_admit_reply(): which datagrams may be answered.
 */
#include "acceptance.h"

#include "base/clock.h"
#include "server/call.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
answer(struct sks_request *req)
{
	return sks_admit_reply(req) ? sks_puts(req->wfile, "yes") : SKS_DONE;
}

static const struct sks_handler handler = { .handle = answer };

/* A socket with the port of this address, on another address of this machine. */
static int
with_the_port_of(const char *address)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, "127.0.0.2", &name.sin_addr);
	name.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static void
ask(int fd, const char *address)
{
	union peer_name name;
	socklen_t len = peer_name(address, &name);

	ck_assert_int_eq(sendto(fd, "?", 1, 0, &name.any, len), 1);
}

FIXTURE(acc_setup, acc_teardown);

/* Both are of one server, and an answer of one to the other would never end. */
TEST(no_listener_of_the_server_is_answered, EACH_MODE)
{
	char first[128], second[128];
	int own, twin, fd;
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	ck_assert_int_eq(sks_server_listen(acc.server, "udp:127.0.0.1:0"), 0);
	ck_assert_int_eq(sks_server_listen(acc.server, "udp:127.0.0.1:0"), 0);
	sks_server_address(acc.server, 1, first, sizeof(first));
	sks_server_address(acc.server, 2, second, sizeof(second));
	acc_start(&acc);
	own = with_the_port_of(first);
	twin = with_the_port_of(second);
	ask(own, first);
	ask(twin, first);
	fd = peer_datagram(first, NULL);
	peer_puts(fd, "?");
	peer_expect(fd, "yes");
	acc_stop(&acc);
	ck_assert(peer_is_silent(own));
	ck_assert(peer_is_silent(twin));
	close(own);
	close(twin);
	close(fd);
	acc_free(&acc);
}

TEST(connections_and_unix_sockets_are_always_answered, EACH_TRANSPORT)
{
	struct acc acc;
	int i;

	acc_all(&acc, _i, &handler, NULL);
	acc_start(&acc);
	for (i = 0; i < 150 && acc.transport != ACC_UDP; i++) {
		int fd = acc_client(&acc);

		if (!acc_is_stream(&acc))
			peer_puts(fd, "?");
		peer_expect(fd, "yes");
		close(fd);
	}
	acc_free(&acc);
}

/* -- senders that are forged -- */

static struct sks_shared shared;
static struct sks_service service = { .shared = &shared };

static int
admits(int family, const char *host, int port)
{
	union peer_name name = { .any.sa_family = (sa_family_t)family };
	struct sockaddr_in *in = (struct sockaddr_in *)&name.storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&name.storage;
	struct sks_call call = { .service = &service, .datagram = 1, .req.peer = &name.any };

	if (family == AF_INET) {
		in->sin_port = htons((uint16_t)port);
		ck_assert_int_eq(inet_pton(AF_INET, host, &in->sin_addr), 1);
		call.req.peer_len = sizeof(*in);
	} else {
		in6->sin6_port = htons((uint16_t)port);
		ck_assert_int_eq(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
		call.req.peer_len = sizeof(*in6);
	}
	return sks_admit_reply(&call.req);
}

TEST(no_port_below_1024_is_answered)
{
	static const int ports[] = { 0, 1, 7, 53, 1023 };
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		ck_assert(!admits(AF_INET, "10.0.0.1", ports[i]));
		ck_assert(!admits(AF_INET6, "fd00::1", ports[i]));
		ck_assert(!admits(AF_INET6, "::ffff:10.0.0.1", ports[i]));
	}
	ck_assert(admits(AF_INET, "10.0.0.1", 1024));
	ck_assert(admits(AF_INET6, "fd00::1", 65535));
}

/* How many of so many questions at once are answered; *seconds: in how many, begun ones too. */
static int
answers(int family, const char *host, int questions, int *seconds)
{
	int64_t begin = sks_clock_ms() / 1000;
	int i, n = 0;

	for (i = 0; i < questions; i++)
		n += admits(family, host, 2000 + i);
	*seconds = (int)(sks_clock_ms() / 1000 - begin) + 1;
	return n;
}

/* Whatever its port is: the victim of a forger is a machine. */
TEST(answers_to_one_sender_are_limited, TIMES(3))
{
	static const struct {
		int family;
		const char *host, *same, *other;
	} of[] = {
		{ AF_INET, "192.0.2.1", "192.0.2.1", "192.0.2.2" },
		{ AF_INET6, "::ffff:192.0.2.3", "::ffff:192.0.2.3", "::ffff:192.0.2.4" },
		{ AF_INET6, "2001:db8::1", "2001:db8::2:3:4:5", "2001:db8:0:1::1" },
	};
	int seconds, more, n = answers(of[_i].family, of[_i].host, 1000, &seconds);

	ck_assert_int_ge(n, 100);
	ck_assert_int_le(n, 100 * seconds);
	n = answers(of[_i].family, of[_i].same, 100, &more);
	ck_assert(seconds + more > 2 || n == 0);
	ck_assert_int_eq(answers(of[_i].family, of[_i].other, 100, &seconds), 100);
}

/* They get enough again: a limit is not a ban. */
TEST(each_second_has_its_own_answers)
{
	int seconds;

	answers(AF_INET, "192.0.2.5", 1000, &seconds);
	ck_eventually(admits(AF_INET, "192.0.2.5", 2000));
}
