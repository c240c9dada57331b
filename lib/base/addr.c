/* SPDX-License-Identifier: MIT */
/*
 * addr.c - addresses from text, from the resolver, and back to text.
 *
 * Text is judged here, strictly, before getaddrinfo(3) sees any of it: that
 * takes "-1" for port 65535, "80x" for a service, and tells every mistake as
 * "Name or service not known". Numeric addresses and the empty host never get
 * there at all, so that they can not wait for a name server.
 *
 * Names are asked without AI_ADDRCONFIG. It hides ::1 from "localhost" where
 * no interface has an IPv6 address that is routed, and both loopbacks on a
 * machine whose network is down; then a server that is asked for localhost is
 * missing on the one address that its client tries. An address that the system
 * lists but does not have shows at bind or connect, with an errno of its own.
 */
#include "base/addr.h"

#include "base/lookup.h"
#include "base/sys.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* ---- text to endpoint ---- */

/* One row for each kind and type; the first is that of an address without a scheme. */
static const struct sks_scheme schemes[] = {
	{ "tcp:", SKS_HOST_AND_PORT, SOCK_STREAM },
	{ "udp:", SKS_HOST_AND_PORT, SOCK_DGRAM },
	{ "unix:", SKS_UNIX_PATH, SOCK_STREAM },
	{ "unix-dgram:", SKS_UNIX_PATH, SOCK_DGRAM },
	{ "fd:", SKS_DESCRIPTOR, 0 },
};

const struct sks_scheme *
sks_scheme_of(const char *text)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(schemes); i++)
		if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	return NULL;
}

const struct sks_scheme *
sks_scheme_of_socket(const char *formatted, int type)
{
	const struct sks_scheme *written = sks_scheme_of(formatted);
	enum sks_address_kind kind = written != NULL ? written->kind : SKS_HOST_AND_PORT;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(schemes); i++)
		if (schemes[i].kind == kind && schemes[i].type == type)
			return &schemes[i];
	return &schemes[0];
}

static int
refuse(int error, const char **why, const char *what)
{
	*why = what;
	errno = error;
	return -1;
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number that text is, all of it and without a sign; -1 when it is none, or over most. */
static int
parse_number(const char *text, int most)
{
	long value = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (!is_digit(*text))
			return -1;
		value = value * 10 + (*text - '0');
		if (value > most)
			return -1;
	}
	return (int)value;
}

static int
parse_fd(struct sks_endpoint *ep, const char *text, const char **why)
{
	ep->fd = parse_number(text, INT_MAX);
	if (ep->fd == -1)
		return refuse(EINVAL, why, "fd: needs the number of a descriptor");
	return 0;
}

static int
parse_path(struct sks_endpoint *ep, const char *text, const char **why)
{
	struct sockaddr_un *un = &ep->path.u.un;
	size_t n = strlen(text);

	if (text[0] != '/' && text[0] != '@')
		return refuse(EINVAL, why, "a Unix path must begin with / or @");
	if (n == 1)
		return refuse(EINVAL, why, "the Unix path has no name");
	/* The @ stands for a NUL that counts, a path for one that ends it. */
	if (n > sizeof(un->sun_path) - (text[0] == '/'))
		return refuse(ENAMETOOLONG, why, "a Unix path has 107 bytes at most");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, text, n);
	if (text[0] == '@')
		un->sun_path[0] = '\0';
	else
		un->sun_path[n++] = '\0';
	ep->path.len = (socklen_t)(PATH_AT + n);
	return 0;
}

/* A number, or a name that starts with a letter or digit: no sign, no space. */
static int
parse_port(struct sks_endpoint *ep, const char *text, const char **why)
{
	size_t n = strlen(text), i, letters = 0;

	if (n == 0)
		return refuse(EINVAL, why, "the port is missing");
	for (i = 0; i < n; i++) {
		int letter = (text[i] | 32) >= 'a' && (text[i] | 32) <= 'z';

		if (!letter && !is_digit(text[i]) && (i == 0 || strchr("-_.+", text[i]) == NULL))
			return refuse(EINVAL, why, "port must be 0 to 65535");
		letters += (size_t)letter;
	}
	if (letters == 0 && parse_number(text, 65535) == -1)
		return refuse(EINVAL, why, "port must be 0 to 65535");
	if (n >= sizeof(ep->port))
		return refuse(EINVAL, why, "the service name is too long");
	memcpy(ep->port, text, n + 1);
	return 0;
}

