/* SPDX-License-Identifier: MIT */
/*
 * The protocol of sd_listen_fds(3): LISTEN_FDS is the number of descriptors, from 3 on,
 * LISTEN_PID the process that they are for, and LISTEN_FDNAMES has their names between
 * colons. It is written by hand here, as libsystemd would be one more library for a page
 * of code.
 *
 * The environment is read at each use and not changed, since it belongs to the process. A
 * program that this one starts finds the pid of another process in it.
 */
#include "host/activation.h"

#include "base/endpoint.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/bind.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <socketserver/host.h>

#define FIRST 3
#define UNNAMED "unknown" /* as sd_listen_fds_with_names(3) says */

struct passed {
	int n;             /* how many descriptors, from FIRST on */
	const char *names; /* NULL: all sockets are UNNAMED */
};

static int
refuse(int error, const char *variable, const char *text, const char *why)
{
	return sks_fail(NULL, error, "%s=%s: %s", variable, text, why);
}

int64_t
sks_activation_number(const char *text)
{
	char *end;
	intmax_t n;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoimax(text, &end, 10);
	return *end == '\0' && errno == 0 ? n : 0;
}

static int
count_names(const char *names)
{
	int n = 1;

	for (; *names != '\0'; names++)
		n += *names == ':';
	return n;
}

/* Sets FD_CLOEXEC, as children must not inherit them. This also shows that each is open. */
static int
close_on_exec(int n)
{
	int i, flags;

	for (i = 0; i < n; i++) {
		flags = sks_sys_fcntl(FIRST + i, F_GETFD);
		if (flags == -1 || sks_sys_fcntl(FIRST + i, F_SETFD, flags | FD_CLOEXEC) == -1)
			return sks_fail(NULL, errno, "LISTEN_FDS=%d: descriptor %d: %m", n,
			    FIRST + i);
	}
	return 0;
}

static int
read_environment(struct passed *p)
{
	const char *pid = secure_getenv("LISTEN_PID"), *fds = secure_getenv("LISTEN_FDS");
	char text[32];
	int64_t n = sks_activation_number(fds);

	if (pid == NULL || fds == NULL)
		return sks_fail(NULL, ENOENT,
		    "systemd: no sockets were passed (LISTEN_FDS, LISTEN_PID)");
	if (sks_activation_number(pid) == 0)
		return refuse(EINVAL, "LISTEN_PID", pid, "not a process");
	if (sks_activation_number(pid) != (int64_t)getpid()) {
		snprintf(text, sizeof(text), "not for this one, %d", (int)getpid());
		return refuse(ENOENT, "LISTEN_PID", pid, text);
	}
	if (n == 0 || n > INT_MAX - FIRST)
		return refuse(EINVAL, "LISTEN_FDS", fds, "not a number of sockets");
	p->n = (int)n;
	p->names = secure_getenv("LISTEN_FDNAMES");
	if (close_on_exec(p->n) == -1)
		return -1;
	if (p->names != NULL && count_names(p->names) != p->n)
		return refuse(EINVAL, "LISTEN_FDNAMES", p->names,
		    "not a name for each of LISTEN_FDS");
	return 0;
}

/* Returns 1 when the i-th socket has that name; "" is the name of all. */
static int
is_named(const struct passed *p, int i, const char *name)
{
	const char *own = p->names != NULL ? p->names : UNNAMED;

	if (*name == '\0')
		return 1;
	for (; p->names != NULL && i > 0; i--)
		own = strchr(own, ':') + 1;
	return strcspn(own, ":") == strlen(name) && strncmp(own, name, strlen(name)) == 0;
}

/* Checks that a server can listen on a socket, and that none does yet. 0, or -1 and errno. */
static int
check_socket(const char *address)
{
	struct sks_endpoint ep;
	const char *why;

	if (sks_endpoint_parse(&ep, address, &why) == -1)
		return -1;
	return sks_listener_check_inherited(&ep, address) == -1 ? -1 : 0;
}

/*
 * Finds the first socket of that name, from number i on, and writes its address: the prefixes
 * that stand before the name are for each socket. Returns its number; -1: there is none.
 */
static int
find_named(const struct passed *p, int i, const char *name, char *address, size_t size)
{
	const char *bare = sks_endpoint_skip_prefixes(name);

	while (i < p->n && !is_named(p, i, bare))
		i++;
	if (i == p->n)
		return -1;
	snprintf(address, size, "%.*sfd:%d", (int)(bare - name), name, FIRST + i);
	return i;
}

int
sks_activation_listen(struct sks_server *server, const char *name,
    int (*check)(int fd, const char *address, void *arg), void *arg)
{
	struct passed p;
	char address[48];
	int i, n = 0;

	if (name == NULL)
		name = "";
	if (read_environment(&p) == -1)
		return -1;
	for (i = 0; (i = find_named(&p, i, name, address, sizeof(address))) != -1; i++, n++)
		if (check_socket(address) == -1 ||
		    (check != NULL && check(FIRST + i, address, arg) == -1))
			return -1;
	if (n == 0)
		return sks_fail(NULL, ENOENT,
		    "systemd:%s: no socket of that name was passed (LISTEN_FDNAMES=%s)",
		    sks_endpoint_skip_prefixes(name), p.names != NULL ? p.names : "");
	for (i = 0; (i = find_named(&p, i, name, address, sizeof(address))) != -1; i++)
		if (sks_server_listen(server, address) == -1)
			return -1;
	return 0;
}

int
sks_server_listen_inherited(struct sks_server *server, const char *name)
{
	return sks_activation_listen(server, name, NULL, NULL);
}
