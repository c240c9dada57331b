/* SPDX-License-Identifier: MIT */
/*
 * check_connect.c - sks_connect(): names, several addresses, failures; in a
 * thread (loop test 0) and on a fiber (1).
 *
 * The resolver and connect(2) are this program's own: names are looked up in
 * a table of the test, and addresses that exist nowhere but in documentation,
 * 192.0.2.N and 2001:db8::N, fail with errno N.
 */
#include "base/addr.h"
#include "base/sys.h"
#include "base/util.h"
#include "harness.h"
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/un.h>

/* -- the resolver -- */

#define MOST 12

/* A look-up that was given up goes on in its thread. */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	struct sockaddr_storage addrs[MOST]; /* of every name, in this order */
	socklen_t lens[MOST];
	size_t n;
	int code;                            /* instead */
	int lookups;
	sem_t *gate;                         /* to pass first; NULL: none */
} names;

static void
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

static char tried[256]; /* the addresses, in their order */
static int64_t tried_at[MOST];
static int ntried;

int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	char text[160];

	sks_address_format(addr, len, text, sizeof(text));
	if (ntried < MOST)
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

struct listener {
	int fd;
	int fill[3]; /* the clients that fill its backlog; -1 */
	char address[64];
};

static void
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

/* Its backlog is full: SYNs go unanswered from here on. */
static void
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

static void
close_listener(struct listener *l)
{
	size_t i;

	for (i = 0; i < 3; i++)
		if (l->fill[i] != -1)
			close(l->fill[i]);
	close(l->fd);
}

/* The listener has a client from conn, and they understand each other. */
static void
meet(struct listener *l, struct sks_client *conn)
{
	char buf[8], *line;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(sks_puts(conn->wfile, "one\n"), 0);
	ck_assert_int_eq(sks_flush(conn->wfile), 0);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), 4);
	ck_assert_int_eq(send(fd, "two\r\n", 5, 0), 5);
	line = sks_gets(conn->rfile);
	ck_assert_ptr_nonnull(line);
	ck_assert_str_eq(line, "two");
	close(fd);
}

#define ck_no_connection(address, ms, error)                         \
	do {                                                         \
		errno = 0;                                           \
		ck_assert_ptr_null(sks_connect((address), (ms)));    \
		ck_assert_int_eq(errno, (error));                    \
	} while (0)

/* -- one address -- */

static void
connect_to_one(void *arg)
{
	struct listener l;
	struct sks_client *conn;
	char local[100];
	int on = 0, fd;

	open_listener(&l, arg, 5);
	conn = sks_connect(l.address, 0);
	ck_assert_ptr_nonnull(conn);
	fd = sks_socket_fileno(conn->socket);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(sks_socket_gettimeout(conn->socket), 30000);
	if (strncmp(arg, "unix:", 5) != 0) {
		ck_assert_int_eq(sks_socket_get_option(conn->socket, IPPROTO_TCP, TCP_NODELAY,
		    &on), 0);
		ck_assert_int_ne(on, 0);
	}
	meet(&l, conn);
	ck_assert_int_eq(sks_client_close(conn), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);

	if (strncmp(arg, "127", 3) == 0) { /* without a host it is this machine */
		snprintf(local, sizeof(local), ":%s", strrchr(l.address, ':') + 1);
		conn = sks_connect(local, SKS_OFF);
		ck_assert_ptr_nonnull(conn);
		ck_assert_int_eq(sks_socket_gettimeout(conn->socket), SKS_OFF);
		fd = accept4(l.fd, NULL, NULL, SOCK_CLOEXEC);
		ck_assert_int_eq(sks_client_close(conn), 0);
		close(fd);
	}
	close_listener(&l);
	ck_assert_int_eq(log_lines(), 0);
	ck_assert_int_eq(names.lookups, 0);
}

TEST(connects_to_each_kind_of_address, TIMES(6))
{
	char own[64];
	const char *const kinds[] = { "127.0.0.1:0", "[::1]:0", own };

	snprintf(own, sizeof(own), "unix:@sks-check-connect.%d", (int)getpid());
	log_keep();
	rig_run_on(_i % 2, connect_to_one, (void *)kinds[_i / 2]);
}

