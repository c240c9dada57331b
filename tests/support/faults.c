/* SPDX-License-Identifier: MIT */
/*
 * faults.c - the table of faults, and the calls of base/sys.h that ask it. A release build has
 * nothing of this: there base/sys.h is the calls themselves.
 *
 * The table has no lock. Wrapped calls come from signal handlers (a shutdown
 * writes to an eventfd) and from children forked while another thread was in
 * the middle of one; a mutex would be left locked in both. So a rule is one
 * word of eight bytes, put into its slot and taken out of it whole, and all
 * that changes besides are counters. Nothing is allocated, since malloc is
 * among the things that fail here.
 *
 * A call that runs while its rule is added or cleared sees one or the other.
 */
#include "faults.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Calls of others that lib/ announces with sks_sys_fault_point(). */
#define FAULT_POINTS(X) \
	X(open) X(fcntl) X(setrlimit) X(dlopen) X(dlsym) X(event_add) X(gethostbyaddr_r)

enum fault_call {
	CALL_none, /* so that an empty slot is all zeroes */
	CALL_malloc,
#define X(type, failed, name, params, call) CALL_##name,
	SKS_SYS_CALLS(X) SKS_SYS_OWN_CALLS(X)
#undef X
#define X(name) CALL_##name,
	FAULT_POINTS(X)
#undef X
	CALLS
};

static const char *const call_names[CALLS] = {
	[CALL_none] = "",
	[CALL_malloc] = "malloc",
#define X(type, failed, name, params, call) [CALL_##name] = #name,
	SKS_SYS_CALLS(X) SKS_SYS_OWN_CALLS(X)
#undef X
#define X(name) [CALL_##name] = #name,
	FAULT_POINTS(X)
#undef X
};

/* getaddrinfo's codes are negative; in a rule they stand above all errno values. */
#define GAI(code) (4096 - (code))
#define IS_GAI(error) ((error) >= 4096)

static const struct {
	const char *name;
	int value;
} error_names[] = {
#define X(name) { #name, name },
	X(E2BIG) X(EACCES) X(EADDRINUSE) X(EADDRNOTAVAIL) X(EAFNOSUPPORT) X(EAGAIN) X(EALREADY)
	X(EBADF) X(EBADFD) X(EBADMSG) X(EBUSY) X(ECANCELED) X(ECHILD) X(ECOMM) X(ECONNABORTED)
	X(ECONNREFUSED) X(ECONNRESET) X(EDEADLK) X(EDESTADDRREQ) X(EDOM) X(EDQUOT) X(EEXIST)
	X(EFAULT) X(EFBIG) X(EHOSTDOWN) X(EHOSTUNREACH) X(EILSEQ) X(EINPROGRESS) X(EINTR)
	X(EINVAL) X(EIO) X(EISCONN) X(EISDIR) X(ELOOP) X(EMFILE) X(EMLINK) X(EMSGSIZE)
	X(ENAMETOOLONG) X(ENETDOWN) X(ENETRESET) X(ENETUNREACH) X(ENFILE) X(ENOBUFS) X(ENODATA)
	X(ENODEV) X(ENOENT) X(ENOEXEC) X(ENOLCK) X(ENOMEM) X(ENONET) X(ENOPROTOOPT) X(ENOSPC)
	X(ENOSYS) X(ENOTBLK) X(ENOTCONN) X(ENOTDIR) X(ENOTEMPTY) X(ENOTSOCK) X(ENOTSUP) X(ENOTTY)
	X(ENXIO) X(EOPNOTSUPP) X(EOVERFLOW) X(EPERM) X(EPFNOSUPPORT) X(EPIPE) X(EPROTO)
	X(EPROTONOSUPPORT) X(EPROTOTYPE) X(ERANGE) X(EREMOTEIO) X(EROFS) X(ESHUTDOWN)
	X(ESOCKTNOSUPPORT) X(ESPIPE) X(ESRCH) X(ESTALE) X(ETIME) X(ETIMEDOUT) X(ETOOMANYREFS)
	X(ETXTBSY) X(EUSERS) X(EWOULDBLOCK) X(EXDEV)
#undef X
#define X(name) { #name, GAI(name) },
	X(EAI_AGAIN) X(EAI_BADFLAGS) X(EAI_FAIL) X(EAI_FAMILY) X(EAI_MEMORY) X(EAI_NODATA)
	X(EAI_NONAME) X(EAI_OVERFLOW) X(EAI_SERVICE) X(EAI_SOCKTYPE) X(EAI_SYSTEM)
#undef X
};

