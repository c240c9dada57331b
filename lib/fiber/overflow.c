/* SPDX-License-Identifier: MIT */
/*
 * overflow.c - a name for the fiber whose stack was too small.
 *
 * The handler runs on the alternate stack (on the full one it could not run),
 * finds the fiber by the thread's current task, and compares the address of
 * the fault with the fiber's guard. Then it puts back the action that was
 * there before and returns: the instruction faults once more, and a debugger,
 * a core or a host's own crash reporter sees the fault itself, registers and
 * all. Raising the signal again or calling abort(3) would show our handler.
 *
 * A fault elsewhere is none of our business. If somebody's function handled
 * these signals before (garbage collectors do, in good health), it is called
 * as if we were not there, and we stay. Else the default action is put back.
 *
 * Only what signal-safety(7) allows: so addresses are written out by hand
 * here, not by addr.c. IPv6 comes in plain groups, zeros not contracted.
 */
#include "fiber/overflow.h"

#include "base/standard_error.h"
#include "base/sys.h"
#include "base/util.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"

#include <errno.h>
#include <netinet/in.h>
#include <socketserver/request.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/un.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define ALT_STACK_SIZE (64 * 1024)
#define NAME_MOST 128

/* One line, cut when it is full. */
struct line {
	char text[512];
	size_t len;
};

static void
put_char(struct line *line, char c)
{
	if (line->len < sizeof(line->text) - 1)
		line->text[line->len++] = c;
}

/* Up to n bytes or a NUL; what is not printable is escaped. */
static void
put_text(struct line *line, const char *text, size_t n)
{
	line->len += sks_escape(text, strnlen(text, n), line->text + line->len,
	    sizeof(line->text) - line->len);
}

static void
put_string(struct line *line, const char *text)
{
	put_text(line, text, strlen(text));
}

static void
put_number(struct line *line, size_t n, unsigned int base)
{
	char digits[24];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n > 0);
	put_text(line, digits + i, sizeof(digits) - i);
}

static void
put_in(struct line *line, const unsigned char bytes[4], unsigned int port)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			put_char(line, '.');
		put_number(line, bytes[i], 10);
	}
	put_char(line, ':');
	put_number(line, port, 10);
}

static void
put_in6(struct line *line, const unsigned char bytes[16], unsigned int port)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	int i;

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		put_in(line, bytes + 12, port);
		return;
	}
	put_char(line, '[');
	for (i = 0; i < 16; i += 2) {
		if (i > 0)
			put_char(line, ':');
		put_number(line, (size_t)bytes[i] << 8 | bytes[i + 1], 16);
	}
	put_string(line, "]:");
	put_number(line, port, 10);
}

static void
put_un(struct line *line, const struct sockaddr *peer, size_t len)
{
	const char *path = (const char *)peer + offsetof(struct sockaddr_un, sun_path);

	put_string(line, "unix:");
	len -= offsetof(struct sockaddr_un, sun_path);
	if (len > 1 && path[0] == '\0') {
		put_char(line, '@');
		path++;
		len--;
	}
	put_text(line, path, len);
}

static void
put_peer(struct line *line, const struct sockaddr *peer, size_t len)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (peer == NULL || len < offsetof(struct sockaddr_un, sun_path)) {
		put_char(line, '-');
	} else if (peer->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, peer, sizeof(in));
		put_in(line, (const unsigned char *)&in.sin_addr, ntohs(in.sin_port));
	} else if (peer->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, peer, sizeof(in6));
		put_in6(line, in6.sin6_addr.s6_addr, ntohs(in6.sin6_port));
	} else if (peer->sa_family == AF_UNIX) {
		put_un(line, peer, len);
	} else {
		put_char(line, '-');
	}
}

