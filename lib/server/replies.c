/* SPDX-License-Identifier: MIT */
/*
 * The sender of a datagram may be forged. So one datagram can make a service answer
 * itself, or two services answer each other, without end, and it can have a service
 * send its answers to somebody who never asked.
 *
 * Ports where services are get no answer: those below 1024, as inetd(8) does it, and
 * this server's own. Other services may be anywhere; so the answers to one sender are
 * limited, which ends such a talk: it is over with the first answer that is missing.
 *
 * Senders share the slots of a table by a hash of their addresses. A table with an
 * entry for each sender would forget old ones when it is full, and whoever forges
 * enough senders could make it forget.
 */
#include "server/replies.h"

#include "base/addr.h"
#include "base/clock.h"
#include "base/sys.h"

#include <string.h>

#define PORT_FIRST 1024 /* the first one that is not for services */

void
sks_replies_add_listener(struct sks_replies *replies, int fd)
{
	struct sks_addr addr = { .len = sizeof(addr.u) };
	int port;

	if (sks_sys_getsockname(fd, &addr.u.any, &addr.len) == -1)
		return;
	port = sks_addr_port(&addr);
	if (port > 0)
		atomic_fetch_or(&replies->own_ports[port / 64], (uint64_t)1 << port % 64);
}

/* An IPv4 address, or the 64 bits of an IPv6 address that name its network. */
static uint64_t
network_of(const struct sks_addr *addr)
{
	const unsigned char *bytes = addr->u.in6.sin6_addr.s6_addr;
	uint64_t network = 0;

	if (addr->u.any.sa_family == AF_INET)
		return addr->u.in.sin_addr.s_addr;
	if (IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr))
		memcpy(&network, bytes + 12, 4);
	else
		memcpy(&network, bytes, 8);
	return network;
}

/* Each bit of the network changes about half of the hash: the finish of MurmurHash3. */
static size_t
slot_of(uint64_t network)
{
	network = (network ^ network >> 33) * 0xff51afd7ed558ccd;
	network = (network ^ network >> 33) * 0xc4ceb9fe1a85ec53;
	return (network ^ network >> 33) % SKS_REPLY_SLOTS;
}

/* Counts one answer. Returns 0 when this sender has had as many in this second as it gets. */
static int
take_one(struct sks_replies *replies, const struct sks_addr *peer)
{
	_Atomic uint64_t *slot = &replies->slots[slot_of(network_of(peer))];
	uint64_t second = (uint64_t)(sks_clock_ms() / 1000) << 32, had = atomic_load(slot), next;

	do {
		next = (had >> 32 == second >> 32 ? had : second) + 1;
		if ((uint32_t)next > SKS_REPLIES_A_SECOND)
			return 0;
	} while (!atomic_compare_exchange_weak(slot, &had, next));
	return 1;
}

int
sks_replies_take(struct sks_replies *replies, const struct sockaddr *peer, socklen_t len)
{
	struct sks_addr addr = { .len = len };
	int port;

	if (len > 0)
		memcpy(&addr.u, peer, len);
	port = len > 0 ? sks_addr_port(&addr) : -1;
	if (port == -1) /* a Unix socket: its name is its own */
		return 1;
	return port >= PORT_FIRST &&
	    (atomic_load(&replies->own_ports[port / 64]) >> port % 64 & 1) == 0 &&
	    take_one(replies, &addr);
}
