/* SPDX-License-Identifier: MIT */
/*
 * Opening bound sockets. Each step names itself before it is tried, so that what
 * fails is reported with its step, its object and its reason by one place.
 */
#include "server/bind.h"

#include "base/endpoint.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/datagram.h"
#include "server/socket_file.h"
#include "stream/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define PORT_TRIES 16
#define NOTSENT_MOST 131072 /* bytes of output that the kernel keeps before they are on their way */

/* The step that has failed, and the address that it was for. */
struct failure {
	const char *step;
	struct sks_addr at;
};

static void
complain_of(const struct failure *failure)
{
	char text[SKS_ADDR_TEXT];

	sks_fail(NULL, errno, "%s %s: %m", failure->step,
	    sks_addr_format(&failure->at.u.any, failure->at.len, text, sizeof(text)));
}

static int
set_number(int fd, int level, int name, int value)
{
	return sks_sys_setsockopt(fd, level, name, &value, sizeof(value));
}

/*
 * Descriptors of all servers of the process, a bit for each. One that is given twice
 * would be closed twice, and the second time it may be somebody else's. A bit needs no
 * lock, which a child could inherit locked.
 */
#define NOTED 65536
static _Atomic uint64_t noted[NOTED / 64];

static struct sks_listener *
new_listener(int fd, int type)
{
	struct sks_listener *l = sks_sys_calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	sks_list_init(&l->link);
	l->fd = fd;
	l->type = type;
	if (fd < NOTED)
		atomic_fetch_or(&noted[fd / 64], (uint64_t)1 << fd % 64);
	return l;
}

static int
is_listened_on(int fd)
{
	return fd >= 0 && fd < NOTED && (atomic_load(&noted[fd / 64]) >> fd % 64 & 1);
}

/*
 * Accepted sockets inherit these, so they cost nothing for each connection. The kernel would take
 * megabytes for a peer that does not read, and the loop would copy them: 500 such peers kept the
 * others waiting for ten seconds. What is on its way to a peer does not count.
 */
