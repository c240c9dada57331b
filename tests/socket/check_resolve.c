/* SPDX-License-Identifier: MIT */
/*
 * check_resolve.c - looking names up, with a name server of our own: one that answers, answers
 * late, answers rubbish, or never does.
 */
#include "acceptance.h"
#include "dns.h"
#include "rig.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENT 30000 /* ms, where the answer comes */

FIXTURE(acc_setup, acc_teardown);

/* -- what needs no name server -- */

TEST_ON_BOTH(numeric_ones_need_no_thread)
{
	static const struct {
		const char *host, *service;
		int family;
	} hosts[] = {
		{ "127.0.0.1", "80", AF_INET }, { "::1", "80", AF_INET6 }, { NULL, "80", AF_UNSPEC },
		{ "10.0.0.1", NULL, AF_INET }, { "fe80::1%1", "80", AF_INET6 },
		{ "localhost", "80", AF_UNSPEC }, { "www.LocalHost.", NULL, AF_UNSPEC },
	};
	unsigned long threads = sks_fault_calls("pthread_create");
	char host[64], service[32];
	struct addrinfo *list;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(hosts); i++) {
		ck_assert_int_eq(sks_getaddrinfo(hosts[i].host, hosts[i].service, NULL, &list, 1000), 0);
		if (hosts[i].family != AF_UNSPEC)
			ck_assert_int_eq(list->ai_family, hosts[i].family);
		ck_assert_int_eq(sks_getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof(host),
				     service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV, 1000), 0);
		if (hosts[i].family == AF_INET)
			ck_assert_str_eq(host, hosts[i].host);
		freeaddrinfo(list);
	}
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", host, sizeof(host), 1000), 0);
	ck_assert_str_eq(host, "127.0.0.1");
	ck_assert_int_eq(sks_gethostbyname("", host, sizeof(host), 1000), 0);
	ck_assert_str_eq(host, "0.0.0.0");
	ck_assert_uint_eq(sks_fault_calls("pthread_create"), threads);
}

TEST_ON_BOTH(hints_are_those_of_the_caller)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM,
		.ai_protocol = IPPROTO_UDP, .ai_flags = AI_PASSIVE };
	struct addrinfo *list;
	struct sockaddr_in *in;

	ck_assert_int_eq(sks_getaddrinfo(NULL, "80", &hints, &list, 1000), 0);
	in = (struct sockaddr_in *)(void *)list->ai_addr;
	ck_assert_uint_eq(in->sin_addr.s_addr, INADDR_ANY); /* and not the loopback */
	ck_assert_int_eq(list->ai_socktype, SOCK_DGRAM);
	ck_assert_int_eq(list->ai_protocol, IPPROTO_UDP);
	ck_assert_ptr_null(list->ai_next);
	freeaddrinfo(list);
	hints.ai_flags = AI_NUMERICHOST;
	ck_fails(sks_getaddrinfo("some.test", "80", &hints, &list, 1000), ENOENT);
	ck_assert_int_eq(sks_gai_error(), EAI_NONAME);
}

static void
get_errors(void *arg)
{
	static const struct {
		const char *rule;
		int error, code;
	} errors[] = {
		{ "getaddrinfo:EAI_AGAIN:2", EAGAIN, EAI_AGAIN },
		{ "getaddrinfo:EAI_FAIL:2", EIO, EAI_FAIL },
		{ "getaddrinfo:EAI_NODATA:2", ENOENT, EAI_NODATA },
		{ "getaddrinfo:EAI_SERVICE:2", ENOENT, EAI_SERVICE },
		{ "getaddrinfo:EAI_MEMORY:2", ENOMEM, EAI_MEMORY },
		{ "getaddrinfo:EAI_BADFLAGS:1", EINVAL, EAI_BADFLAGS },
		{ "getaddrinfo:EAI_FAMILY:1", EAFNOSUPPORT, EAI_FAMILY },
		{ "getaddrinfo:EAI_SOCKTYPE:1", ESOCKTNOSUPPORT, EAI_SOCKTYPE },
		{ "getaddrinfo:EMFILE:2", EMFILE, EAI_SYSTEM },
		{ "malloc:ENOMEM:1", ENOMEM, 0 },
	};
	struct addrinfo *list = (struct addrinfo *)arg;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(errors); i++) {
		sks_fault_clear();
		ck_assert_int_eq(sks_fault(errors[i].rule), 0);
		errno = 0;
		ck_assert_int_eq(sks_getaddrinfo("localhost", "http", NULL, &list, PATIENT), -1);
		ck_assert_ptr_null(list);
		ck_assert_msg(errno == errors[i].error, "%s: %s", errors[i].rule, strerror(errno));
		ck_assert_int_eq(sks_gai_error(), errors[i].code);
	}
	sks_fault_clear();
	ck_assert_int_eq(sks_getaddrinfo("localhost", "http", NULL, &list, PATIENT), 0);
	ck_assert_int_eq(sks_gai_error(), 0);
	freeaddrinfo(list);
}

