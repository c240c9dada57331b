/* SPDX-License-Identifier: MIT */
/*
 * dns.h - a name server for the suites of the resolver. What it does with a query is the first
 * label of the name: good, rubbish, late, dead.
 *
 * It listens on an address of the loopback net, and each test has a mount namespace in which
 * /etc/resolv.conf names it. Where that is not permitted those tests are left out.
 */
#ifndef SKS_TEST_DNS_H
#define SKS_TEST_DNS_H

#include "acceptance.h"

#include <netinet/in.h>

extern struct dns {
	int fd, wake;
	pthread_t thread;
	atomic_int asked; /* queries that came */
	atomic_int go;    /* answer the late ones now */
	struct sockaddr_in late_from[128];
	unsigned char late[128][512];
	size_t late_len[128];
	int nlate;
} dns;

/* Why there can be no name server of our own here; NULL: there can. */
const char *no_place(void);

/* Late ones, that have come and that come, are answered from now on. */
void answer_late_ones(void);

/*
 * Fixtures: that of acceptance.h, with a resolver that waits long or a second for this name
 * server.
 */
void dns_setup_patient(void);
void dns_setup_brief(void);
void dns_teardown(void);

#endif
