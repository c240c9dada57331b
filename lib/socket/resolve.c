/* SPDX-License-Identifier: MIT */
/*
 * Names, without stopping the loop.
 *
 * The C library's resolver blocks, and nothing but its own time-outs ends it. So it is asked on
 * a helper thread, and only the task that waits has a deadline. The look-up is memory of its
 * own: whichever comes second, the answer or the end of the wait, frees it.
 *
 * libevent's evdns was one alternative. It needs 15 s for a silent server, fails if only the
 * first of two servers is dead, and knows nothing of nsswitch. getaddrinfo_a(3) was another. It
 * takes a thread for each look-up as well, without a bound, and refuses to cancel one that runs.
 */
#include "base/clock.h"
#include "base/lookup.h"
#include "loop/helpers.h"
#include "stream/flush.h"
#include "loop/wait.h"
#include "loop/completion.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <socketserver/resolve.h>
#include <stdio.h>
#include <string.h>

#define ENTRY_SIZE 1024 /* for the names and addresses of one host; doubled if it is too small */
#define ENTRY_MOST 65536

enum { WAITED_FOR, ANSWERED, ABANDONED };

struct lookup {
	struct sks_work work;
	struct sks_completion *completion; /* of the task that waits, unless it is ABANDONED */
	atomic_int state;
	void (*ask)(struct lookup *);
	/* the question */
	char *host, *service; /* behind this struct, or NULL */
	struct addrinfo hints;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int flags;
	/* the answer */
	int code;  /* 0, or EAI_ */
	int error; /* errno, for EAI_SYSTEM */
	struct addrinfo *list;
	char name[NI_MAXHOST];
	char port[NI_MAXSERV];
};

/* -- asking, on whatever thread -- */

static void
ask_addresses(struct lookup *l)
{
	l->code = sks_lookup(l->host, l->service, &l->hints, &l->list);
}

static void
ask_names(struct lookup *l)
{
	l->code = sks_sys_getnameinfo((struct sockaddr *)&l->addr, l->addr_len, l->name,
	    sizeof(l->name), l->port, sizeof(l->port), l->flags);
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

/* Asks for the names of an address, and puts the best one into l->name. */
static void
ask_names_of(struct lookup *l, const struct addrinfo *ai)
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
		snprintf(l->name, sizeof(l->name), "%s", full_name(found));
	sks_sys_free(buf);
}

/* A name without an address, or that only this machine knows, is its own full name. */
static void
ask_full_name(struct lookup *l)
{
	snprintf(l->name, sizeof(l->name), "%s", l->host);
	if (sks_is_localhost(l->host))
		return;
	l->code = sks_lookup(l->host, NULL, &l->hints, &l->list);
	if (l->code == 0 && (l->list->ai_family == AF_INET || l->list->ai_family == AF_INET6))
		ask_names_of(l, l->list);
	if (l->code != EAI_MEMORY && l->code != EAI_SYSTEM)
		l->code = 0;
}

/* -- waiting for the answer -- */

static void
ask(struct lookup *l)
{
	errno = 0;
	l->ask(l);
	l->error = errno;
}

static void
free_lookup(struct lookup *l)
{
	if (l->list != NULL)
		freeaddrinfo(l->list);
	sks_sys_free(l);
}

static void
run_work(struct sks_work *work)
{
	ask(sks_container_of(work, struct lookup, work));
}

static void
work_done(struct sks_work *work)
{
	struct lookup *l = sks_container_of(work, struct lookup, work);

	if (atomic_exchange(&l->state, ANSWERED) == ABANDONED)
		free_lookup(l);
	else
		sks_complete(l->completion);
}

/*
 * Returns 0 when the look-up has its answer. At -1 the wait has failed, and l is no longer the
 * caller's.
 */
static int
wait_for_answer(struct lookup *l, int64_t deadline)
{
	if (sks_completion_wait(l->completion, deadline) == 0)
		return 0;
	/* In this order: as soon as it is ABANDONED, the helper thread may free it. */
	sks_thread_pool_detach(&sks_helpers_resolve, &l->work);
	if (atomic_exchange(&l->state, ABANDONED) == WAITED_FOR)
		return -1;
	sks_completion_wait_certain(l->completion);
	return 0;
}