/* Reads an IPv6 address with or without %scope; *scope is what follows the %, or NULL. */
static int
read_in6(struct in6_addr *in6, const char *host, const char **scope)
{
	char digits[INET6_ADDRSTRLEN];
	const char *percent = strchr(host, '%');
	size_t n = percent ? (size_t)(percent - host) : strlen(host);

	*scope = percent ? percent + 1 : NULL;
	if (n >= sizeof(digits) || (percent != NULL && percent[1] == '\0'))
		return -1;
	memcpy(digits, host, n);
	digits[n] = '\0';
	return inet_pton(AF_INET6, digits, in6) == 1 ? 0 : -1;
}

static int
set_host(struct sks_endpoint *ep, const char *text, size_t n, const char **why)
{
	size_t i;

	if (n >= sizeof(ep->host))
		return refuse(EINVAL, why, "the host name is too long");
	for (i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || strchr("/[]@", text[i]))
			return refuse(EINVAL, why, "the host has a character that no host name has");
	memcpy(ep->host, text, n);
	ep->host[n] = '\0';
	return 0;
}

/* [::1]:port */
static int
parse_brackets(struct sks_endpoint *ep, const char *text, const char **why)
{
	const char *close = strchr(text, ']'), *scope;
	struct in6_addr in6;

	if (close == NULL)
		return refuse(EINVAL, why, "the ] is missing");
	if (set_host(ep, text + 1, (size_t)(close - text - 1), why) == -1)
		return -1;
	if (read_in6(&in6, ep->host, &scope) == -1)
		return refuse(EINVAL, why, "brackets must hold an IPv6 address");
	if (close[1] != ':')
		return refuse(EINVAL, why,
		    close[1] == '\0' ? "the port is missing" : "after ] there must be :port");
	return parse_port(ep, close + 2, why);
}

/* host:port or :port */
static int
parse_host(struct sks_endpoint *ep, const char *text, const char **why)
{
	const char *colon = strrchr(text, ':');

	if (colon == NULL)
		return refuse(EINVAL, why, "the port is missing");
	if (set_host(ep, text, (size_t)(colon - text), why) == -1)
		return -1;
	if (strchr(ep->host, ':') != NULL)
		return refuse(EINVAL, why, "an IPv6 address must stand in brackets, [::1]:port");
	return parse_port(ep, colon + 1, why);
}

int
sks_endpoint_parse(struct sks_endpoint *ep, const char *text, const char **why)
{
	memset(ep, 0, sizeof(*ep));
	ep->fd = -1;
	ep->scheme = sks_scheme_of(text);
	if (ep->scheme != NULL)
		text += strlen(ep->scheme->prefix);
	else
		ep->scheme = &schemes[0];
	switch (ep->scheme->kind) {
	case SKS_DESCRIPTOR:
		return parse_fd(ep, text, why);
	case SKS_UNIX_PATH:
		return parse_path(ep, text, why);
	case SKS_HOST_AND_PORT:
		break;
	}
	return text[0] == '[' ? parse_brackets(ep, text, why) : parse_host(ep, text, why);
}

/* ---- endpoint to addresses ---- */

static void
set_in(struct sks_addr *addr, uint32_t host)
{
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->u.in);
	addr->u.in.sin_family = AF_INET;
	addr->u.in.sin_addr.s_addr = htonl(host);
}

static void
set_in6(struct sks_addr *addr, const struct in6_addr *host)
{
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->u.in6);
	addr->u.in6.sin6_family = AF_INET6;
	addr->u.in6.sin6_addr = *host;
}

/*
 * Without memory or descriptors it can not be known, and then IPv6 is the
 * better guess: the caller's own socket call will say what is wrong.
 */
static int
has_ipv6(void)
{
	int fd = sks_sys_socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
	sks_sys_close(fd);
	return 1;
}

/* What *why and errno say for a getaddrinfo code. Returns -1. */
static int
fail(int code, const char **why)
{
	*why = gai_strerror(code);
	switch (code) {
	case EAI_SYSTEM:
		if (errno == 0)
			errno = EIO;
		*why = strerror(errno);
		break;
	case EAI_MEMORY:
		errno = ENOMEM;
		break;
	case EAI_AGAIN:
		errno = EAGAIN;
		break;
	default:
		errno = ENOENT;
		break;
	}
	return -1;
}

static struct addrinfo *
look_up(const struct sks_endpoint *ep, const char *host, const char *port, int passive,
    const char **why)
{
	struct addrinfo hints, *list;
	int code;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = ep->scheme->type;
	hints.ai_flags = passive ? AI_PASSIVE : 0;
	errno = 0;
	code = sks_lookup(host, port, &hints, &list);
	if (code == 0)
		return list;
	fail(code, why);
	return NULL;
}

