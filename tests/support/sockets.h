/* SPDX-License-Identifier: MIT */
/*
 * sockets.h - what the suites of socket objects share: sockets that are bound or a pair, and
 * another task beside the one that runs the test.
 */
#ifndef SKS_TEST_SOCKETS_H
#define SKS_TEST_SOCKETS_H

#include "harness.h"
#include "rig.h"

void pair_of(struct sks_socket *pair[2], int type);
void free_pair(struct sks_socket *pair[2]);

/* A new socket, bound to an address; "unix:..." has the process's number added. */
struct sks_socket *bound(const char *address, int type);

/* Its own address. */
void name_of(struct sks_socket *s, struct sockaddr_storage *addr, socklen_t *len);

/* sks_socket_connect() to another one's address. */
int connect_to(struct sks_socket *s, struct sks_socket *server);

/* What another task does meanwhile: a fiber beside a fiber, a thread beside a thread. */
struct aside {
	void (*run)(void *);
	void *arg;
	pthread_t thread;
	int over;
};

void begin_aside(struct aside *aside, void (*run)(void *), void *arg);
void end_aside(struct aside *aside);

#endif
