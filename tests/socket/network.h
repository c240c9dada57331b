/* SPDX-License-Identifier: MIT */
/*
 * network.h - a network for the suites of sks_connect(). The resolver and connect(2) are the
 * program's own: names are looked up in a table of the test, and addresses that exist nowhere but
 * in documentation, 192.0.2.N and 2001:db8::N, fail with errno N.
 */
#ifndef SKS_TEST_NETWORK_H
#define SKS_TEST_NETWORK_H

#include "harness.h"
#include "rig.h"

#include <netdb.h>
#include <semaphore.h>

#define NETWORK_MOST 12

/* What the resolver answers for every name. */
extern struct names {
	struct sockaddr_storage addrs[NETWORK_MOST]; /* in this order */
	socklen_t lens[NETWORK_MOST];
	size_t n;
	int code;    /* instead */
	int lookups;
	sem_t *gate; /* to pass first; NULL: none */
} names;

void resolves_to(const char *const *addresses, size_t n);

/* What connect(2) was asked for: the addresses in their order, a blank behind each; and when. */
extern char tried[256];
extern int64_t tried_at[NETWORK_MOST];
extern int ntried;

struct listener {
	int fd;
	int fill[3]; /* the clients that fill its backlog; -1 */
	char address[64];
};

/* backlog -1: it does not listen, and so refuses. */
void open_listener(struct listener *l, const char *address, int backlog);

/* Its backlog is full: SYNs go unanswered from here on. */
void open_silent(struct listener *l, const char *address);

void close_listener(struct listener *l);

/* The listener has a client, and they understand each other. */
void meet(struct listener *l, struct sks_client *client);

#define ck_no_connection(address, ms, error)                      \
	do {                                                      \
		errno = 0;                                        \
		ck_assert_ptr_null(sks_connect((address), (ms))); \
		ck_assert_int_eq(errno, (error));                 \
	} while (0)

/* The fixture: no_leaks, and nothing was looked up or tried yet. */
void network_setup(void);
void network_teardown(void);

#endif