/* Asks on a helper thread. 0: l has the answer. -1: l is gone. */
static int
ask_helper(struct lookup *l, int64_t deadline)
{
	struct sks_completion completion;
	int rc = -1, error;

	l->work.run = run_work;
	l->work.done = work_done;
	l->completion = &completion;
	atomic_init(&l->state, WAITED_FOR);
	if (sks_completion_init(&completion) == -1 ||
	    sks_thread_pool_submit(&sks_helpers_resolve, &l->work) == -1) {
		error = errno;
		free_lookup(l);
		errno = error;
	} else
		rc = wait_for_answer(l, deadline);
	sks_completion_end(&completion);
	return rc;
}

/* Asks on a helper, or here, on a thread that may wait without end. Returns as ask_helper(). */
static int
look_up(struct lookup *l, int64_t deadline)
{
	struct sks_task *task = sks_task_current();
	int rc;

	if (sks_clock_left(deadline) == 0) {
		free_lookup(l);
		errno = ETIMEDOUT;
		return -1;
	}
	if (task->fiber != NULL) /* its loop is a user of the helper threads */
		return ask_helper(l, deadline);
	if (deadline == SKS_NEVER && task->deadline == SKS_NEVER && task->cancel == NULL) {
		ask(l);
		return 0;
	}
	sks_helpers_retain();
	rc = ask_helper(l, deadline);
	sks_helpers_release();
	return rc;
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

/* Makes a look-up; host and service may be NULL. NULL: ENOMEM. */
static struct lookup *
new_lookup(void (*question)(struct lookup *), const char *host, const char *service)
{
	size_t host_size = host != NULL ? strlen(host) + 1 : 0;
	size_t service_size = service != NULL ? strlen(service) + 1 : 0;
	struct lookup *l = sks_sys_calloc(1, sizeof(*l) + host_size + service_size);
	char *text = (char *)(l + 1);

	if (l == NULL)
		return NULL;
	l->ask = question;
	l->hints.ai_family = AF_UNSPEC;
	if (host != NULL)
		l->host = memcpy(text, host, host_size);
	if (service != NULL)
		l->service = memcpy(text + host_size, service, service_size);
	return l;
}

/* Frees a look-up with an answer. Returns what the call returns. */
static int
end_lookup(struct lookup *l)
{
	int code = l->code, error = l->error;

	free_lookup(l);
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
	struct lookup *l;
	int code = ask_numeric(host, service, hints, list);

	if (code != EAI_NONAME || (hints->ai_flags & AI_NUMERICHOST && service == NULL))
		return result(code);
	l = new_lookup(ask_addresses, host, service);
	if (l == NULL)
		return -1;
	l->hints = *hints;
	if (look_up(l, deadline) == -1)
		return -1;
	*list = l->list;
	l->list = NULL;
	return end_lookup(l);
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
	struct lookup *l = new_lookup(ask_names, NULL, NULL);
	int rc = 0;

	if (l == NULL)
		return -1;
	memcpy(&l->addr, addr, len);
	l->addr_len = len;
	l->flags = flags;
	if (look_up(l, deadline) == -1)
		return -1;
	if (l->code == 0 && host != NULL)
		rc = copy_text(host, host_size, l->name);
	if (l->code == 0 && rc == 0 && service != NULL)
		rc = copy_text(service, service_size, l->port);
	if (rc == -1)
		l->code = EAI_OVERFLOW;
	return end_lookup(l);
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
	struct lookup *l;
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
	l = new_lookup(ask_full_name, name, NULL);
	if (l == NULL)
		return -1;
	l->hints.ai_socktype = SOCK_STREAM;
	if (look_up(l, deadline) == -1)
		return -1;
	rc = l->code == 0 ? copy_text(buf, size, l->name) : 0;
	error = errno;
	if (rc == 0)
		return end_lookup(l);
	free_lookup(l);
	errno = error;
	return -1;
}

int
sks_gai_error(void)
{
	return sks_task_current()->gai_error;
}