static void
connect_wrongly(void *arg)
{
	(void)arg;
	ck_no_connection("localhost", 0, EINVAL);
	ck_assert_int_eq(log_count("connect localhost: the port is missing"), 1);
	ck_no_connection("fd:0", 0, EINVAL);
	ck_no_connection("[::1", 0, EINVAL);
	ck_no_connection("unix:relative", 0, EINVAL);
	ck_no_connection("unix:/tmp/there/is/none", 0, ENOENT);
	ck_assert_int_eq(log_count("connect unix:/tmp/there/is/none: No such file"), 1);
	ck_no_connection("unix-dgram:/tmp/there/is/none", 0, ENOENT);
	ck_assert_int_eq(log_lines(), 6);
	log_forget();
	names.code = EAI_NONAME;
	ck_no_connection("nobody.test:80", 0, ENOENT);
	ck_assert_int_eq(log_count("connect nobody.test:80: Name or service not known"), 1);
	names.code = EAI_AGAIN;
	ck_no_connection("nobody.test:80", 0, EAGAIN);
	names.code = EAI_MEMORY;
	ck_no_connection("nobody.test:80", 0, ENOMEM);
	names.code = 0;
}

TEST(what_is_wrong_is_one_line_and_errno, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, connect_wrongly, NULL);
}

static void
be_refused(void *arg)
{
	struct listener l;
	const char *found[2];
	char line[200];

	(void)arg;
	open_listener(&l, "127.0.0.1:0", -1); /* has the port, but does not listen */
	ck_no_connection(l.address, 0, ECONNREFUSED);
	snprintf(line, sizeof(line), "connect %s: Connection refused", l.address);
	ck_assert_int_eq(log_count(line), 1);
	found[0] = l.address;
	resolves_to(found, 1);
	ck_no_connection("some.test:80", 0, ECONNREFUSED);
	snprintf(line, sizeof(line), "connect some.test:80 (%s): Connection refused", l.address);
	ck_assert_int_eq(log_count(line), 1);
	ck_assert_int_eq(log_lines(), 2);
	close_listener(&l);
}

TEST(a_refusal_is_told_with_name_and_address, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, be_refused, NULL);
}

static void
time_out(void *arg)
{
	int64_t before = rig_now();
	struct listener l;

	(void)arg;
	open_silent(&l, "127.0.0.1:0");
	ck_no_connection(l.address, 50, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 49 * 1000000);
	ck_assert_int_eq(log_count(": Connection timed out"), 1);
	close_listener(&l);
}

TEST(silence_is_a_time_out, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, time_out, NULL);
}

static void
wait_for_a_name(void *arg)
{
	static sem_t gate; /* the look-up outlives this call */

	(void)arg;
	sem_init(&gate, 0, 0);
	names.gate = &gate;
	ck_no_connection("slow.test:80", 30, ETIMEDOUT);
	ck_assert_int_eq(log_count("connect slow.test:80: Connection timed out"), 1);
	ck_assert_int_eq(ntried, 0);
	sem_post(&gate);
	breathe(); /* it goes on without us; the harness waits for its thread */
}

TEST(the_time_limit_is_for_names_too, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, wait_for_a_name, NULL);
}

static void
try_to_connect(void *arg)
{
	ck_no_connection(arg, SKS_OFF, ECANCELED);
}

static void
cancel_connect(void *arg)
{
	struct listener l;
	struct sks_task *task;

	(void)arg;
	open_silent(&l, "127.0.0.1:0");
	task = rig_go(rig_here(), try_to_connect, l.address);
	sks_yield();
	sks_wait_cancel(task);
	while (rig_here()->live > 1)
		sks_yield();
	ck_assert_int_eq(log_lines(), 0); /* not the server's fault */
	close_listener(&l);
}

TEST(a_cancelled_connect_ends_at_once)
{
	log_keep();
	rig_run_on(1, cancel_connect, NULL);
}

/* -- several addresses -- */