static void
report(const struct sks_fiber *fiber)
{
	struct line line = { .len = 0 };

	put_string(&line, "socketserver: stack overflow in handler ");
	if (fiber->task.origin.handler != NULL)
		put_text(&line, fiber->task.origin.handler, NAME_MOST);
	else
		put_char(&line, '-');
	put_string(&line, " serving ");
	put_peer(&line, fiber->task.origin.peer, fiber->task.origin.peer_len);
	put_string(&line, " (stack_size ");
	put_number(&line, fiber->stack_size, 10);
	put_char(&line, ')');
	line.text[line.len++] = '\n'; /* put_char left room for it */
	/* A report that is not taken is lost: the process must still die, and of this signal. */
	if (!sks_stderr_is_spared())
		(void)sks_stderr_write(line.text, line.len);
}

static struct watched {
	int sig;
	struct sigaction before;
} watched[] = { { .sig = SIGSEGV }, { .sig = SIGBUS } };

static void
put_back(void)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(watched); i++)
		(void)sigaction(watched[i].sig, &watched[i].before, NULL);
}

/* Calls the handler that was there before ours. Returns 1 when that has handled the signal. */
static int
pass_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *before = &watched[sig == watched[0].sig ? 0 : 1].before;

	if (before->sa_flags & SA_SIGINFO) {
		before->sa_sigaction(sig, info, context);
		return 1;
	}
	if (before->sa_handler == SIG_IGN)
		return info->si_code <= 0; /* only what was sent by kill(2) can be ignored */
	if (before->sa_handler == SIG_DFL)
		return 0;
	before->sa_handler(sig);
	return 1;
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	struct sks_task *task = sks_task_now;
	int error = errno;

	if (info->si_code > 0 && task != NULL && task->fiber != NULL &&
	    sks_stack_guards(task->fiber->stacks, task->fiber->stack, info->si_addr)) {
		report(task->fiber);
		put_back();
	} else if (!pass_on(sig, info, context)) {
		put_back();
		/* Sent by kill(2), it would not repeat by itself. */
		if (info->si_code <= 0)
			(void)raise(sig);
	}
	errno = error;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t alt_stack_key;
static int once_error;

static size_t
alt_stack_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = ALT_STACK_SIZE + (size_t)getauxval(AT_MINSIGSTKSZ);

	return (size + page - 1) / page * page;
}

/* At the end of a thread. Its alternate stack may be another's by now. */
static void
free_alt_stack(void *at)
{
	stack_t now;

	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == at)
		(void)sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	(void)sks_sys_munmap(at, alt_stack_size());
}

static void
install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault };
	size_t i;

	once_error = pthread_key_create(&alt_stack_key, free_alt_stack);
	if (once_error != 0)
		return;
	for (i = 0; i < SKS_ARRAY_LEN(watched); i++) {
		(void)sigaction(watched[i].sig, NULL, &watched[i].before);
		/* The handler before ours gets its signals with the flags that it asked for. */
		action.sa_mask = watched[i].before.sa_mask;
		action.sa_flags = SA_SIGINFO | SA_ONSTACK |
		    (watched[i].before.sa_flags & (SA_NODEFER | SA_RESTART));
		(void)sigaction(watched[i].sig, &action, NULL);
	}
}

static int
give_alt_stack(void)
{
	size_t size = alt_stack_size();
	void *at;
	stack_t now;
	int error;

	if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
		return 0;
	at = sks_sys_mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (at == MAP_FAILED) {
		errno = ENOMEM;
		return -1;
	}
	error = pthread_setspecific(alt_stack_key, at);
	if (error == 0 && sigaltstack(&(stack_t){ .ss_sp = at, .ss_size = size }, NULL) == 0)
		return 0;
	(void)pthread_setspecific(alt_stack_key, NULL);
	(void)sks_sys_munmap(at, size);
	errno = error != 0 ? error : ENOMEM;
	return -1;
}

int
sks_overflow_watch(void)
{
	(void)pthread_once(&once, install);
	if (once_error != 0) {
		errno = once_error;
		return -1;
	}
	return give_alt_stack();
}
