/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - the public calls that look up names, and what each asks the resolver.
 */
#include "base/lookup.h"
#include "loop/wait.h"
#include "socket/query.h"
#include "stream/flush.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <socketserver/resolve.h>
#include <stdio.h>
#include <string.h>

#define ENTRY_SIZE 1024 /* for the names and addresses of one host; doubled if it is too small */
#define ENTRY_MOST 65536

/* -- asking, on whatever thread -- */

static void
ask_addresses(struct sks_query *q)
{
	q->code = sks_lookup(q->host, q->service, &q->hints, &q->list);
}

static void
ask_names(struct sks_query *q)
{
	q->code = sks_sys_getnameinfo((struct sockaddr *)&q->addr, q->addr_len, q->name,
	    sizeof(q->name), q->port, sizeof(q->port), q->flags);
}

/* Returns the first name with a dot in it, as Python does. */
static const char *
full_name(const struct hostent *entry)
{
	char **alias;

	if (strchr(entry->h_name, '.') != NULL)
		return entry->h_name;
	for (alias = entry->h_aliases; *alias != NULL; alias++)
		if (strchr(*alias, '.') != NULL)
			return *alias;
	return entry->h_name;
}

static int
reverse(const struct addrinfo *ai, struct hostent *entry, char *buf, size_t size,
    struct hostent **found)
{
	const void *addr = ai->ai_family == AF_INET ?
	    (const void *)&((const struct sockaddr_in *)(const void *)ai->ai_addr)->sin_addr :
	    (const void *)&((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr;
	int why;

	*found = NULL;
	if (sks_sys_fault_point("gethostbyaddr_r") == -1)
		return errno;
	return gethostbyaddr_r(addr, ai->ai_family == AF_INET ? 4 : 16, ai->ai_family, entry, buf,
	    size, found, &why);
}

/* Asks for the names of an address, and puts the best one into q->name. */
static void
ask_names_of(struct sks_query *q, const struct addrinfo *ai)
{
	struct hostent entry, *found = NULL;
	size_t size = ENTRY_SIZE;
	char *buf = NULL, *more;
	int error = ERANGE;

	while (error == ERANGE && size <= ENTRY_MOST &&
	    (more = sks_sys_realloc(buf, size)) != NULL) {
		buf = more;
		error = reverse(ai, &entry, buf, size, &found);
		size *= 2;
	}
	if (error == 0 && found != NULL)
		snprintf(q->name, sizeof(q->name), "%s", full_name(found));
	sks_sys_free(buf);
}

/* A name without an address, or that only this machine knows, is its own full name. */
static void
ask_full_name(struct sks_query *q)
{
	if (sks_is_localhost(q->host))
		return;
	q->code = sks_lookup(q->host, NULL, &q->hints, &q->list);
	if (q->code == 0 && (q->list->ai_family == AF_INET || q->list->ai_family == AF_INET6))
		ask_names_of(q, q->list);
	if (q->code != EAI_MEMORY && q->code != EAI_SYSTEM)
		q->code = 0;
}

/* -- the public calls -- */

static int
errno_of(int code)
{
	switch (code) {
	case EAI_SYSTEM:
		return errno != 0 ? errno : EIO;
	case EAI_AGAIN:
		return EAGAIN;
	case EAI_FAIL:
		return EIO;
	case EAI_MEMORY:
		return ENOMEM;
	case EAI_BADFLAGS:
		return EINVAL;
	case EAI_FAMILY:
		return EAFNOSUPPORT;
	case EAI_SOCKTYPE:
		return ESOCKTNOSUPPORT;
	case EAI_OVERFLOW:
		return EOVERFLOW;
	default: /* EAI_NONAME, EAI_NODATA, EAI_ADDRFAMILY, EAI_SERVICE */
		return ENOENT;
	}
}

/* Returns what a call returns for this code. For EAI_SYSTEM errno is the resolver's. */
static int
result(int code)
{
	if (code == 0)
		return 0;
	sks_task_current()->gai_error = code;
	errno = errno_of(code);
	return -1;
}

/* Begins a call, which may wait. 0, or -1. */
static int
begin(int timeout_ms, int64_t *deadline)
{
	sks_task_current()->gai_error = 0;
	if (sks_limit_begin(timeout_ms, deadline) == -1)
		return -1;
	sks_flush_dirty();
	return sks_wait_check();
}

/* Frees a query with an answer. Returns what the call returns. */
static int
end_query(struct sks_query *q)
{
	int code = q->code, error = q->error;

	sks_query_free(q);
	errno = error;
	return result(code);
}

static int
copy_text(char *buf, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (n < size) {
		memcpy(buf, text, n + 1);
		return 0;
	}
	errno = EOVERFLOW;
	return -1;
}

/* Returns 1 when the host needs no look-up, as localhost without its canonical name. */
static int
is_direct(const char *host, const struct addrinfo *hints)
{
	return host != NULL && !(hints->ai_flags & (AI_CANONNAME | AI_NUMERICHOST)) &&
	    sks_is_localhost(host);
}

/*
 * Looks up what is numeric, for which the resolver asks no server. It knows best what is numeric:
 * EAI_NONAME, it is not. Returns 0, or EAI_.
 */
static int
ask_numeric(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list)
{
	struct addrinfo numeric = *hints;

	numeric.ai_flags |= AI_NUMERICSERV;
	if (!is_direct(host, hints))
		numeric.ai_flags |= AI_NUMERICHOST;
	errno = 0;
	return sks_lookup(host, service, &numeric, list);
}

static int
get_addresses(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list, int64_t deadline)
{
	struct sks_query *q;
	int code = ask_numeric(host, service, hints, list);

	if (code != EAI_NONAME || (hints->ai_flags & AI_NUMERICHOST && service == NULL))
		return result(code);
	q = sks_query_new(ask_addresses, host, service);
	if (q == NULL)
		return -1;
	q->hints = *hints;
	if (sks_query_ask(q, deadline) == -1)
		return -1;
	*list = q->list;
	q->list = NULL;
	return end_query(q);
}

int
sks_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list, int timeout_ms)
{
	struct addrinfo own = { .ai_family = AF_UNSPEC, .ai_flags = AI_V4MAPPED | AI_ADDRCONFIG };
	int64_t deadline;

	*list = NULL;
	if (begin(timeout_ms, &deadline) == -1)
		return -1;
	if (hints != NULL) {
		own.ai_flags = hints->ai_flags;
		own.ai_family = hints->ai_family;
		own.ai_socktype = hints->ai_socktype;
		own.ai_protocol = hints->ai_protocol;
	}
	return get_addresses(host, service, &own, list, deadline);
}

static int
get_names(const struct sockaddr *addr, socklen_t len, char *host, size_t host_size, char *service,
    size_t service_size, int flags, int64_t deadline)
{
	struct sks_query *q = sks_query_new(ask_names, NULL, NULL);
	int rc = 0;

	if (q == NULL)
		return -1;
	memcpy(&q->addr, addr, len);
	q->addr_len = len;
	q->flags = flags;
	if (sks_query_ask(q, deadline) == -1)
		return -1;
	if (q->code == 0 && host != NULL)
		rc = copy_text(host, host_size, q->name);
	if (q->code == 0 && rc == 0 && service != NULL)
		rc = copy_text(service, service_size, q->port);
	if (rc == -1)
		q->code = EAI_OVERFLOW;
	return end_query(q);
}

int
sks_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, size_t host_size,
    char *service, size_t service_size, int flags, int timeout_ms)
{
	int numeric = (host == NULL || flags & NI_NUMERICHOST) &&
	    (service == NULL || flags & NI_NUMERICSERV);
	int64_t deadline;

	if (begin(timeout_ms, &deadline) == -1)
		return -1;
	if (len > sizeof(struct sockaddr_storage) || len < sizeof(addr->sa_family)) {
		errno = EINVAL;
		return -1;
	}
	if (!numeric)
		return get_names(addr, len, host, host_size, service, service_size, flags,
		    deadline);
	/* The C library takes no room for no wish. */
	if ((host != NULL && host_size == 0) || (service != NULL && service_size == 0))
		return result(EAI_OVERFLOW);
	errno = 0;
	return result(sks_sys_getnameinfo(addr, len, host,
	    host != NULL ? (socklen_t)sks_min(host_size, NI_MAXHOST) : 0, service,
	    service != NULL ? (socklen_t)sks_min(service_size, NI_MAXSERV) : 0, flags));
}

