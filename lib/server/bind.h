/* SPDX-License-Identifier: MIT */
/*
 * bind.h - bound sockets: how they are opened and closed.
 */
#ifndef SKS_SERVER_BIND_H
#define SKS_SERVER_BIND_H

#include "base/list.h"
#include "base/log.h"
#include "loop/loop.h"

#include <socketserver/server.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct sks_admission;
struct sks_endpoint;
struct sks_service;
struct sks_socket_file;
struct sks_worker;

/* How a listener ends when its server stops for good (options.close_listeners). */
enum sks_listener_end {
	SKS_LISTENER_STAYS,  /* the server does not stop, or will run again */
	SKS_LISTENER_ENDS,   /* those who wait in the kernel's queue are still served */
	SKS_LISTENER_SERVED  /* nobody waits any more */
};

/* How clients come in: an address, and what comes before their own bytes there. */
struct sks_entry {
	const char *address; /* for people; the server's, which keeps it as long as it lives */
	int is_proxy; /* the header of a proxy, */
	int is_tls;   /* and behind it a handshake */
};

struct sks_listener {
	struct sks_list link;
	int fd;                /* -1: it was shut */
	int type;              /* SOCK_STREAM or SOCK_DGRAM */
	struct sks_entry entry; /* datagrams have an address alone */
	int shares_port;       /* bound with SO_REUSEPORT: it can have twins */
	struct sks_socket_file *file; /* of a Unix socket that it has bound; else NULL */

	/* For accept.c: */
	struct sks_service *service; /* of what it takes */
	char *address;         /* as it was given, for sks_server_close_address() */
	struct sks_worker *worker; /* whose loop it is on */
	struct sks_admission *admission;
	int keeps;             /* its worker serves what it takes; no other is chosen */
	struct sks_message arrival; /* carries it there */
	struct event ev;       /* input */
	struct event retry;    /* after descriptors or memory ran out */
	int armed;
	int backoff_ms;        /* 0: all is well */
	unsigned int lost;     /* datagrams, as the kernel counts them */
	int is_taking;         /* clients, just now: its memory stays */
	int dead;              /* it takes nothing any more */
	enum sks_listener_end end;
	struct sks_log_limit log;
};

static inline struct sks_listener *
sks_listener_of(struct sks_list *link)
{
	return sks_list_entry(link, struct sks_listener, link);
}

/*
 * Opens every socket of an address and appends it to listeners, an empty list. 0, or -1 with
 * errno and one line in the log; then none is opened.
 */
int sks_listener_open(const char *address, const struct sks_options *options,
    struct sks_list *listeners);

/*
 * Checks that a server can listen on the descriptor of an endpoint, as sks_listener_open() does
 * first, and that no server of this process does. Returns the type of the socket; or -1: EINVAL,
 * EBUSY or as getsockopt(2), and one line in the log.
 */
int sks_listener_check_inherited(const struct sks_endpoint *endpoint, const char *address);

/*
 * Another socket on the address of one that shares its port: the kernel spreads
 * what comes over all of them. NULL, errno and one line in the log.
 */
struct sks_listener *sks_listener_twin(const struct sks_listener *listener,
    const struct sks_options *options);

/*
 * Closes its socket, for a server that still has requests. Its file stays until
 * sks_listener_close(), as a child process that has just begun may have the socket too.
 */
void sks_listener_shut(struct sks_listener *listener);

/* Closes it, and removes its socket file: see sks_socket_file_remove(). */
void sks_listener_close(struct sks_listener *listener);

/* Closes each listener of a list, which is empty then. */
void sks_listeners_close(struct sks_list *listeners);

#endif
