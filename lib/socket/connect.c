/* SPDX-License-Identifier: MIT */
/*
 * Clients: from the text of an address to a connection's streams.
 *
 * If a host has several addresses they are tried as RFC 8305 says ("happy eyeballs"): in a race
 * of attempts that begin one after the other. One task runs the race, and waits for all of its
 * sockets at once. A fiber for each attempt was the alternative, but a thread has none.
 */
#include "base/clock.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/lookup.h"
#include "base/sys.h"
#include "base/util.h"
#include "socket/client.h"
#include "socket/socket.h"
#include "stream/flush.h"
#include "stream/tls.h"
#include "loop/wait.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <socketserver/resolve.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_MS 30000
#define STAGGER_MS 250
#define LINE 800 /* of the log, at most */

struct attempt {
	struct sks_addr addr;
	int fd; /* -1: it has not begun, or is over */
	int error;
};

struct race {
	int type;
	struct attempt *tries;
	struct pollfd *fds;  /* of the same index, and room for sks_wait_set() */
	size_t n;
	size_t begun;
	size_t open;         /* how many have begun and are not over */
	int64_t deadline;
	int64_t next_at;     /* when the next attempt begins at the latest */
};

/* ---- what goes wrong ---- */

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

/* Returns how far an attempt has come that has ended with this error. */
static int
progress(int error)
{
	switch (error) {
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		return 0;
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return 1;
	case ETIMEDOUT:
		return 2;
	case ECONNREFUSED:
	case ECONNRESET:
		return 3;
	default: /* EMFILE, EACCES: no other address can do better */
		return 4;
	}
}

static const struct attempt *
furthest(const struct race *race)
{
	const struct attempt *best = &race->tries[0];
	size_t i;

	for (i = 1; i < race->begun; i++)
		if (progress(race->tries[i].error) > progress(best->error))
			best = &race->tries[i];
	return best;
}

/* ---- the race ---- */

static void
end_attempt(struct race *race, struct attempt *a, int error)
{
	sks_sys_close(a->fd);
	a->fd = -1;
	a->error = error;
	race->open--;
	race->next_at = 0;
}

/* Begins the next attempt. Returns 1 when it is connected at once. */
static int
begin_attempt(struct race *race)
{
	struct attempt *a = &race->tries[race->begun++];

	race->next_at = 0;
	a->fd = sks_sys_socket(a->addr.u.any.sa_family,
	    race->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd == -1) {
		a->error = errno;
		return 0;
	}
	race->open++;
	if (sks_sys_connect(a->fd, &a->addr.u.any, a->addr.len) == 0)
		return 1;
	if (errno == EINPROGRESS || errno == EINTR)
		race->next_at = sks_clock_after(STAGGER_MS);
	else
		end_attempt(race, a, errno);
	return 0;
}

/* The attempt has an event. 1: it is connected; 0: it has failed. */
static int
look_at(struct race *race, struct attempt *a)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (sks_sys_getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0)
		return 1;
	end_attempt(race, a, error);
	return 0;
}

/* Waits for events of the attempts, or until the next one begins. 0, or -1: the race is over. */
static int
await_attempts(struct race *race)
{
	int64_t until = race->deadline;
	size_t i;

	if (race->begun < race->n)
		until = sks_min64(until, race->next_at);
	for (i = 0; i < race->begun; i++)
		race->fds[i] = (struct pollfd){ .fd = race->tries[i].fd, .events = POLLOUT };
	if (sks_wait_set(race->fds, race->begun, until) != -1)
		return 0;
	if (sks_task_current()->wait_end != SKS_WAIT_TIMEOUT || until == race->deadline)
		return -1;
	for (i = 0; i < race->begun; i++)
		race->fds[i].revents = 0;
	return 0;
}

/* Returns the winner. NULL: errno is 0 if all have failed, else why the race is over. */
static struct attempt *
run(struct race *race)
{
	size_t i;

	for (;;) {
		if (race->begun < race->n &&
		    (race->open == 0 || sks_clock_ms() >= race->next_at)) {
			if (begin_attempt(race))
				return &race->tries[race->begun - 1];
			continue;
		}
		if (race->open == 0) {
			errno = 0;
			return NULL;
		}
		if (await_attempts(race) == -1)
			return NULL;
		for (i = 0; i < race->begun; i++)
			if (race->fds[i].revents != 0 && look_at(race, &race->tries[i]))
				return &race->tries[i];
	}
}

/* Closes all attempts but the winner. Returns that one's descriptor, or -1. */
static int
finish(struct race *race, struct attempt *winner)
{
	int fd = -1, error = errno;
	size_t i;

	if (winner != NULL) {
		fd = winner->fd;
		winner->fd = -1;
	}
	for (i = 0; i < race->begun; i++)
		if (race->tries[i].fd != -1)
			end_attempt(race, &race->tries[i], error);
	errno = error;
	return fd;
}

/* Takes an address of each family in turn; within a family their order stays. */
static void
line_up(struct race *race, const struct sks_addr *addrs)
{
	size_t next[2] = { 0, 0 }, i;
	int family = addrs[0].u.any.sa_family, turn = 0;

	for (i = 0; i < race->n; i++, turn = !turn) {
		int tries;

		for (tries = 0; tries < 2; tries++, turn = !turn) {
			size_t *at = &next[turn];

			while (*at < race->n && (addrs[*at].u.any.sa_family == family) == turn)
				++*at;
			if (*at < race->n)
				break;
		}
		race->tries[i] = (struct attempt){ .addr = addrs[next[turn]++], .fd = -1 };
	}
}

/* Returns a connected descriptor, or -1 with errno, after fail(). */
static int
race_to(const struct trial *t, int type, const struct sks_addr *addrs, size_t n, int64_t deadline)
{
	struct race race = { .type = type, .n = n, .deadline = deadline };
	int fd = -1;

	race.tries = sks_sys_calloc(n, sizeof(*race.tries));
	race.fds = sks_sys_calloc(n + SKS_CANCEL_MOST, sizeof(*race.fds));
	if (race.tries == NULL || race.fds == NULL) {
		errno = ENOMEM;
		fail(t, NULL, NULL);
	} else {
		line_up(&race, addrs);
		fd = finish(&race, run(&race));
		if (fd == -1) {
			const struct attempt *best = furthest(&race);

			if (errno == 0 || errno == ETIMEDOUT)
				errno = best->error;
			fail(t, &best->addr, NULL);
		}
	}
	sks_sys_free(race.tries);
	sks_sys_free(race.fds);
	return fd;
}

/* ---- sks_connect ---- */

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
	struct sks_addr *addrs;
	size_t n;

	addrs = find_addresses(t, ep, &n, deadline);
	if (addrs == NULL)
		return -1;
	fd = race_to(t, type, addrs, n, deadline);
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