static void
pass_over_silence(void *arg)
{
	struct listener silent, good;
	struct sks_client *conn;
	const char *found[2];

	(void)arg;
	open_silent(&silent, "[::1]:0");
	open_listener(&good, "127.0.0.1:0", 5);
	found[0] = silent.address;
	found[1] = good.address;
	resolves_to(found, 2);
	conn = sks_connect("some.test:80", 20000);
	ck_assert_ptr_nonnull(conn);
	meet(&good, conn);
	ck_assert_int_eq(ntried, 2);
	/* After a quarter of a second, so long before the first would have timed out. */
	ck_assert_int_ge(tried_at[1] - tried_at[0], 249 * 1000000);
	ck_assert_int_eq(sks_client_close(conn), 0);
	ck_assert_int_eq(log_lines(), 0);
	close_listener(&silent);
	close_listener(&good);
}

TEST(the_next_address_is_tried_after_a_quarter_of_a_second, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, pass_over_silence, NULL);
}

static int it_is_over;

/* The first gets through when a third has begun already. */
static void
drain_backlog(void *arg)
{
	struct listener *l = arg;
	int fd;

	ck_assert_int_eq(fcntl(l->fd, F_SETFL, O_NONBLOCK), 0);
	while (!it_is_over) {
		ck_assert_int_eq(sks_sleep(5), 0);
		if (ntried == 3 && (fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC)) != -1)
			close(fd);
	}
}

static void
let_the_slow_win(void *arg)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct listener slow, silent[2];
	struct sks_client *conn;
	const char *found[3];
	char text[160];
	int i;

	(void)arg;
	open_silent(&slow, "127.0.0.1:0");
	found[0] = slow.address;
	for (i = 0; i < 2; i++) {
		open_silent(&silent[i], "[::1]:0");
		found[i + 1] = silent[i].address;
	}
	resolves_to(found, 3);
	rig_go(rig_here(), drain_backlog, &slow);
	conn = sks_connect("some.test:80", 20000);
	ck_assert_ptr_nonnull(conn);
	it_is_over = 1;
	ck_assert_int_eq(ntried, 3);
	ck_assert_int_eq(sks_socket_getpeername(conn->socket, (struct sockaddr *)&addr, &len), 0);
	ck_assert_str_eq(sks_address_format((struct sockaddr *)&addr, len, text, sizeof(text)),
	    slow.address);
	ck_assert_int_eq(sks_client_close(conn), 0);
	while (rig_here()->live > 1)
		sks_yield();
	close_listener(&slow);
	close_listener(&silent[0]);
	close_listener(&silent[1]);
}

TEST(whoever_answers_first_wins)
{
	rig_run_on(1, let_the_slow_win, NULL);
}

static void
hurry_after_failures(void *arg)
{
	struct listener dead, good;
	struct sks_client *conn;
	const char *found[MOST];
	int i, quick = 0;

	(void)arg;
	open_listener(&dead, "[::1]:0", -1);
	open_listener(&good, "127.0.0.1:0", 5);
	found[0] = dead.address;
	for (i = 1; i < 10; i++)
		found[i] = i % 2 ? "192.0.2.111:1" : "192.0.2.101:1"; /* doubles are tried once */
	found[10] = "[2001:db8::113]:1";
	found[11] = good.address;
	resolves_to(found, 12);
	conn = sks_connect("some.test:80", 20000);
	ck_assert_ptr_nonnull(conn);
	meet(&good, conn);
	ck_assert_int_eq(ntried, 5);
	/* Who waits a quarter of a second each time is never quick. */
	for (i = 1; i < ntried; i++)
		quick |= tried_at[i] - tried_at[i - 1] < 249 * 1000000;
	ck_assert(quick);
	ck_assert_int_eq(sks_client_close(conn), 0);
	ck_assert_int_eq(log_lines(), 0);
	close_listener(&dead);
	close_listener(&good);
}

TEST(after_a_failure_the_next_one_is_tried_at_once, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, hurry_after_failures, NULL);
}

