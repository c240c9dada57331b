/* SPDX-License-Identifier: MIT */
#include "sockets.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
pair_of(struct sks_socket *pair[2], int type)
{
	ck_assert_int_eq(sks_socket_pair(type, pair), 0);
}

void
free_pair(struct sks_socket *pair[2])
{
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

struct sks_socket *
bound(const char *text, int type)
{
	struct sockaddr_storage addr;
	struct sks_socket *s;
	char own[64];
	socklen_t len;

	/* The same suite may run beside this one: not with the same names. */
	snprintf(own, sizeof(own), strncmp(text, "unix:", 5) == 0 ? "%s.%d" : "%s", text,
	    (int)getpid());
	ck_assert_int_eq(sks_address_parse(own, &addr, &len), 0);
	s = sks_socket_new(addr.ss_family, type, 0);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sks_socket_bind(s, (struct sockaddr *)&addr, len), 0);
	return s;
}

void
name_of(struct sks_socket *s, struct sockaddr_storage *addr, socklen_t *len)
{
	*len = sizeof(*addr);
	ck_assert_int_eq(sks_socket_getsockname(s, (struct sockaddr *)addr, len), 0);
}

int
connect_to(struct sks_socket *s, struct sks_socket *server)
{
	struct sockaddr_storage addr;
	socklen_t len;

	name_of(server, &addr, &len);
	return sks_socket_connect(s, (struct sockaddr *)&addr, len);
}

static void
run_aside(void *arg)
{
	struct aside *aside = arg;

	aside->run(aside->arg);
	aside->over = 1;
}

static void *
thread_aside(void *arg)
{
	run_aside(arg);
	return NULL;
}

void
begin_aside(struct aside *aside, void (*run)(void *), void *arg)
{
	*aside = (struct aside){ .run = run, .arg = arg };
	if (rig_here() != NULL)
		rig_go(rig_here(), run_aside, aside);
	else
		ck_assert_int_eq(pthread_create(&aside->thread, NULL, thread_aside, aside), 0);
}

void
end_aside(struct aside *aside)
{
	if (rig_here() == NULL)
		pthread_join(aside->thread, NULL);
	while (!aside->over)
		sks_yield();
}
