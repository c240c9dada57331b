/* SPDX-License-Identifier: MIT */
/*
 * connect.c - clients: from the text of an address to a connection's streams.
 */
#include "base/clock.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/lookup.h"
#include "base/sys.h"
#include "base/util.h"
#include "loop/wait.h"
#include "socket/client.h"
#include "socket/race.h"
#include "socket/socket.h"
#include "stream/flush.h"
#include "stream/tls.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <socketserver/resolve.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_MS 30000
#define LINE 800 /* of the log, at most */

/*
 * An attempt to connect to an address. The reason of a failure goes into the text at why, of that
 * size, if it is quiet, else into the log.
 */
struct trial {
	const char *address;
	int is_quiet;
	char *why;
	size_t size;
};

/*
 * Tells why there is no connection, and returns NULL. addr is the last one that was tried, or NULL;
 * why is NULL if errno says it.
 */
static void *
fail(const struct trial *t, const struct sks_addr *addr, const char *why)
{
	char text[SKS_ADDR_TEXT] = "", line[LINE];
	int error = errno;

	if (error == ECANCELED && !t->is_quiet)
		return NULL;
	if (addr != NULL)
		sks_addr_format(&addr->u.any, addr->len, text, sizeof(text));
	if (strcmp(text, t->address) == 0)
		text[0] = '\0';
	snprintf(line, sizeof(line), "connect %s%s%s%s: %s", t->address,
	    text[0] != '\0' ? " (" : "", text, text[0] != '\0' ? ")" : "",
	    why != NULL ? why : strerror(error));
	if (t->is_quiet)
		snprintf(t->why, t->size, "%s", line);
	else
		sks_log_limited(&atomic_load(&sks_log_counts)->connects, SKS_LOG_LINES,
		    sks_log_origin(), SKS_LOG_ERROR, error, "%s", line);
	errno = error;
	return NULL;
}

/* Returns in words why a name has no address. NULL: errno says it. */
static const char *
why_not_found(void)
{
	int code = sks_gai_error();

	return code != 0 && code != EAI_SYSTEM ? sks_lookup_why(code) : NULL;
}

/* Looks the host up, before the deadline. 0, or -1. */
static int
look_up(const struct sks_endpoint *ep, struct addrinfo **list, int64_t deadline)
{
	struct addrinfo hints = { .ai_socktype = ep->scheme->type };

	return sks_getaddrinfo(ep->host[0] != '\0' ? ep->host : NULL, ep->port, &hints, list,
	    sks_clock_left(deadline));
}

static struct sks_addr *
find_addresses(const struct trial *t, const struct sks_endpoint *ep, size_t *n, int64_t deadline)
{
	struct addrinfo *list;
	struct sks_addr *addrs;
	const char *why = NULL;
	int error;

	if (sks_endpoint_is_direct(ep)) {
		addrs = sks_endpoint_resolve(ep, 0, n, &why);
		return addrs != NULL ? addrs : fail(t, NULL, why);
	}
	if (look_up(ep, &list, deadline) == -1)
		return fail(t, NULL, why_not_found());
	addrs = sks_addr_list(list, n, &why);
	error = errno;
	freeaddrinfo(list);
	errno = error;
	return addrs != NULL ? addrs : fail(t, NULL, why);
}

/*
 * To a Unix socket, which has one address, and a backlog that may be full. Returns a connected
 * descriptor, or -1 with errno, after fail().
 */
static int
connect_unix(const struct trial *t, const struct sks_endpoint *ep, int timeout_ms)
{
	static const struct sockaddr any = { .sa_family = AF_UNIX };
	int type = ep->scheme->type, fd = -1, error;
	struct sks_socket *s = sks_socket_new(AF_UNIX, type, 0);

	if (s != NULL) {
		sks_socket_settimeout(s, timeout_ms);
		/* The answer to a datagram needs a name to go to: the kernel chooses one. */
		if ((type != SOCK_DGRAM || sks_socket_bind(s, &any, sizeof(any.sa_family)) == 0) &&
		    sks_socket_connect(s, &ep->addr.u.any, ep->addr.len) == 0)
			fd = sks_socket_detach(s);
	}
	if (fd == -1) {
		if (errno == EAGAIN) /* the backlog is full, and the limit is 0 */
			errno = ETIMEDOUT;
		fail(t, NULL, NULL);
	}
	error = errno;
	sks_socket_free(s);
	errno = error;
	return fd;
}