static void
set_connection_defaults(int fd)
{
	set_number(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* we coalesce */
	set_number(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_number(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_MOST);
}

/*
 * From the look at a socket's file until it listens nobody else may look. A
 * socket of another family is simply bound.
 */
static int
bind_and_listen(struct sks_listener *l, const struct sks_addr *addr, const struct sks_options *o,
    const char **step)
{
	int lock = sks_socket_file_lock(addr), rc;

	*step = "bind";
	if (addr->u.any.sa_family == AF_UNIX)
		rc = sks_socket_file_bind(l->fd, addr, (mode_t)o->unix_mode, &l->file, step);
	else
		rc = sks_sys_bind(l->fd, &addr->u.any, addr->len);
	if (rc == 0 && l->type == SOCK_STREAM) {
		*step = "listen";
		rc = sks_sys_listen(l->fd, o->backlog);
	}
	sks_socket_file_unlock(lock);
	return rc;
}

/* Sets what a new socket of this family needs before it is bound. */
static int
set_options(struct sks_listener *l, int family, const struct sks_options *o, const char **step)
{
	if (l->type == SOCK_STREAM && family != AF_UNIX) {
		*step = "SO_REUSEADDR";
		if (set_number(l->fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
			return -1;
		set_connection_defaults(l->fd);
	}
	*step = "SO_REUSEPORT";
	l->shares_port = o->reuse_port && family != AF_UNIX;
	if (l->shares_port && set_number(l->fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
		return -1;
	*step = "IPV6_V6ONLY";
	if (family == AF_INET6 && set_number(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6only != 0) == -1)
		return -1;
	if (l->type == SOCK_DGRAM)
		sks_datagram_prepare(l->fd, family);
	return 0;
}

/* Opens one socket. NULL, with errno and *failure. */
static struct sks_listener *
open_one(const struct sks_addr *addr, int type, const struct sks_options *o,
    struct failure *failure)
{
	int family = addr->u.any.sa_family;
	struct sks_listener *l;
	int fd, error;

	*failure = (struct failure){ "socket", *addr };
	fd = sks_sys_socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return NULL;
	l = new_listener(fd, type);
	if (l != NULL && set_options(l, family, o, &failure->step) == 0 &&
	    bind_and_listen(l, addr, o, &failure->step) == 0)
		return l;
	error = errno;
	if (l != NULL)
		sks_listener_close(l);
	else
		sks_sys_close(fd);
	errno = error;
	return NULL;
}

/* Finds the address that a socket has. 0, or -1 with errno and *failure. */
static int
find_address(const struct sks_listener *l, struct sks_addr *addr, struct failure *failure)
{
	addr->len = sizeof(addr->u);
	if (sks_sys_getsockname(l->fd, &addr->u.any, &addr->len) == 0)
		return 0;
	failure->step = "getsockname";
	return -1;
}

struct sks_listener *
sks_listener_twin(const struct sks_listener *l, const struct sks_options *o)
{
	struct failure failure = { .at.len = 0 };
	struct sks_listener *twin = NULL;
	struct sks_addr addr;

	if (find_address(l, &addr, &failure) == 0)
		twin = open_one(&addr, l->type, o, &failure);
	if (twin != NULL)
		twin->entry = l->entry;
	else
		complain_of(&failure);
	return twin;
}

/* An address of a name that this machine does not have, as ::1 without IPv6. */
static int
is_not_here(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/* Opens all addresses of a name, with one port number. 0, or -1 with errno and *failure. */
static int
open_all(const struct sks_addr *addr, size_t n, int type, const struct sks_options *o,
    struct sks_list *opened, struct failure *failure)
{
	int port = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		struct sks_addr try = addr[i];
		struct sks_listener *l;

		if (port > 0)
			sks_addr_set_port(&try, port);
		l = open_one(&try, type, o, failure);
		if (l == NULL && is_not_here(errno))
			continue;
		if (l == NULL)
			return -1;
		sks_list_append(opened, &l->link);
		if (i + 1 < n && sks_addr_port(&try) == 0) {
			if (find_address(l, &try, failure) == -1)
				return -1;
			port = sks_addr_port(&try);
		}
	}
	return sks_list_empty(opened) ? -1 : 0;
}

static int
open_addresses(const struct sks_endpoint *ep, const char *address, const struct sks_options *o,
    struct sks_list *listeners)
{
	struct failure failure;
	const char *why = NULL;
	struct sks_addr *addr;
	size_t n;
	int tries, rc, error;

	addr = sks_endpoint_resolve(ep, 1, &n, &why);
	if (addr == NULL)
		return sks_fail(NULL, errno, "resolve %s: %s", address, why);
	/* The port chosen for the first address may be taken on the second. */
	for (tries = 0;; tries++) {
		rc = open_all(addr, n, ep->scheme->type, o, listeners, &failure);
		error = errno;
		if (rc == 0)
			break;
		sks_listeners_close(listeners);
		if (error != EADDRINUSE || sks_addr_port(&addr[0]) != 0 || tries == PORT_TRIES)
			break;
	}
	errno = error;
	if (rc == -1)
		complain_of(&failure);
	sks_sys_free(addr);
	errno = error;
	return rc;
}

/* Returns what is wrong with an inherited socket of this type; NULL: nothing is. */
static const char *
find_fault(int fd, int type, const struct sks_endpoint *ep)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	sks_sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
	if (type == SOCK_DGRAM && ep->is_tls)
		return "there is no TLS for datagrams";
	if (type == SOCK_DGRAM && ep->is_proxy)
		return "proxy: is for connections, not for datagrams";
	if (type != SOCK_DGRAM && (type != SOCK_STREAM || !listening))
		return "neither a listening stream socket nor a datagram socket";
	return NULL;
}

int
sks_listener_check_inherited(const struct sks_endpoint *ep, const char *address)
{
	int type = 0;
	socklen_t len = sizeof(type);
	const char *why;

	if (sks_sys_getsockopt(ep->fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1)
		return sks_fail(NULL, errno, "listen on %s: %m", address);
	why = find_fault(ep->fd, type, ep);
	if (why != NULL)
		return sks_fail(NULL, EINVAL, "listen on %s: %s", address, why);
	if (is_listened_on(ep->fd))
		return sks_fail(NULL, EBUSY, "listen on %s: it is listened on already", address);
	return type;
}

/* A socket that was bound by somebody else; ours from here on, unless this fails. */
static int
open_inherited(const struct sks_endpoint *ep, const char *address, struct sks_list *listeners)
{
	int fd = ep->fd, type = sks_listener_check_inherited(ep, address);
	struct sks_addr addr = { .len = sizeof(addr.u) };
	struct sks_listener *l;

	if (type == -1)
		return -1;
	if (sks_transport_set_nonblocking(fd) == -1 ||
	    sks_sys_fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 || (l = new_listener(fd, type)) == NULL)
		return sks_fail(NULL, errno, "listen on %s: %m", address);
	if (sks_sys_getsockname(fd, &addr.u.any, &addr.len) == 0) {
		if (type == SOCK_DGRAM)
			sks_datagram_prepare(fd, addr.u.any.sa_family);
		else if (addr.u.any.sa_family != AF_UNIX)
			set_connection_defaults(fd);
	}
	sks_list_append(listeners, &l->link);
	return 0;
}

/* Checks that connections can be of TLS here. 0, or -1. */
static int
check_tls(const char *address, const struct sks_options *options)
{
	if (!sks_tls_is_built_in())
		return sks_fail(NULL, ENOTSUP,
		    "listen on %s: this library was built without TLS", address);
	if (options->tls == NULL)
		return sks_fail(NULL, EINVAL,
		    "listen on %s: there is no certificate for it (options.tls)", address);
	return 0;
}

static int
check_proxy(const char *address, const struct sks_options *options)
{
	if (options->proxy_from != NULL && options->proxy_from[0] != '\0')
		return 0;
	return sks_fail(NULL, EINVAL,
	    "listen on %s: it is not said which proxies are believed (options.proxy_from)",
	    address);
}

/* The kernel shortens a longer backlog without a word. */
static void
warn_of_a_short_backlog(const char *address, const struct sks_options *options)
{
	int most, is_known;
	FILE *file;

	if (options->backlog == SOMAXCONN) /* the default, which means: what the system allows */
		return;
	file = fopen("/proc/sys/net/core/somaxconn", "re");
	if (file == NULL)
		return;
	is_known = fscanf(file, "%d", &most) == 1;
	fclose(file);
	if (is_known && options->backlog > most)
		sks_log(SKS_LOG_WARN,
		    "listen on %s: net.core.somaxconn shortens the backlog from %d to %d", address,
		    options->backlog, most);
}

static int
open_endpoint(const struct sks_endpoint *ep, const char *address, const struct sks_options *options,
    struct sks_list *listeners)
{
	if (ep->scheme->kind == SKS_DESCRIPTOR)
		return open_inherited(ep, address, listeners);
	if (open_addresses(ep, address, options, listeners) == -1)
		return -1;
	if (ep->scheme->type == SOCK_STREAM)
		warn_of_a_short_backlog(address, options);
	return 0;
}

/* "systemd:NAME" could be a host of that name, which is written "tcp:systemd:port". */
static int
check_not_passed(const char *address)
{
	static const char passed[] = "systemd:";

	if (strncmp(sks_endpoint_skip_prefixes(address), passed, sizeof(passed) - 1) != 0)
		return 0;
	return sks_fail(NULL, EINVAL,
	    "listen on %s: sockets of a service manager are for sks_server_listen_inherited()",
	    address);
}

int
sks_listener_open(const char *address, const struct sks_options *options,
    struct sks_list *listeners)
{
	struct sks_endpoint ep;
	const char *why;

	if (check_not_passed(address) == -1)
		return -1;
	if (sks_endpoint_parse(&ep, address, &why) == -1)
		return sks_fail(NULL, errno, "address %s: %s", address, why);
	if ((ep.is_tls && check_tls(address, options) == -1) ||
	    (ep.is_proxy && check_proxy(address, options) == -1) ||
	    open_endpoint(&ep, address, options, listeners) == -1)
		return -1;
	sks_list_each (link, listeners)
		sks_listener_of(link)->entry = (struct sks_entry){
			.is_proxy = ep.is_proxy, .is_tls = ep.is_tls };
	return 0;
}

void
sks_listener_shut(struct sks_listener *l)
{
	if (l->fd == -1)
		return;
	if (l->fd < NOTED)
		atomic_fetch_and(&noted[l->fd / 64], ~((uint64_t)1 << l->fd % 64));
	sks_sys_close(l->fd);
	l->fd = -1;
}

void
sks_listener_close(struct sks_listener *l)
{
	sks_list_remove(&l->link);
	sks_event_end(&l->ev);
	sks_event_end(&l->retry);
	sks_listener_shut(l);
	sks_socket_file_remove(l->file);
	sks_sys_free(l->address);
	sks_sys_free(l);
}

void
sks_listeners_close(struct sks_list *listeners)
{
	struct sks_list *link;

	while ((link = sks_list_pop(listeners)) != NULL)
		sks_listener_close(sks_listener_of(link));
}