enum { WHEN_ONCE, WHEN_FROM, WHEN_EACH };

struct rule {
	uint8_t call; /* enum fault_call; CALL_none: the slot is free */
	uint8_t when : 2;
	uint8_t cuts : 1; /* value is a number of bytes, not an error */
	uint16_t value;
	uint32_t k;
};

_Static_assert(CALLS <= UINT8_MAX, "a call fits struct rule");
_Static_assert(sizeof(struct rule) == 8, "a rule is one atomic word");

#define RULES 64

static struct {
	_Atomic struct rule rule;
	atomic_ulong seen; /* calls of its kind since it was added */
} slots[RULES];

static atomic_int slots_used; /* slots from here on were never used: the fast path */
static atomic_ulong calls_made[CALLS];
static atomic_ulong hits;

/* ---- the grammar ---- */

/* Is text[0..n) this name? */
static int
is_name(const char *name, const char *text, size_t n)
{
	return strlen(name) == n && memcmp(name, text, n) == 0;
}

static enum fault_call
find_call(const char *text, size_t n)
{
	unsigned int i;

	for (i = CALL_none + 1; i < CALLS; i++)
		if (is_name(call_names[i], text, n))
			return (enum fault_call)i;
	return CALL_none;
}

static int
find_error(const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(error_names); i++)
		if (is_name(error_names[i].name, text, n))
			return error_names[i].value;
	return 0;
}

static int
can_be_short(enum fault_call call)
{
	return call == CALL_recv || call == CALL_send || call == CALL_read || call == CALL_write ||
	    call == CALL_recvmsg || call == CALL_sendmsg || call == CALL_sendfile;
}

/* The digits text[0..n) as 1 to most; 0 when they are anything else. */
static uint32_t
parse_number(const char *text, size_t n, uint32_t most)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		value = value * 10 + (uint64_t)(text[i] - '0');
		if (value > most)
			return 0;
	}
	return (uint32_t)value;
}

static int
parse_when(struct rule *rule, const char *text, size_t n)
{
	if (n > 0 && text[0] == '%') {
		rule->when = WHEN_EACH;
		text++;
		n--;
	} else if (n > 0 && text[n - 1] == '+') {
		rule->when = WHEN_FROM;
		n--;
	} else
		rule->when = WHEN_ONCE;
	rule->k = parse_number(text, n, UINT32_MAX);
	return rule->k == 0 ? -1 : 0;
}

static int
parse_effect(struct rule *rule, const char *text, size_t n)
{
	static const char cut[] = "short=";
	size_t skip = sizeof(cut) - 1;
	int resolver = rule->call == CALL_getaddrinfo || rule->call == CALL_getnameinfo;

	if (n > skip && memcmp(text, cut, skip) == 0) {
		if (!can_be_short(rule->call))
			return -1;
		rule->cuts = 1;
		rule->when = WHEN_FROM;
		rule->value = (uint16_t)parse_number(text + skip, n - skip, UINT16_MAX);
	} else {
		rule->value = (uint16_t)find_error(text, n);
		if (IS_GAI(rule->value) && !resolver)
			return -1;
	}
	return rule->value == 0 ? -1 : 0;
}