TEST(errno_says_why, ON_BOTH)
{
	rig_run_on(_i, get_errors, NULL);
}

TEST_ON_BOTH(without_means_it_is_an_error)
{
	struct addrinfo *list;
	char text[64];

	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:1"), 0);
	errno = 0;
	ck_assert_int_eq(sks_getaddrinfo("localhost", "http", NULL, &list, PATIENT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_gai_error(), 0);
	ck_assert_int_eq(sks_fault("gethostbyaddr_r:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_getfqdn("127.0.0.1", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "127.0.0.1");
	if (sks_task_current()->fiber == NULL) {
		ck_assert_int_eq(sks_fault("eventfd:EMFILE:1"), 0);
		errno = 0;
		ck_assert_int_eq(sks_getaddrinfo("localhost", "http", NULL, &list, PATIENT), -1);
		ck_assert_int_eq(errno, EMFILE);
	}
	ck_assert_int_eq(sks_getaddrinfo("localhost", "http", NULL, &list, PATIENT), 0);
	freeaddrinfo(list);
}

TEST(buffers_that_are_too_small)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[64];

	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, 9, SKS_OFF), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, 10, SKS_OFF), 0);
	errno = 0;
	ck_assert_int_eq(sks_getfqdn("", text, 1, SKS_OFF), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, sizeof(in), text, 2, NULL, 0,
			     NI_NUMERICHOST, 0), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, sizeof(in), text, 2, NULL, 0, 0,
	    SKS_OFF), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, 4000, text, 64, NULL, 0, 0,
	    SKS_OFF), -1);
	ck_assert_int_eq(errno, EINVAL);
}

/* The text of an address, or of a port, has no room in nothing. */
TEST(buffers_of_no_size_are_too_small, TIMES(2))
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char host[64], port[64];

	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, sizeof(in), host,
	    _i == 0 ? 0 : sizeof(host), port, _i == 1 ? 0 : sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV, 0), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	ck_assert_int_eq(sks_gai_error(), EAI_OVERFLOW);
}