TEST(families_are_tried_in_turn, TIMES(4))
{
	static const struct {
		const char *found[6];
		const char *order;
	} cases[] = {
		{ { "[2001:db8::111]:1", "[2001:db8::111]:2", "[2001:db8::111]:3", "192.0.2.111:4",
		      "192.0.2.111:5" },
		    "[2001:db8::111]:1 192.0.2.111:4 [2001:db8::111]:2 192.0.2.111:5 "
		    "[2001:db8::111]:3 " },
		{ { "192.0.2.111:1", "192.0.2.111:2", "192.0.2.111:3", "[2001:db8::111]:4" },
		    "192.0.2.111:1 [2001:db8::111]:4 192.0.2.111:2 192.0.2.111:3 " },
		{ { "192.0.2.111:1", "192.0.2.111:2" }, "192.0.2.111:1 192.0.2.111:2 " },
		{ { "[2001:db8::111]:1" }, "[2001:db8::111]:1 " },
	};
	size_t n = 0;

	log_keep();
	while (n < 6 && cases[_i].found[n] != NULL)
		n++;
	resolves_to(cases[_i].found, n);
	ck_assert_ptr_null(sks_connect("some.test:80", 1000));
	ck_assert_str_eq(tried, cases[_i].order);
}

/* Of the addresses the one that got furthest is told. */
TEST(the_attempt_that_got_furthest_is_told, TIMES(5))
{
	static const struct {
		const char *found[4];
		int error;
		const char *line;
	} cases[] = {
		/* no such address here, no network, no host, refused */
		{ { "192.0.2.99:1", "192.0.2.101:2", "192.0.2.111:3", "192.0.2.113:4" }, ECONNREFUSED,
		    "connect some.test:80 (192.0.2.111:3): Connection refused" },
		{ { "192.0.2.99:1", "192.0.2.101:2", "192.0.2.113:3" }, ENETUNREACH,
		    "connect some.test:80 (192.0.2.101:2): Network is unreachable" },
		{ { "192.0.2.97:1", "192.0.2.99:2" }, EAFNOSUPPORT, "(192.0.2.97:1)" },
		{ { "192.0.2.101:1", "192.0.2.110:2", "192.0.2.113:3" }, ETIMEDOUT, "(192.0.2.110:2)" },
		{ { "192.0.2.111:1", "192.0.2.13:2", "192.0.2.111:3" }, EACCES, "(192.0.2.13:2)" },
	};
	size_t n = 0;

	log_keep();
	while (n < 4 && cases[_i].found[n] != NULL)
		n++;
	resolves_to(cases[_i].found, n);
	ck_no_connection("some.test:80", 1000, cases[_i].error);
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count(cases[_i].line), 1);
}

/* A busy machine may not come to the second, after 250 ms, or to its answer in the time left. */
static void
try_both(int error)
{
	int ms;

	ntried = 0;
	for (ms = 300; ms < 20000 && (ntried < 2 || errno != error); ms *= 2) {
		ntried = 0;
		log_forget();
		errno = 0;
		ck_assert_ptr_null(sks_connect("some.test:80", ms));
	}
	ck_assert_int_eq(ntried, 2);
	ck_assert_int_eq(errno, error);
}

static void
time_out_twice(void *arg)
{
	struct listener silent[2], dead;
	const char *found[3];
	int i;

	(void)arg;
	for (i = 0; i < 2; i++) {
		open_silent(&silent[i], i == 0 ? "[::1]:0" : "127.0.0.1:0");
		found[i] = silent[i].address;
	}
	resolves_to(found, 2);
	try_both(ETIMEDOUT);
	ck_assert_int_eq(log_count("(["), 1); /* the first */
	/* A refusal tells more than silence. */
	open_listener(&dead, "127.0.0.1:0", -1);
	found[1] = dead.address;
	resolves_to(found, 2);
	try_both(ECONNREFUSED);
	close_listener(&dead);
	close_listener(&silent[0]);
	close_listener(&silent[1]);
}

TEST(all_attempts_have_one_time_limit, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, time_out_twice, NULL);
}

/* -- what runs out -- */

static void
run_out(void *arg)
{
	static const struct {
		const char *rule;
		int error;
	} cases[] = {
		{ "socket:EMFILE:1+", EMFILE },
		{ "socket:ENFILE:1+", ENFILE },
		{ "connect:EADDRNOTAVAIL:1+", EADDRNOTAVAIL },
		{ "malloc:ENOMEM:1+", ENOMEM },
	};
	struct listener l;
	size_t i;

	(void)arg;
	open_listener(&l, "127.0.0.1:0", 5);
	for (i = 0; i < SKS_ARRAY_LEN(cases); i++) {
		sks_fault(cases[i].rule);
		ck_no_connection(l.address, 0, cases[i].error);
		sks_fault_clear();
		ck_assert_int_eq(log_lines(), (int)i + 1);
	}
	close_listener(&l);
}