/* Reads the rule text[0..n). */
static int
parse_rule(struct rule *rule, const char *text, size_t n)
{
	const char *colon = memchr(text, ':', n), *end = text + n, *second;

	memset(rule, 0, sizeof(*rule));
	rule->when = WHEN_ONCE;
	rule->k = 1;
	if (colon == NULL)
		return -1;
	rule->call = (uint8_t)find_call(text, (size_t)(colon - text));
	if (rule->call == CALL_none)
		return -1;
	text = colon + 1;
	second = memchr(text, ':', (size_t)(end - text));
	if (parse_effect(rule, text, (size_t)((second ? second : end) - text)) == -1)
		return -1;
	if (second == NULL)
		return 0;
	return parse_when(rule, second + 1, (size_t)(end - second - 1));
}

/* ---- the table ---- */

static struct rule
rule_at(int i)
{
	return atomic_load(&slots[i].rule);
}

static int
add_rule(struct rule rule)
{
	struct rule empty;
	int i, used;

	for (i = 0; i < RULES; i++) {
		memset(&empty, 0, sizeof(empty));
		if (rule_at(i).call != CALL_none)
			continue;
		atomic_store(&slots[i].seen, 0);
		if (!atomic_compare_exchange_strong(&slots[i].rule, &empty, rule))
			continue;
		used = atomic_load(&slots_used);
		while (used <= i && !atomic_compare_exchange_weak(&slots_used, &used, i + 1))
			;
		return 0;
	}
	errno = ENOSPC;
	return -1;
}

/* How many rules there is room for. */
static int
room(void)
{
	int i, n = 0;

	for (i = 0; i < RULES; i++)
		n += rule_at(i).call == CALL_none;
	return n;
}

int
sks_fault(const char *rules)
{
	const char *text, *comma;
	struct rule rule;
	int n = 0, add;

	/* Once to judge, once to add: a wrong text changes nothing. */
	for (add = 0; add <= 1; add++) {
		for (text = rules; text != NULL; text = comma ? comma + 1 : NULL) {
			comma = strchr(text, ',');
			if (parse_rule(&rule, text, comma ? (size_t)(comma - text) : strlen(text)) == -1) {
				errno = EINVAL;
				return -1;
			}
			n++;
			if (add && add_rule(rule) == -1)
				return -1;
		}
		if (!add && n > room()) {
			errno = ENOSPC;
			return -1;
		}
	}
	return 0;
}

void
sks_fault_clear(void)
{
	struct rule empty;
	int i;

	memset(&empty, 0, sizeof(empty));
	for (i = 0; i < RULES; i++)
		atomic_store(&slots[i].rule, empty);
	atomic_store(&slots_used, 0);
	for (i = 0; i < CALLS; i++)
		atomic_store(&calls_made[i], 0);
	atomic_store(&hits, 0);
}

unsigned long
sks_fault_calls(const char *call)
{
	return atomic_load(&calls_made[find_call(call, strlen(call))]);
}

unsigned long
sks_fault_hits(void)
{
	return atomic_load(&hits);
}

__attribute__((constructor)) static void
read_environment(void)
{
	const char *rules = getenv("SKS_FAULT");

	if (rules != NULL && rules[0] != '\0' && sks_fault(rules) == -1) {
		fprintf(stderr, "SKS_FAULT=%s: %s\n", rules, strerror(errno));
		_exit(EXIT_FAILURE);
	}
}

/* ---- asking ---- */

static int
strikes(struct rule rule, unsigned long seen)
{
	switch (rule.when) {
	case WHEN_ONCE:
		return seen == rule.k;
	case WHEN_FROM:
		return seen >= rule.k;
	default:
		return seen % rule.k == 0;
	}
}

/*
 * Counts a use of the call. The error that it must fail with, or 0; then
 * *most, where not NULL, is the number of bytes that it may move.
 */
static int
ask(enum fault_call call, size_t *most)
{
	struct rule rule;
	int i, error = 0, used;

	if (most != NULL)
		*most = SIZE_MAX;
	atomic_fetch_add(&calls_made[call], 1);
	used = atomic_load(&slots_used);
	/* To the end, also after a strike: each rule counts each call. */
	for (i = 0; i < used; i++) {
		rule = rule_at(i);
		if (rule.call != call || !strikes(rule, atomic_fetch_add(&slots[i].seen, 1) + 1))
			continue;
		if (!rule.cuts && error == 0)
			error = rule.value;
		else if (rule.cuts && most != NULL && *most == SIZE_MAX)
			*most = rule.value;
	}
	if (error != 0)
		atomic_fetch_add(&hits, 1);
	return error;
}