static int
connect_inet(const struct trial *t, const struct sks_endpoint *ep, int timeout_ms)
{
	static const int on = 1;
	int64_t deadline = sks_min64(sks_clock_after(timeout_ms), sks_task_current()->deadline);
	int type = ep->scheme->type, fd = -1;
	const struct sks_addr *at;
	struct sks_addr *addrs;
	size_t n;

	addrs = find_addresses(t, ep, &n, deadline);
	if (addrs == NULL)
		return -1;
	fd = sks_race(type, addrs, n, deadline, &at);
	if (fd == -1)
		fail(t, at, NULL);
	sks_sys_free(addrs);
	if (fd != -1 && type == SOCK_STREAM)
		(void)sks_sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Makes the streams of fd, or closes it. NULL: ENOMEM. */
static struct sks_client *
open_client(const struct trial *t, int fd, int timeout_ms)
{
	struct sks_socket *s = sks_sock_wrap(fd);
	struct sks_client *client = NULL;

	if (s != NULL) {
		sks_socket_settimeout(s, timeout_ms);
		client = sks_socket_makefile(s, "rw");
	}
	if (client != NULL) {
		sks_client_take_socket(client);
		return client;
	}
	fail(t, NULL, NULL);
	sks_socket_free(s);
	return NULL;
}

/* A connected client, without TLS. NULL with errno, after fail(). */
static struct sks_client *
connect_to(const struct trial *t, const struct sks_endpoint *ep, int timeout_ms)
{
	int fd;

	if (ep->scheme->kind == SKS_DESCRIPTOR) {
		errno = EINVAL;
		return fail(t, NULL,
		    "a descriptor is not connected to: sks_socket_makefile()");
	}
	sks_flush_dirty();
	if (ep->scheme->kind == SKS_UNIX_PATH)
		fd = connect_unix(t, ep, timeout_ms);
	else
		fd = connect_inet(t, ep, timeout_ms);
	return fd != -1 ? open_client(t, fd, timeout_ms) : NULL;
}

/* Gives a new client TLS, or closes it. */
static struct sks_client *
shake_hands(struct sks_client *client, const struct trial *t, const struct sks_endpoint *ep,
    struct sks_tls *tls, int64_t deadline)
{
	char why[SKS_TLS_WHY];
	int error;

	if (sks_client_shake_hands(client, tls, ep->host, deadline, why) == 0)
		return client;
	error = errno;
	sks_client_close(client);
	errno = error;
	if (why[0] == '\0' && !t->is_quiet)
		return NULL; /* the log has it, or nobody asks: it was cancelled */
	return fail(t, NULL, why[0] != '\0' ? why : NULL);
}

/* with_tls: also where the address does not say so. */
static struct sks_client *
connect_with(const struct trial *t, int with_tls, struct sks_tls *tls, int timeout_ms)
{
	struct sks_endpoint ep;
	struct sks_client *client;
	const char *why;
	int64_t deadline;

	if (sks_limit_set(&timeout_ms, timeout_ms, DEFAULT_MS) == -1)
		return fail(t, NULL, "no such time limit");
	if (sks_endpoint_parse(&ep, t->address, &why) == -1)
		return fail(t, NULL, why);
	if (ep.is_proxy) {
		errno = EINVAL;
		return fail(t, NULL, "proxy: is for servers");
	}
	with_tls |= ep.is_tls;
	if (with_tls && !sks_tls_is_built_in()) {
		errno = ENOTSUP;
		return fail(t, NULL, "this library was built without TLS");
	}
	deadline = sks_clock_after(timeout_ms);
	client = connect_to(t, &ep, timeout_ms);
	if (client == NULL || !with_tls)
		return client;
	return shake_hands(client, t, &ep, tls, deadline);
}

struct sks_client *
sks_connect(const char *address, int timeout_ms)
{
	return connect_with(&(struct trial){ .address = address }, 0, NULL, timeout_ms);
}

struct sks_client *
sks_connect_quiet(const char *address, int timeout_ms, char *why, size_t size)
{
	struct trial t = { address, 1, why, why != NULL ? size : 0 };

	return connect_with(&t, 0, NULL, timeout_ms);
}

struct sks_client *
sks_connect_tls(const char *address, struct sks_tls *tls, int timeout_ms)
{
	return connect_with(&(struct trial){ .address = address }, 1, tls, timeout_ms);
}

struct sks_client *
sks_connect_tls_quiet(const char *address, struct sks_tls *tls, int timeout_ms, char *why,
    size_t size)
{
	struct trial t = { address, 1, why, why != NULL ? size : 0 };

	return connect_with(&t, 1, tls, timeout_ms);
}
