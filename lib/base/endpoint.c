/* SPDX-License-Identifier: MIT */
/*
 * endpoint.c - reads the text of an address.
 *
 * Text is judged here, strictly, before getaddrinfo(3) sees any of it: that
 * takes "-1" for port 65535, "80x" for a service, and tells every mistake as
 * "Name or service not known". Numeric addresses and the empty host never get
 * there at all, so that they can not wait for a name server.
 */
#include "base/endpoint.h"

#include "base/why.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Returns the number that the whole text is, without a sign; -1 when it is none, or over most. */
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
		return sks_refuse(EINVAL, why, "fd: needs the number of a descriptor");
	return 0;
}

static int
parse_path(struct sks_endpoint *ep, const char *text, const char **why)
{
	struct sockaddr_un *un = &ep->addr.u.un;
	size_t n = strlen(text);

	if (text[0] != '/' && text[0] != '@')
		return sks_refuse(EINVAL, why, "a Unix path must begin with / or @");
	if (n == 1)
		return sks_refuse(EINVAL, why, "the Unix path has no name");
	/* The @ stands for a NUL that counts, a path for one that ends it. */
	if (n > sizeof(un->sun_path) - (text[0] == '/'))
		return sks_refuse(ENAMETOOLONG, why, "a Unix path has 107 bytes at most");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, text, n);
	if (text[0] == '@')
		un->sun_path[0] = '\0';
	else
		un->sun_path[n++] = '\0';
	ep->addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

/* Reads a number, or a name that starts with a letter or digit. Neither has a sign or a space. */
static int
parse_port(struct sks_endpoint *ep, const char *text, const char **why)
{
	size_t n = strlen(text), i, letters = 0;

	if (n == 0)
		return sks_refuse(EINVAL, why, "the port is missing");
	for (i = 0; i < n; i++) {
		int letter = (text[i] | 32) >= 'a' && (text[i] | 32) <= 'z';

		if (!letter && !is_digit(text[i]) && (i == 0 || strchr("-_.+", text[i]) == NULL))
			return sks_refuse(EINVAL, why, "port must be 0 to 65535");
		letters += (size_t)letter;
	}
	ep->port_number = parse_number(text, 65535);
	if (letters == 0 && ep->port_number == -1)
		return sks_refuse(EINVAL, why, "port must be 0 to 65535");
	if (n >= sizeof(ep->port))
		return sks_refuse(EINVAL, why, "the service name is too long");
	memcpy(ep->port, text, n + 1);
	return 0;
}

/* Reads an IPv6 address, and its %scope where that is a number. 0, or -1 when text is none. */
static int
parse_in6(struct sks_addr *addr, const char *text)
{
	char digits[INET6_ADDRSTRLEN];
	const char *percent = strchr(text, '%');
	size_t n = percent ? (size_t)(percent - text) : strlen(text);
	struct in6_addr in6;
	int scope;

	if (n >= sizeof(digits) || (percent != NULL && percent[1] == '\0'))
		return -1;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (inet_pton(AF_INET6, digits, &in6) != 1)
		return -1;
	sks_addr_set_in6(addr, &in6);
	scope = percent ? parse_number(percent + 1, INT_MAX) : -1;
	if (scope > 0)
		addr->u.in6.sin6_scope_id = (uint32_t)scope;
	return 0;
}

static int
set_host(struct sks_endpoint *ep, const char *text, size_t n, const char **why)
{
	size_t i;

	if (n >= sizeof(ep->host))
		return sks_refuse(EINVAL, why, "the host name is too long");
	for (i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || strchr("/[]@", text[i]))
			return sks_refuse(EINVAL, why,
			    "the host has a character that no host name has");
	memcpy(ep->host, text, n);
	ep->host[n] = '\0';
	return 0;
}

/* Reads [::1]:port. */
static int
parse_brackets(struct sks_endpoint *ep, const char *text, const char **why)
{
	const char *close = strchr(text, ']');

	if (close == NULL)
		return sks_refuse(EINVAL, why, "the ] is missing");
	if (set_host(ep, text + 1, (size_t)(close - text - 1), why) == -1)
		return -1;
	if (parse_in6(&ep->addr, ep->host) == -1)
		return sks_refuse(EINVAL, why, "brackets must hold an IPv6 address");
	if (close[1] != ':')
		return sks_refuse(EINVAL, why,
		    close[1] == '\0' ? "the port is missing" : "after ] there must be :port");
	return parse_port(ep, close + 2, why);
}

/* Reads host:port or :port. */
static int
parse_host(struct sks_endpoint *ep, const char *text, const char **why)
{
	const char *colon = strrchr(text, ':');
	struct in_addr in;

	if (colon == NULL)
		return sks_refuse(EINVAL, why, "the port is missing");
	if (set_host(ep, text, (size_t)(colon - text), why) == -1)
		return -1;
	if (strcmp(ep->host, "*") == 0)
		return sks_refuse(EINVAL, why, "* is no host: every address of this machine is :port");
	if (strchr(ep->host, ':') != NULL)
		return sks_refuse(EINVAL, why, "an IPv6 address must stand in brackets, [::1]:port");
	if (inet_pton(AF_INET, ep->host, &in) == 1)
		sks_addr_set_in(&ep->addr, ntohl(in.s_addr));
	return parse_port(ep, colon + 1, why);
}

/* Takes a prefix off the text. 1, or 0: it is not there. */
static int
take_prefix(const char **text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*text, prefix, n) != 0)
		return 0;
	*text += n;
	return 1;
}

const char *
sks_endpoint_skip_prefixes(const char *text)
{
	(void)take_prefix(&text, SKS_PROXY_PREFIX);
	(void)take_prefix(&text, SKS_TLS_PREFIX);
	return text;
}

int
sks_endpoint_parse(struct sks_endpoint *ep, const char *text, const char **why)
{
	memset(ep, 0, sizeof(*ep));
	ep->fd = -1;
	ep->is_proxy = take_prefix(&text, SKS_PROXY_PREFIX);
	ep->is_tls = take_prefix(&text, SKS_TLS_PREFIX);
	ep->scheme = sks_scheme_of(text);
	if (ep->scheme != NULL)
		text += strlen(ep->scheme->prefix);
	else
		ep->scheme = sks_scheme_default();
	if (ep->is_tls && ep->scheme->type == SOCK_DGRAM)
		return sks_refuse(EINVAL, why, "there is no TLS for datagrams");
	if (ep->is_proxy && ep->scheme->type == SOCK_DGRAM)
		return sks_refuse(EINVAL, why, "proxy: is for connections, not for datagrams");
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

int
sks_endpoint_is_direct(const struct sks_endpoint *ep)
{
	if (ep->scheme->kind != SKS_HOST_AND_PORT)
		return 1;
	return ep->port_number != -1 && (ep->host[0] == '\0' || ep->addr.len > 0);
}