/* No host has such a name, but it is told as it was given. */
TEST(a_long_name_is_not_cut)
{
	char name[1200], text[1200];

	memset(name, 'x', sizeof(name));
	strcpy(name + sizeof(name) - sizeof(".localhost"), ".localhost");
	ck_assert_int_eq(sks_getfqdn(name, text, sizeof(text), SKS_OFF), 0);
	ck_assert_str_eq(text, name);
	errno = 0;
	ck_assert_int_eq(sks_getfqdn(name, text, sizeof(text) - 1, SKS_OFF), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
}

/* -- with a name server that answers -- */

FIXTURE(dns_setup_patient, dns_teardown, .left_out = no_place());

TEST_ON_BOTH(names_are_found)
{
	static const struct addrinfo stream = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct sockaddr_in *in;
	struct addrinfo *list;
	char text[64], service[32];

	ck_assert_int_eq(sks_getaddrinfo("good.example.org", "http", &stream, &list, PATIENT), 0);
	in = (struct sockaddr_in *)(void *)list->ai_addr;
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0x0a010203);
	ck_assert_int_eq(ntohs(in->sin_port), 80);
	freeaddrinfo(list);
	ck_assert_int_eq(sks_gethostbyname("good.example.org", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "10.1.2.3");
	ck_assert_int_eq(sks_gethostbyname("short", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "127.9.9.9");
#ifdef __GLIBC__ /* musl takes a short name of /etc/hosts for a full one */
	ck_assert_int_eq(sks_getfqdn("short", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "short.example.org");
	ck_assert_int_eq(sks_getfqdn("127.9.9.9", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "short.example.org");
#endif
	ck_assert_int_eq(sks_getaddrinfo("127.9.9.9", "443", &stream, &list, PATIENT), 0);
	ck_assert_int_eq(sks_getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), service,
			     sizeof(service), 0, PATIENT), 0);
	ck_assert_str_eq(text, "short");
	ck_assert_str_eq(service, "https");
	freeaddrinfo(list);
	errno = 0;
	ck_assert_int_eq(sks_getaddrinfo("good.example.org", "no-such-service", &stream, &list,
			     PATIENT), -1);
	ck_assert_int_eq(errno, ENOENT);
}

/* No file has it, and the name server is not asked (RFC 6761). */
TEST_ON_BOTH(localhost_is_the_loopback)
{
	static const char *const hosts[] = { "localhost", "LOCALHOST", "localhost.",
		"good.localhost", "good.localhost." };
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list, *ai;
	int has4, has6;
	char text[64];
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(hosts); i++) {
		ck_assert_int_eq(sks_getaddrinfo(hosts[i], i % 2 == 0 ? "443" : "https", &hints,
				     &list, PATIENT), 0);
		for (has4 = has6 = 0, ai = list; ai != NULL; ai = ai->ai_next) {
			sks_address_format(ai->ai_addr, ai->ai_addrlen, text, sizeof(text));
			has4 += strcmp(text, "127.0.0.1:443") == 0;
			has6 += strcmp(text, "[::1]:443") == 0;
		}
		ck_assert_int_eq(has4, 1);
		ck_assert_int_eq(has6, 1);
		freeaddrinfo(list);
		ck_assert_int_eq(sks_gethostbyname(hosts[i], text, sizeof(text), PATIENT), 0);
		ck_assert_str_eq(text, "127.0.0.1");
		ck_assert_int_eq(sks_getfqdn(hosts[i], text, sizeof(text), PATIENT), 0);
		ck_assert_str_eq(text, hosts[i]);
	}
	ck_assert_int_eq(atomic_load(&dns.asked), 0);
}

/* Others are names as before. */
TEST_ON_BOTH(what_only_looks_like_localhost_is_asked_for)
{
	char text[64];

	ck_assert_int_eq(sks_gethostbyname("good.localhost.example.org", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "10.1.2.3");
	ck_assert_int_eq(sks_gethostbyname("good.notlocalhost", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "10.1.2.3");
}

/*
 * Its client says "<ms> <name>" and gets the address or the error, or "echo"
 * and gets that back.
 */
static int
look_up_or_echo(struct sks_request *req)
{
	char *line, name[64], text[32];

	while ((line = sks_gets(req->rfile)) != NULL) {
		int ms = atoi(line);

		if (ms == 0) {
			sks_printf(req->wfile, "%s\n", line);
			continue;
		}
		snprintf(name, sizeof(name), "%s", strchr(line, ' ') + 1);
		if (sks_gethostbyname(name, text, sizeof(text), ms) == 0)
			sks_printf(req->wfile, "%s\n", text);
		else {
			int error = errno;

			if (error == ECANCELED)
				atomic_store(&seen->waited, error);
			atomic_fetch_add(&seen->errors, 1);
			sks_printf(req->wfile, "%s\n", strerror(error));
		}
	}
	return sks_end(req->rfile);
}

static const struct sks_handler handler = { .name = "names", .handle = look_up_or_echo };

TEST(handlers_of_every_mode_find_them, EACH_MODE)
{
	struct acc acc;
	int fd[3], i;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	for (i = 0; i < 3; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "30000 good.example.org\n30000 short\n30000 good.x\n");
		peer_half_close(fd[i]);
	}
	for (i = 0; i < 3; i++) {
		peer_expect(fd[i], "10.1.2.3\n127.9.9.9\n10.1.2.3\n");
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
}

/* -- with one that does not -- */

TEST(a_dead_name_server_stops_nobody_else, EACH_MODE)
{
	struct acc acc;
	int dead, other, i;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	dead = acc_client(&acc);
	peer_puts(dead, "200 dead.example.org\n");
	if (!acc.mode->one_at_a_time) {
		ck_eventually(dns.asked > 0);
		other = acc_client(&acc);
		for (i = 0; i < 20; i++) {
			peer_puts(other, "echo\n");
			peer_expect(other, "echo\n");
		}
		peer_puts(other, "30000 good.example.org\n");
		peer_expect(other, "10.1.2.3\n");
		close(other);
	}
	peer_expect(dead, strerror(ETIMEDOUT));
	peer_expect(dead, "\n");
	peer_puts(dead, "echo\n"); /* it goes on as if nothing had been */
	peer_expect(dead, "echo\n");
	close(dead);
	acc_free(&acc);
}

#define LOOKUPS 64

static void
look_up_late(void *arg)
{
	char text[32];
	int rc = sks_gethostbyname("late.example.org", text, sizeof(text), PATIENT);

	*(int *)arg = rc == 0 ? 0 : errno;
}

static void
note_arrival(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void
be_the_65th(void *arg)
{
	struct addrinfo *list;
	atomic_int here = 0;
	char text[32];

	(void)arg;
	while (sks_fault_calls("getaddrinfo") < 2 * LOOKUPS) /* each is asked twice, first as a number */
		ck_assert_int_eq(sks_sleep(1), 0);
	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("good.example.org", text, sizeof(text), PATIENT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_gai_error(), 0);
	/* What needs no name server does not suffer. */
	ck_assert_int_eq(sks_offload(note_arrival, &here), 0);
	ck_assert_int_eq(here, 1);
	ck_assert_int_eq(sks_getaddrinfo("127.0.0.1", "80", NULL, &list, PATIENT), 0);
	freeaddrinfo(list);
	answer_late_ones();
}

TEST(no_more_than_64_at_once)
{
	int error[LOOKUPS], i;
	struct rig_loop rig;

	rig_loop_open(&rig);
	for (i = 0; i < LOOKUPS; i++)
		rig_go(&rig, look_up_late, &error[i]);
	rig_go(&rig, be_the_65th, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	for (i = 0; i < LOOKUPS; i++)
		ck_assert_int_eq(error[i], 0);
}

TEST_ON_BOTH(an_answer_that_comes_too_late_is_thrown_away)
{
	char text[32];

	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("late.example.org", text, sizeof(text), 100), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_eventually(dns.asked > 0);
	answer_late_ones(); /* to nobody */
	ck_assert_int_eq(sks_gethostbyname("good.example.org", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "10.1.2.3");
}

TEST_ON_BOTH(the_deadline_of_the_task_counts)
{
	char text[32];

	sks_task_current()->deadline = sks_clock_after(50);
	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("dead.example.org", text, sizeof(text), SKS_OFF), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	errno = 0; /* nor does one begin any more */
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, sizeof(text), SKS_OFF), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_task_current()->deadline = SKS_NEVER;
}

FIXTURE(dns_setup_brief, dns_teardown, .left_out = no_place());

TEST_ON_BOTH(rubbish_is_no_answer)
{
	char text[32];

	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("rubbish.example.org", text, sizeof(text), SKS_OFF), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_gai_error(), EAI_AGAIN);
}

FIXTURE(dns_setup_patient, dns_teardown, .left_out = no_place());

TEST(a_shutdown_ends_the_wait, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "30000 late.example.org\n");
	ck_eventually(dns.asked > 0);
	sks_server_shutdown(acc.server);
	peer_expect(fd, strerror(ECANCELED));
	close(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	acc_free(&acc); /* while the look-up goes on: nobody has answered */
	ck_assert_int_eq(dns.go, 0);
}

TEST(free_does_not_wait_for_the_resolver, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "30000 late.example.org\n");
	while (dns.asked == 0)
		event_base_loop(options.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	acc_free(&acc);
	ck_assert_int_eq(seen->waited, ECANCELED);
	ck_assert_int_eq(dns.go, 0);
	close(fd);
	event_base_free(options.base);
}
