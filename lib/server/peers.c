/* SPDX-License-Identifier: MIT */
/*
 * A table of the networks that have connections, or have had some just now.
 *
 * The limit of new connections a second is a token bucket, which holds the tokens of one second.
 * A network without a connection is forgotten when its bucket is full again; find() checks that
 * for the other networks of a slot. So there are no more entries than connections that were open
 * at once, or came within a second.
 */
#include "server/peers.h"

#include "base/addr.h"
#include "base/list.h"
#include "base/sys.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 1024
#define TOKEN 1000 /* what a connection costs; a network gains rate of these each millisecond */

struct network {
	uint64_t high, low; /* the address, with zeroes behind its prefix */
	int family;
};

struct sks_peer {
	struct sks_list link;
	struct network network;
	int open;       /* connections that it has now */
	int64_t tokens; /* what its bucket held at the time `at` */
	int64_t at;     /* milliseconds of sks_clock_ms() */
};

struct sks_peers {
	pthread_mutex_t lock;
	int most;       /* connections of a network at once; 0: any number */
	int rate;       /* new connections of a network a second; 0: any number */
	int bits4, bits6;
	struct sks_list slots[SLOTS];
};

struct sks_peers *
sks_peers_new(const struct sks_options *options)
{
	struct sks_peers *peers = sks_sys_calloc(1, sizeof(*peers));
	int i;

	if (peers == NULL)
		return NULL;
	pthread_mutex_init(&peers->lock, NULL);
	peers->most = options->max_per_peer;
	peers->rate = options->rate_per_peer;
	peers->bits4 = options->peer_bits4;
	peers->bits6 = options->peer_bits6;
	for (i = 0; i < SLOTS; i++)
		sks_list_init(&peers->slots[i]);
	return peers;
}

static void
forget(struct sks_peer *peer)
{
	sks_list_remove(&peer->link);
	sks_sys_free(peer);
}

void
sks_peers_free(struct sks_peers *peers)
{
	struct sks_list *link;
	int i;

	if (peers == NULL)
		return;
	for (i = 0; i < SLOTS; i++)
		while ((link = sks_list_pop(&peers->slots[i])) != NULL)
			sks_sys_free(sks_list_entry(link, struct sks_peer, link));
	pthread_mutex_destroy(&peers->lock);
	sks_sys_free(peers);
}

/* -- networks -- */