static int
is_inet(const struct addrinfo *ai)
{
	return (ai->ai_family == AF_INET && ai->ai_addrlen == sizeof(struct sockaddr_in)) ||
	    (ai->ai_family == AF_INET6 && ai->ai_addrlen == sizeof(struct sockaddr_in6));
}

/* The port of ep: a number, or what the system's list of services says. */
static int
resolve_port(const struct sks_endpoint *ep, const char **why)
{
	int port = parse_number(ep->port, 65535);
	struct addrinfo *list;
	struct sks_addr addr;

	if (port != -1)
		return port;
	if ((list = look_up(ep, NULL, ep->port, 0, why)) == NULL)
		return -1;
	if (is_inet(list)) {
		memcpy(&addr.u, list->ai_addr, list->ai_addrlen);
		port = sks_addr_port(&addr);
	}
	freeaddrinfo(list);
	return port == -1 ? fail(EAI_SERVICE, why) : port;
}

/* An interface by name or number; 0: none. */
static unsigned int
scope_id(const char *scope)
{
	int number = parse_number(scope, INT_MAX);

	return number > 0 ? (unsigned int)number : if_nametoindex(scope);
}

/* A host that is an address itself: 1 when it is, 0 when it is a name, -1 when wrong. */
static int
numeric_host(struct sks_addr *addr, const char *host, const char **why)
{
	struct in6_addr in6;
	struct in_addr in;
	const char *scope;

	if (inet_pton(AF_INET, host, &in) == 1) {
		set_in(addr, ntohl(in.s_addr));
		return 1;
	}
	if (read_in6(&in6, host, &scope) == -1)
		return 0;
	set_in6(addr, &in6);
	if (scope == NULL)
		return 1;
	addr->u.in6.sin6_scope_id = scope_id(scope);
	if (addr->u.in6.sin6_scope_id == 0)
		return refuse(ENOENT, why, "no network interface has the name after %");
	return 1;
}

/* The addresses that need no lookup, at most two. Their number, 0 for a name, -1 when wrong. */
static int
direct_addresses(struct sks_addr addrs[2], const struct sks_endpoint *ep, int passive,
    const char **why)
{
	if (ep->host[0] != '\0')
		return numeric_host(&addrs[0], ep->host, why);
	if (!passive) {
		set_in6(&addrs[0], &in6addr_loopback);
		set_in(&addrs[1], INADDR_LOOPBACK);
		return 2;
	}
	if (has_ipv6())
		set_in6(&addrs[0], &in6addr_any);
	else
		set_in(&addrs[0], INADDR_ANY);
	return 1;
}

static struct sks_addr *
new_addresses(size_t n, const char **why)
{
	struct sks_addr *addrs = sks_sys_calloc(n, sizeof(*addrs));

	if (addrs == NULL)
		fail(EAI_MEMORY, why);
	return addrs;
}

/* How many addresses the list has, without doubles, in addrs. */
static size_t
copy_list(struct sks_addr *addrs, const struct addrinfo *list)
{
	const struct addrinfo *ai;
	size_t n = 0, i;

	for (ai = list; ai != NULL; ai = ai->ai_next) {
		if (!is_inet(ai))
			continue;
		for (i = 0; i < n; i++)
			if (addrs[i].len == ai->ai_addrlen &&
			    memcmp(&addrs[i].u, ai->ai_addr, ai->ai_addrlen) == 0)
				break;
		if (i < n)
			continue;
		memcpy(&addrs[n].u, ai->ai_addr, ai->ai_addrlen);
		addrs[n++].len = ai->ai_addrlen;
	}
	return n;
}

struct sks_addr *
sks_addr_list(const struct addrinfo *list, size_t *n, const char **why)
{
	const struct addrinfo *ai;
	struct sks_addr *addrs = NULL;
	size_t most = 0;

	for (ai = list; ai != NULL; ai = ai->ai_next)
		most++;
	if (most > 0 && (addrs = new_addresses(most, why)) == NULL)
		return NULL;
	*n = copy_list(addrs, list);
	if (*n > 0)
		return addrs;
	sks_sys_free(addrs);
	fail(EAI_NONAME, why);
	return NULL;
}

static struct sks_addr *
resolve_name(const struct sks_endpoint *ep, int passive, size_t *n, const char **why)
{
	struct addrinfo *list = look_up(ep, ep->host, NULL, passive, why);
	struct sks_addr *addrs;

	if (list == NULL)
		return NULL;
	addrs = sks_addr_list(list, n, why);
	freeaddrinfo(list);
	return addrs;
}

