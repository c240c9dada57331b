/* SPDX-License-Identifier: MIT */
/*
 * fault_rules.c - reads the rules of faults: "accept4:EMFILE:3", "recv:short=1".
 */
#include "fault_rules.h"

#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

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

/* Is text[0..n) this name? */
static int
is_name(const char *name, const char *text, size_t n)
{
	return strlen(name) == n && memcmp(name, text, n) == 0;
}

enum fault_call
fault_call_named(const char *text, size_t n)
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

int
fault_rule_read(struct rule *rule, const char *text, size_t n)
{
	const char *colon = memchr(text, ':', n), *end = text + n, *second;

	memset(rule, 0, sizeof(*rule));
	rule->when = WHEN_ONCE;
	rule->k = 1;
	if (colon == NULL)
		return -1;
	rule->call = (uint8_t)fault_call_named(text, (size_t)(colon - text));
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
