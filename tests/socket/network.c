/* SPDX-License-Identifier: MIT */
#include "network.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -- the resolver -- */

/* A look-up that was given up goes on in its thread. */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

struct names names;

void
resolves_to(const char *const *addresses, size_t n)
{
	pthread_mutex_lock(&names_lock);
	memset(&names, 0, sizeof(names));
	for (names.n = 0; names.n < n; names.n++)
		ck_assert_int_eq(sks_address_parse(addresses[names.n], &names.addrs[names.n],
		    &names.lens[names.n]), 0);
	pthread_mutex_unlock(&names_lock);
}

struct entry {
	struct addrinfo ai;
	struct sockaddr_storage addr;
};

static int
list_names(const struct addrinfo *hints, struct addrinfo **list)
{
	struct addrinfo **tail = list;
	size_t i;

	if (names.code != 0)
		return names.code;
	for (i = 0; i < names.n; i++) {
		struct entry *e = calloc(1, sizeof(*e));

		ck_assert_ptr_nonnull(e);
		e->addr = names.addrs[i];
		e->ai.ai_addrlen = names.lens[i];
		e->ai.ai_family = e->addr.ss_family;
		e->ai.ai_socktype = hints->ai_socktype;
		e->ai.ai_addr = (struct sockaddr *)&e->addr;
		*tail = &e->ai;
		tail = &e->ai.ai_next;
	}
	return 0;
}

int
getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **list)
{
	sem_t *gate;
	int code;

	(void)host;
	(void)port;
	*list = NULL;
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	pthread_mutex_lock(&names_lock);
	names.lookups++;
	gate = names.gate;
	code = list_names(hints, list);
	pthread_mutex_unlock(&names_lock);
	if (gate != NULL)
		sem_wait(gate);
	return code;
}

void
freeaddrinfo(struct addrinfo *list)
{
	while (list != NULL) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

/* -- connect(2) -- */

char tried[256];
int64_t tried_at[NETWORK_MOST];
int ntried;

int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	char text[160];

	sks_address_format(addr, len, text, sizeof(text));
	if (ntried < NETWORK_MOST)
		tried_at[ntried++] = rig_now();
	snprintf(tried + strlen(tried), sizeof(tried) - strlen(tried), "%s ", text);
	if (strncmp(text, "192.0.2.", 8) == 0) {
		errno = atoi(text + 8);
		return -1;
	}
	if (strncmp(text, "[2001:db8::", 11) == 0) {
		errno = atoi(text + 11);
		return -1;
	}
	return (int)syscall(SYS_connect, fd, addr, len);
}

/* -- a server, and one that never answers -- */

void
open_listener(struct listener *l, const char *address, int backlog)
{
	struct sockaddr_storage addr;
	socklen_t len;

	memset(l->fill, -1, sizeof(l->fill));
	ck_assert_int_eq(sks_address_parse(address, &addr, &len), 0);
	l->fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(l->fd, (struct sockaddr *)&addr, len), 0);
	if (backlog >= 0)
		ck_assert_int_eq(listen(l->fd, backlog), 0);
	len = sizeof(addr);
	getsockname(l->fd, (struct sockaddr *)&addr, &len);
	sks_address_format((struct sockaddr *)&addr, len, l->address, sizeof(l->address));
}

void
open_silent(struct listener *l, const char *address)
{
	struct sockaddr_storage addr;
	socklen_t len;
	size_t i;

	open_listener(l, address, 0);
	ck_assert_int_eq(sks_address_parse(l->address, &addr, &len), 0);
	for (i = 0; i < 3; i++) {
		l->fill[i] = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)syscall(SYS_connect, l->fill[i], &addr, len);
	}
}

void
close_listener(struct listener *l)
{
	size_t i;

	for (i = 0; i < 3; i++)
		if (l->fill[i] != -1)
			close(l->fill[i]);
	close(l->fd);
}

void
meet(struct listener *l, struct sks_client *client)
{
	char buf[8], *line;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(sks_puts(client->wfile, "one\n"), 0);
	ck_assert_int_eq(sks_flush(client->wfile), 0);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), 4);
	ck_assert_int_eq(send(fd, "two\r\n", 5, 0), 5);
	line = sks_gets(client->rfile);
	ck_assert_ptr_nonnull(line);
	ck_assert_str_eq(line, "two");
	close(fd);
}

/* -- the fixture -- */

void
network_setup(void)
{
	memset(&names, 0, sizeof(names));
	tried[0] = '\0';
	ntried = 0;
	no_leaks_setup();
}

void
network_teardown(void)
{
	log_forget();
	no_leaks_teardown();
}
