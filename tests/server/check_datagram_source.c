/* SPDX-License-Identifier: MIT */
/*
 * check_datagram_source.c - the address that replies leave from, also when the datagram was for
 * many.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

/* A client whose socket is connected takes replies from the address it asked only. */
TEST(reply_leaves_from_the_address_asked, TIMES(ACC_MODES * 2))
{
	static const char *const listen[] = { "udp:0.0.0.0:0", "udp::0" };
	struct acc acc = { 0 };
	char text[160], address[64];
	struct sks_options options = acc_options(&acc_modes[_i / 2], NULL);
	int fd, i;

	acc.server = sks_udp_server_new(listen[_i % 2], &acc_script, &options);
	ck_assert_ptr_nonnull(acc.server);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 0, text, sizeof(text)));
	acc_start(&acc);
	for (i = 1; i <= 3; i++) {
		snprintf(address, sizeof(address), "127.0.0.%d%s", i, strrchr(text, ':'));
		fd = peer_datagram(address, NULL);
		peer_puts(fd, "echo\n");
		peer_expect(fd, "echo\n");
		close(fd);
	}
	if (strncmp(text, "[::]", 4) == 0) {
		snprintf(address, sizeof(address), "[::1]%s", strrchr(text, ':'));
		fd = peer_datagram(address, NULL);
		peer_puts(fd, "echo\n");
		peer_expect(fd, "echo\n");
		close(fd);
	}
	acc_free(&acc);
}

/*
 * A datagram to many has no source for its reply in its destination. The second
 * socket is for both families.
 */
static const struct to_many {
	const char *name, *listen, *to;
} to_many[] = {
	{ "broadcast", "udp:0.0.0.0:0", "127.255.255.255" },
	{ "broadcast, both families", "udp::0", "127.255.255.255" },
	{ "group", "udp:0.0.0.0:0", "239.255.77.1" },
	{ "group, both families", "udp::0", "239.255.77.1" },
	{ "group of IPv6", "udp::0", "ff02::77" },
};

/* Both join the group on the loopback interface, where they can. */
static void
join(const struct to_many *m, int server, int client)
{
	struct ip_mreq mreq = { .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	inet_pton(AF_INET, m->to, &mreq.imr_multiaddr);
	setsockopt(client, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	setsockopt(server, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq));
	setsockopt(client, IPPROTO_IP, IP_MULTICAST_IF, &mreq.imr_interface, sizeof(mreq.imr_interface));
}

static int
say(int fd, const union peer_name *name, socklen_t len)
{
	return sendto(fd, "echo\n", 5, 0, &name->any, len) == 5;
}

/* The loopback interface has no groups of IPv6: on the first one that has. */
static int
say_in6(const struct to_many *m, int server, int client, union peer_name *name, socklen_t len)
{
	struct sockaddr_in6 *to = (struct sockaddr_in6 *)&name->storage;
	struct if_nameindex *all = if_nameindex(), *i;
	int said = 0;

	for (i = all; i != NULL && i->if_index != 0 && !said; i++) {
		struct ipv6_mreq mreq = { .ipv6mr_interface = i->if_index };

		inet_pton(AF_INET6, m->to, &mreq.ipv6mr_multiaddr);
		to->sin6_scope_id = i->if_index;
		setsockopt(server, IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq, sizeof(mreq));
		setsockopt(client, IPPROTO_IPV6, IPV6_MULTICAST_IF, &mreq.ipv6mr_interface,
		    sizeof(mreq.ipv6mr_interface));
		said = say(client, name, len);
	}
	if_freenameindex(all);
	return said;
}

/* 0: there is no such thing here. */
static int
say_to_many(const struct to_many *m, int server, int client, const char *port)
{
	int v6 = strchr(m->to, ':') != NULL;
	union peer_name name;
	char address[80];
	socklen_t len;

	snprintf(address, sizeof(address), v6 ? "[%s]:%s" : "%s:%s", m->to, port);
	len = peer_name(address, &name);
	if (v6)
		return say_in6(m, server, client, &name, len);
	join(m, server, client);
	return say(client, &name, len);
}

TEST(what_was_sent_to_many_is_answered, EACH_OF(to_many))
{
	const struct to_many *m = &to_many[_i];
	int family = strchr(m->to, ':') != NULL ? AF_INET6 : AF_INET, fd, mode;
	struct acc acc = { 0 };
	char text[160];

	for (mode = 0; mode < ACC_MODES; mode++) {
		struct sks_options options = acc_options(&acc_modes[mode], NULL);

		acc.server = sks_udp_server_new(m->listen, &acc_script, &options);
		ck_assert_ptr_nonnull(acc.server);
		ck_assert_ptr_nonnull(sks_server_address(acc.server, 0, text, sizeof(text)));
		acc_start(&acc);
		fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (say_to_many(m, sks_server_fileno(acc.server, 0), fd, strrchr(text, ':') + 1))
			peer_expect(fd, "echo\n");
		close(fd);
		acc_free(&acc);
	}
	ck_assert_int_eq(log_lines(), 0);
}

/* As when the address that was asked has been removed meanwhile. */
static const char *const refusals[] = { "EINVAL", "ENETUNREACH", "EADDRNOTAVAIL", "ENODEV", "EPERM" };

TEST(a_reply_does_not_depend_on_its_source, EACH_OF(refusals))
{
	static const char *const listen[] = { "udp:127.0.0.1:0", "udp:[::1]:0", "udp::0" };
	struct acc acc = { 0 };
	char rule[64];
	int i;

	snprintf(rule, sizeof(rule), "sendmsg:%s:1", refusals[_i]);
	for (i = 0; i < 3 * ACC_MODES; i++) {
		struct sks_options options = acc_options(&acc_modes[i / 3], NULL);

		acc.server = sks_udp_server_new(listen[i % 3], &acc_script, &options);
		ck_assert_ptr_nonnull(acc.server);
		ck_assert_ptr_nonnull(
		    sks_server_address(acc.server, 0, acc.address, sizeof(acc.address)));
		acc.transport = ACC_UDP;
		ck_assert_int_eq(sks_fault(rule), 0);
		acc_start(&acc);
		acc_ask(&acc, "echo\n", "echo\n");
		acc_stop(&acc);
		ck_assert_uint_eq(acc_stats(&acc).failed, 0);
		acc_free(&acc);
		sks_fault_clear();
	}
	ck_assert_int_eq(log_lines(), 0);
}