/* 0 when the call may go on, -1 and errno when it must fail. */
static int
refuse(enum fault_call call, size_t *most)
{
	int error = ask(call, most);

	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

int
sks_sys_fault_point(const char *name)
{
	enum fault_call call = find_call(name, strlen(name));

	if (call == CALL_none) {
		fprintf(stderr, "sks_sys_fault_point(\"%s\"): not in FAULT_POINTS of faults.c\n", name);
		abort();
	}
	return refuse(call, NULL);
}

/* Would the kernel ever move a part of what was asked, on this descriptor? */
static int
moves_parts(int fd)
{
	int saved = errno, type = 0;
	socklen_t len = sizeof(type);
	struct stat st;

	/* An eventfd, timerfd or signalfd has no type and takes whole words only. */
	if (fstat(fd, &st) == -1)
		st.st_mode = 0;
	else if (S_ISSOCK(st.st_mode) &&
	    (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_STREAM))
		st.st_mode = 0;
	errno = saved;
	return (st.st_mode & S_IFMT) != 0;
}

/* n, or fewer when a rule said so and it is for such a descriptor. */
static size_t
cut(int fd, size_t n, size_t most)
{
	if (n <= most || !moves_parts(fd))
		return n;
	atomic_fetch_add(&hits, 1);
	return most;
}

#define PARTS 16

/*
 * As cut() for the vector of msg: where it has to be cut, to[] gets its first bytes, at most
 * `most` in at most PARTS pieces, and is the vector of msg then.
 */
static void
cut_parts(int fd, struct iovec to[PARTS], struct msghdr *msg, size_t most)
{
	const struct iovec *from = msg->msg_iov;
	size_t i, n = (size_t)msg->msg_iovlen, used = 0, total = 0;

	if (most == SIZE_MAX)
		return;
	for (i = 0; i < n; i++)
		total += from[i].iov_len;
	most = cut(fd, total, most);
	if (most == total)
		return;
	/* No empty pieces: PARTS of them would read as the end of input. */
	for (i = 0; i < n && used < PARTS && most > 0; i++) {
		if (from[i].iov_len == 0)
			continue;
		to[used] = from[i];
		to[used].iov_len = sks_min(from[i].iov_len, most);
		most -= to[used++].iov_len;
	}
	msg->msg_iov = to;
	msg->msg_iovlen = (unsigned char)used; /* size_t in glibc, int in musl */
}

/* ---- the calls ---- */

#define X(type, failed, name, params, call)           \
	type sks_sys_##name params                    \
	{                                             \
		if (refuse(CALL_##name, NULL) == -1)  \
			return failed;                \
		return call;                          \
	}
SKS_SYS_CALLS(X)
#undef X

/* ---- memory, which is counted ---- */

static atomic_long held;

/* A block: one more than before, or in the place of another one. */
static void *
hold(void *block, int one_more)
{
	if (block != NULL && one_more)
		atomic_fetch_add(&held, 1);
	return block;
}

void *
sks_sys_malloc(size_t size)
{
	return refuse(CALL_malloc, NULL) == -1 ? NULL : hold(malloc(size), 1);
}

void *
sks_sys_calloc(size_t n, size_t size)
{
	return refuse(CALL_malloc, NULL) == -1 ? NULL : hold(calloc(n, size), 1);
}

void *
sks_sys_realloc(void *old, size_t size)
{
	int one_more = old == NULL;

	return refuse(CALL_malloc, NULL) == -1 ? NULL : hold(realloc(old, size), one_more);
}

void
sks_sys_give_away(const void *ptr)
{
	if (ptr != NULL)
		atomic_fetch_sub(&held, 1);
}

void
sks_sys_free(void *ptr)
{
	sks_sys_give_away(ptr);
	free(ptr);
}

void *
sks_sys_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	void *got = MAP_FAILED;

	if (refuse(CALL_mmap, NULL) == 0)
		got = mmap(at, n, prot, flags, fd, off);
	if (got != MAP_FAILED)
		atomic_fetch_add(&held, 1);
	return got;
}

int
sks_sys_munmap(void *at, size_t size)
{
	int rc = munmap(at, size);

	if (rc == 0)
		atomic_fetch_sub(&held, 1);
	return rc;
}

long
sks_sys_held(void)
{
	return atomic_load(&held);
}

/* ---- the others ---- */

/* As on Linux, the descriptor is gone whatever close says. */
int
sks_sys_close(int fd)
{
	int error = ask(CALL_close, NULL);
	int rc = close(fd);

	if (error == 0)
		return rc;
	errno = error;
	return -1;
}

/* A connect that was interrupted, or goes on by itself, has begun. */
int
sks_sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int error = ask(CALL_connect, NULL);

	if ((error == 0 || error == EINTR || error == EINPROGRESS) &&
	    connect(fd, addr, len) == -1 && error == 0)
		return -1;
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

ssize_t
sks_sys_recv(int fd, void *buf, size_t n, int flags)
{
	size_t most;

	if (refuse(CALL_recv, &most) == -1)
		return -1;
	return recv(fd, buf, cut(fd, n, most), flags);
}

ssize_t
sks_sys_send(int fd, const void *buf, size_t n, int flags)
{
	size_t most;

	if (refuse(CALL_send, &most) == -1)
		return -1;
	return send(fd, buf, cut(fd, n, most), flags);
}

ssize_t
sks_sys_read(int fd, void *buf, size_t n)
{
	size_t most;

	if (refuse(CALL_read, &most) == -1)
		return -1;
	return read(fd, buf, cut(fd, n, most));
}

ssize_t
sks_sys_write(int fd, const void *buf, size_t n)
{
	size_t most;

	if (refuse(CALL_write, &most) == -1)
		return -1;
	return write(fd, buf, cut(fd, n, most));
}

ssize_t
sks_sys_sendfile(int to, int from, off_t *at, size_t n)
{
	size_t most;

	if (refuse(CALL_sendfile, &most) == -1)
		return -1;
	return sendfile(to, from, at, cut(to, n, most));
}

ssize_t
sks_sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct msghdr copy = *msg;
	struct iovec parts[PARTS];
	size_t most;
	ssize_t n;

	if (refuse(CALL_recvmsg, &most) == -1)
		return -1;
	cut_parts(fd, parts, msg, most);
	/* The kernel has written into the header; its list of parts is the caller's again. */
	n = recvmsg(fd, msg, flags);
	msg->msg_iov = copy.msg_iov;
	msg->msg_iovlen = copy.msg_iovlen;
	return n;
}

ssize_t
sks_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct iovec parts[PARTS];
	struct msghdr copy = *msg;
	size_t most;

	if (refuse(CALL_sendmsg, &most) == -1)
		return -1;
	cut_parts(fd, parts, &copy, most);
	return sendmsg(fd, &copy, flags);
}

/* Returns its error and leaves errno alone. */
int
sks_sys_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
    void *arg)
{
	int error = ask(CALL_pthread_create, NULL);

	if (error != 0)
		return error;
	return pthread_create(thread, attr, run, arg);
}

/* What a resolver call returns for a rule's error; an errno is EAI_SYSTEM's. */
static int
resolver_error(int error)
{
	if (IS_GAI(error))
		return GAI(error);
	errno = error;
	return EAI_SYSTEM;
}

int
sks_sys_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **list)
{
	int error = ask(CALL_getaddrinfo, NULL);

	if (error != 0)
		return resolver_error(error);
	return getaddrinfo(host, port, hints, list);
}

int
sks_sys_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_size,
    char *port, socklen_t port_size, int flags)
{
	int error = ask(CALL_getnameinfo, NULL);

	if (error != 0)
		return resolver_error(error);
	return getnameinfo(addr, len, host, host_size, port, port_size, flags);
}