TEST(what_runs_out_is_told_and_leaks_nothing, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, run_out, NULL);
}

/* Each allocation in turn, and each descriptor. */
static void
fail_each(void *arg)
{
	static const char *const rules[] = {
		"malloc:ENOMEM:%d", "socket:EMFILE:%d", "poll:ENOMEM:%d", "getsockopt:ENOBUFS:%d",
		"event_add:ENOMEM:%d",
	};
	struct listener silent, dead, good;
	const char *found[2];
	size_t i;
	int k;

	(void)arg;
	open_silent(&silent, "[::1]:0");
	open_listener(&dead, "[::1]:0", -1);
	open_listener(&good, "127.0.0.1:0", 128);
	found[1] = good.address;
	for (i = 0; i < SKS_ARRAY_LEN(rules); i++) {
		for (k = 1; k < 30; k++) {
			struct sks_client *conn;
			char rule[64];
			unsigned long hits;

			/* Two at once, or one after the other, which is faster. */
			found[0] = k <= 3 ? silent.address : dead.address;
			resolves_to(found, 2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(rule, sizeof(rule), rules[i], k);
#pragma GCC diagnostic pop
			sks_fault(rule);
			conn = sks_connect("some.test:80", 400);
			ck_assert(conn != NULL || errno != 0);
			hits = sks_fault_hits();
			if (conn != NULL) {
				(void)sks_puts(conn->wfile, "one\n");
				(void)sks_client_close(conn);
			}
			sks_fault_clear();
			if (hits == 0)
				break;
		}
		ck_assert_int_lt(k, 30);
	}
	close_listener(&silent);
	close_listener(&dead);
	close_listener(&good);
}

TEST(whatever_fails_nothing_is_left_open, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, fail_each, NULL);
}

TEST(the_log_is_not_flooded)
{
	int i;

	log_keep();
	for (i = 0; i < 200; i++)
		ck_no_connection("192.0.2.111:1", 0, ECONNREFUSED);
	ck_assert_int_lt(log_lines(), 150);
}

/* -- a network of our own -- */

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ok = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd != -1)
		close(fd);
	return ok;
}

/* This test's process has a network with nothing but a loopback. 0: it cannot be had here. */
static int
own_network(int ports)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, ok;

	if (unshare(CLONE_NEWNET) == -1) {
		printf("skipped: a network namespace: %s\n", strerror(errno));
		return 0;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok = fd != -1 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	if (fd != -1)
		close(fd);
	if (ok && ports > 0)
		ok = write_file("/proc/sys/net/ipv4/ip_local_port_range", "40000 40003\n");
	if (!ok)
		printf("skipped: a network of its own: %s\n", strerror(errno));
	return ok;
}

static void
use_all_ports(void *arg)
{
	struct sks_client *conns[8];
	struct listener l;
	int n = 0;

	(void)arg;
	open_listener(&l, "127.0.0.1:50000", 20);
	while (n < 8 && (conns[n] = sks_connect(l.address, 0)) != NULL)
		n++;
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
	ck_assert_int_eq(n, 4);
	ck_assert_int_eq(log_count("Cannot assign requested address"), 1);
	while (n > 0)
		sks_client_close(conns[--n]);
	close_listener(&l);
}

TEST(when_all_ports_are_in_use_it_says_so, ON_BOTH)
{
	log_keep();
	if (own_network(4))
		rig_run_on(_i, use_all_ports, NULL);
}

static void
reach_nothing(void *arg)
{
	(void)arg;
	ck_no_connection("198.51.100.1:80", 1000, ENETUNREACH);
	ck_assert_int_eq(log_count("Network is unreachable"), 1);
	ck_no_connection("udp:198.51.100.1:80", 1000, ENETUNREACH);
}

TEST(without_a_network_it_is_unreachable, ON_BOTH)
{
	log_keep();
	if (own_network(0))
		rig_run_on(_i, reach_nothing, NULL);
}

/* -- */

static void
forget(void)
{
	memset(&names, 0, sizeof(names));
	tried[0] = '\0';
	ntried = 0;
	rig_setup();
}

static void
end(void)
{
	log_forget();
	no_leaks_teardown();
}

FIXTURE(forget, end);