struct sks_addr *
sks_endpoint_resolve(const struct sks_endpoint *ep, int passive, size_t *n, const char **why)
{
	struct sks_addr direct[2], *addrs;
	size_t i;
	int port = 0, found = 1;

	if (ep->scheme->kind == SKS_DESCRIPTOR) {
		refuse(EINVAL, why, "a descriptor has no address to look up");
		return NULL;
	}
	if (ep->scheme->kind == SKS_UNIX_PATH)
		direct[0] = ep->path;
	else if ((port = resolve_port(ep, why)) == -1 ||
	    (found = direct_addresses(direct, ep, passive, why)) == -1)
		return NULL;
	if (found == 0)
		addrs = resolve_name(ep, passive, n, why);
	else if ((addrs = new_addresses((size_t)found, why)) != NULL) {
		*n = (size_t)found;
		memcpy(addrs, direct, *n * sizeof(*addrs));
	}
	for (i = 0; addrs != NULL && i < *n; i++)
		sks_addr_set_port(&addrs[i], port);
	return addrs;
}

int
sks_endpoint_is_direct(const struct sks_endpoint *ep)
{
	const char *scope;
	struct in6_addr in6;
	struct in_addr in;

	if (ep->scheme->kind != SKS_HOST_AND_PORT)
		return 1;
	return parse_number(ep->port, 65535) != -1 &&
	    (ep->host[0] == '\0' || inet_pton(AF_INET, ep->host, &in) == 1 ||
	    read_in6(&in6, ep->host, &scope) == 0);
}

/* ---- addresses ---- */

int
sks_addr_port(const struct sks_addr *addr)
{
	switch (addr->u.any.sa_family) {
	case AF_INET:
		return ntohs(addr->u.in.sin_port);
	case AF_INET6:
		return ntohs(addr->u.in6.sin6_port);
	default:
		return -1;
	}
}

void
sks_addr_set_port(struct sks_addr *addr, int port)
{
	if (addr->u.any.sa_family == AF_INET)
		addr->u.in.sin_port = htons((uint16_t)port);
	else if (addr->u.any.sa_family == AF_INET6)
		addr->u.in6.sin6_port = htons((uint16_t)port);
}

/* The n bytes of sun_path; it has no NUL when all 108 are used. */
static void
format_path(const char *path, size_t n, char *buf, size_t size)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	size_t i;

	if (n > 0 && path[0] != '\0') {
		snprintf(buf, size, "unix:%.*s", (int)strnlen(path, n), path);
		return;
	}
	/* All bytes of an abstract name count, NULs too; @ stands for each, as in /proc/net/unix. */
	for (i = 0; i < n; i++)
		name[i] = path[i] == '\0' ? '@' : path[i];
	snprintf(buf, size, "unix:%.*s", (int)n, name);
}

static void
format_in6(const struct sockaddr_in6 *in6, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN], scope[IF_NAMESIZE + 1] = "";
	unsigned int port = ntohs(in6->sin6_port);

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, port);
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	if (in6->sin6_scope_id != 0) {
		scope[0] = '%';
		/* The interface may be gone by now. */
		if (if_indextoname(in6->sin6_scope_id, scope + 1) == NULL)
			snprintf(scope, sizeof(scope), "%%%u", (unsigned int)in6->sin6_scope_id);
	}
	snprintf(buf, size, "[%s%s]:%u", text, scope, port);
}

char *
sks_addr_format(const struct sockaddr *addr, socklen_t len, char *buf, size_t size)
{
	struct sks_addr copy;
	char text[INET_ADDRSTRLEN];
	int saved = errno;

	/* A copy: it need not be aligned, and is complete. */
	memset(&copy, 0, sizeof(copy));
	copy.len = (socklen_t)sks_min(len, sizeof(copy.u));
	if (copy.len > 0)
		memcpy(&copy.u, addr, copy.len);
	/* A datagram from an unnamed Unix socket comes with no address at all. */
	if (copy.len == 0)
		snprintf(buf, size, "unix:");
	else if (copy.u.any.sa_family == AF_UNIX && copy.len >= PATH_AT)
		format_path(copy.u.un.sun_path,
		    sks_min(copy.len - PATH_AT, sizeof(copy.u.un.sun_path)), buf, size);
	else if (copy.u.any.sa_family == AF_INET && copy.len >= sizeof(copy.u.in)) {
		inet_ntop(AF_INET, &copy.u.in.sin_addr, text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, (unsigned int)ntohs(copy.u.in.sin_port));
	} else if (copy.u.any.sa_family == AF_INET6 && copy.len >= sizeof(copy.u.in6))
		format_in6(&copy.u.in6, buf, size);
	else
		snprintf(buf, size, "family %u", (unsigned int)copy.u.any.sa_family);
	errno = saved;
	return buf;
}