static uint64_t
number_of(const unsigned char *bytes, int n)
{
	uint64_t number = 0;
	int i;

	for (i = 0; i < n; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* The first n bits of a number of 64. */
static uint64_t
first_bits(uint64_t number, int n)
{
	return n <= 0 ? 0 : n >= 64 ? number : number & ~(UINT64_MAX >> n);
}

static void
take_ipv4(struct network *network, const unsigned char *bytes, int bits)
{
	network->family = AF_INET;
	network->high = first_bits(number_of(bytes, 4) << 32, bits);
	network->low = 0;
}

/* Finds the network of an address. 1, or 0: it is of none, as that of a Unix socket. */
static int
network_of(const struct sks_peers *peers, const struct sockaddr *address, socklen_t len,
    struct network *network)
{
	struct sks_addr addr = { .len = len };
	const unsigned char *bytes = addr.u.in6.sin6_addr.s6_addr;

	if (len > 0)
		memcpy(&addr.u, address, len);
	if (len == 0 || (addr.u.any.sa_family != AF_INET && addr.u.any.sa_family != AF_INET6))
		return 0;
	if (addr.u.any.sa_family == AF_INET) {
		take_ipv4(network, (const unsigned char *)&addr.u.in.sin_addr, peers->bits4);
	} else if (IN6_IS_ADDR_V4MAPPED(&addr.u.in6.sin6_addr)) {
		take_ipv4(network, bytes + 12, peers->bits4);
	} else {
		network->family = AF_INET6;
		network->high = first_bits(number_of(bytes, 8), peers->bits6);
		network->low = first_bits(number_of(bytes + 8, 8), peers->bits6 - 64);
	}
	return 1;
}

static int
is_same(const struct network *a, const struct network *b)
{
	return a->high == b->high && a->low == b->low && a->family == b->family;
}

/* The finish of MurmurHash3, as in replies.c. */
static size_t
slot_of(const struct network *network)
{
	uint64_t n = network->high ^ network->low * 0x9e3779b97f4a7c15;

	n = (n ^ n >> 33) * 0xff51afd7ed558ccd;
	n = (n ^ n >> 33) * 0xc4ceb9fe1a85ec53;
	return (n ^ n >> 33) % SLOTS;
}

/* -- entries, under the lock -- */

static int64_t
tokens_at(const struct sks_peers *peers, const struct sks_peer *peer, int64_t now)
{
	int64_t full = (int64_t)peers->rate * TOKEN, ms = now - peer->at;

	return ms >= 1000 ? full : sks_min64(full, peer->tokens + ms * peers->rate);
}

/* An entry without connections and with a full bucket says no more than a missing entry does. */
static int
is_over(const struct sks_peers *peers, const struct sks_peer *peer, int64_t now)
{
	return peer->open == 0 && tokens_at(peers, peer, now) >= (int64_t)peers->rate * TOKEN;
}

/*
 * Returns the entry of a network, or NULL. On the way it forgets other entries of that slot which
 * are over.
 */
static struct sks_peer *
find(struct sks_peers *peers, const struct network *network, int64_t now)
{
	struct sks_list *slot = &peers->slots[slot_of(network)];
	struct sks_peer *found = NULL;

	sks_list_each (link, slot) {
		struct sks_peer *peer = sks_list_entry(link, struct sks_peer, link);

		if (is_same(&peer->network, network))
			found = peer;
		else if (is_over(peers, peer, now))
			forget(peer);
	}
	return found;
}

static struct sks_peer *
add(struct sks_peers *peers, const struct network *network, int64_t now)
{
	struct sks_peer *peer = sks_sys_calloc(1, sizeof(*peer));

	if (peer == NULL)
		return NULL;
	peer->network = *network;
	peer->tokens = (int64_t)peers->rate * TOKEN;
	peer->at = now;
	sks_list_push(&peers->slots[slot_of(network)], &peer->link);
	return peer;
}

/* Counts a new connection, unless it is over a limit. Returns what sks_peers_enter() does. */
static int
enter(struct sks_peers *peers, struct sks_peer *peer, int64_t now)
{
	if (peers->most > 0 && peer->open >= peers->most)
		return SKS_REJECTED_PEER;
	peer->tokens = tokens_at(peers, peer, now);
	peer->at = now;
	if (peers->rate > 0 && peer->tokens < TOKEN)
		return SKS_REJECTED_RATE;
	peer->tokens -= peers->rate > 0 ? TOKEN : 0;
	peer->open++;
	return 0;
}

int
sks_peers_enter(struct sks_peers *peers, const struct sockaddr *address, socklen_t len, int64_t now,
    struct sks_peer **peer)
{
	struct network network;
	struct sks_peer *one;
	int why = -1;

	*peer = NULL;
	if (!network_of(peers, address, len, &network))
		return 0;
	pthread_mutex_lock(&peers->lock);
	one = find(peers, &network, now);
	if (one == NULL)
		one = add(peers, &network, now);
	if (one != NULL)
		why = enter(peers, one, now);
	if (why == 0)
		*peer = one;
	pthread_mutex_unlock(&peers->lock);
	return why;
}

void
sks_peers_leave(struct sks_peers *peers, struct sks_peer *peer)
{
	if (peer == NULL)
		return;
	pthread_mutex_lock(&peers->lock);
	if (--peer->open == 0 && peers->rate == 0)
		forget(peer);
	pthread_mutex_unlock(&peers->lock);
}