int
sks_gethostbyname(const char *name, char *buf, size_t size, int timeout_ms)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;
	char text[INET_ADDRSTRLEN] = "0.0.0.0";
	int64_t deadline;

	if (begin(timeout_ms, &deadline) == -1)
		return -1;
	if (name[0] != '\0') {
		if (get_addresses(name, NULL, &hints, &list, deadline) == -1)
			return -1;
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr, text,
		    sizeof(text));
		freeaddrinfo(list);
	}
	return copy_text(buf, size, text);
}

int
sks_getfqdn(const char *name, char *buf, size_t size, int timeout_ms)
{
	char own[HOST_NAME_MAX + 1];
	struct sks_query *q;
	int64_t deadline;
	int rc, error;

	if (begin(timeout_ms, &deadline) == -1)
		return -1;
	if (name == NULL || name[0] == '\0' || strcmp(name, "0.0.0.0") == 0 ||
	    strcmp(name, "::") == 0) {
		if (gethostname(own, sizeof(own)) == -1)
			return -1;
		name = own;
	}
	q = sks_query_new(ask_full_name, name, NULL);
	if (q == NULL)
		return -1;
	q->hints.ai_socktype = SOCK_STREAM;
	if (sks_query_ask(q, deadline) == -1)
		return -1;
	rc = q->code == 0 ? copy_text(buf, size, q->name[0] != '\0' ? q->name : q->host) : 0;
	error = errno;
	if (rc == 0)
		return end_query(q);
	sks_query_free(q);
	errno = error;
	return -1;
}

int
sks_gai_error(void)
{
	return sks_task_current()->gai_error;
}
