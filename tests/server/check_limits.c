/* SPDX-License-Identifier: MIT */
/*
 * check_limits.c - the one rule of time limits (export.h), in each call that
 * has one: 0 does not wait, SKS_OFF is no limit, a positive number is one, and
 * any other negative number is EINVAL. On a thread (loop test 0) and on a
 * fiber (1).
 *
 * A call that waits where it should not hangs, and its test with it.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "base/util.h"
#include "rig.h"
#include "streams.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 60);

static const int wrong[] = { -3, -1000, INT_MIN };

#define fails(call, error)                                                        \
	do {                                                                      \
		errno = 0;                                                        \
		ck_assert_msg((long)(call) == -1, "%s succeeded", #call);         \
		ck_assert_msg(errno == (error), "%s: %s", #call, strerror(errno)); \
	} while (0)

/* ---- a call of each kind, on something that never comes ---- */

static struct rig_link *silent; /* its peer says nothing */
static struct sks_socket *calm; /* so does this socket's */

static int
by_select(int ms)
{
	struct sks_selectable set = { .fd = silent->fd, .want = SKS_READ };
	int n = sks_select(&set, 1, ms);

	ck_assert_int_le(n, 0);
	if (n == 0) /* its way of saying so */
		errno = ETIMEDOUT;
	return -1;
}

static int
by_wait_fd(int ms)
{
	return sks_wait_fd(silent->fd, SKS_READ, ms);
}

static int
by_timeout(int ms)
{
	struct sks_timeout timeout;
	int rc = sks_timeout_begin(&timeout, ms), error;

	if (rc == 0) {
		rc = sks_sleep(SKS_OFF);
		error = errno;
		ck_assert_int_eq(sks_timeout_end(&timeout), 1);
		errno = error;
	} else
		ck_assert_int_eq(sks_timeout_end(&timeout), 0);
	return rc;
}

static int
by_set_idle(int ms)
{
	char byte;

	return sks_rfile_set_idle(&silent->r, ms) == -1 ? -1 : (int)sks_read(&silent->r, &byte, 1);
}

static int
by_set_timeout(int ms)
{
	char *line;

	return sks_set_timeout(&silent->r, ms) == -1 ? -1 : (int)sks_readline(&silent->r, &line);
}

static int
by_socket(int ms)
{
	char byte;
	int rc;

	if (sks_socket_settimeout(calm, ms) == -1)
		return -1;
	rc = (int)sks_socket_recv(calm, &byte, 1, 0);
	if (ms == 0 && errno == EAGAIN) /* as a socket without blocking says it */
		errno = ETIMEDOUT;
	return rc;
}

static int
by_name(int ms)
{
	struct addrinfo *list;

	return sks_getaddrinfo("name.invalid", "80", NULL, &list, ms);
}

static int
by_host(int ms)
{
	char text[64];

	return sks_gethostbyname("name.invalid", text, sizeof(text), ms);
}

static int
by_full_name(int ms)
{
	char text[256];

	return sks_getfqdn("name.invalid", text, sizeof(text), ms);
}

static int
by_address(int ms)
{
	static const struct sockaddr_in in = { .sin_family = AF_INET };
	char text[256];

	return sks_getnameinfo((const struct sockaddr *)&in, sizeof(in), text, sizeof(text), NULL, 0,
	    0, ms);
}

static const struct call {
	int (*call)(int ms);
	int looks_up; /* a name, which nobody can say how long it takes */
	int has_default;
} calls[] = {
	{ by_select, 0, 0 },
	{ by_wait_fd, 0, 0 },
	{ by_timeout, 0, 0 },
	{ by_set_idle, 0, 1 },
	{ by_set_timeout, 0, 1 },
	{ by_socket, 0, 0 },
	{ by_name, 1, 0 },
	{ by_host, 1, 0 },
	{ by_full_name, 1, 0 },
	{ by_address, 1, 0 },
};

static void
with_silence(void (*run)(void))
{
	struct sks_socket *pair[2];
	struct rig_link link;

	rig_link_open(&link);
	rig_say(&link, TEXT("begun")); /* a line, whose rest does not come */
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	silent = &link;
	calm = pair[0];
	run();
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
	rig_link_close(&link);
}

/* What the peer has begun to say is taken from the socket, so that nothing can be read from it. */
static void
take_what_was_begun(void)
{
	char *bytes;

	ck_assert_int_eq(sks_peek(&silent->r, 5, &bytes), 5);
}

static void
call_with_0(void)
{
	unsigned long asked = sks_fault_calls("getaddrinfo");
	size_t i;

	take_what_was_begun();
	for (i = 0; i < SKS_ARRAY_LEN(calls); i++)
		if (calls[i].call != by_set_idle)
			fails(calls[i].call(0), ETIMEDOUT);
	/* Each of the three names was looked at for whether it is a number, and no more. */
	ck_assert_uint_le(sks_fault_calls("getaddrinfo") - asked, 3);
	ck_assert_int_eq(sks_skipline(&silent->r), -1);
	fails(by_set_idle(0), ETIMEDOUT);
	ck_assert_int_eq(sks_rfile_error(&silent->r), 0);
}

static void
call_with_1(void)
{
	size_t i;

	take_what_was_begun();
	for (i = 0; i < SKS_ARRAY_LEN(calls); i++)
		if (!calls[i].looks_up && calls[i].call != by_set_idle)
			fails(calls[i].call(1), ETIMEDOUT);
	ck_assert_int_eq(sks_skipline(&silent->r), -1);
	fails(by_set_idle(1), ETIMEDOUT);
}

static void
call_with_nonsense(void)
{
	size_t i, k;

	for (i = 0; i < SKS_ARRAY_LEN(calls); i++) {
		for (k = 0; k < SKS_ARRAY_LEN(wrong); k++)
			fails(calls[i].call(wrong[k]), EINVAL);
		if (!calls[i].has_default)
			fails(calls[i].call(SKS_DEFAULT), EINVAL);
	}
	ck_assert_int_eq(silent->r.idle_ms, silent->times.idle_ms); /* they are as they were */
	ck_assert_int_eq(silent->r.read_ms, silent->times.read_ms);
	ck_assert_int_eq(sks_socket_gettimeout(calm), SKS_OFF);
	ck_assert_int_eq(sks_task_current()->deadline, SKS_NEVER);
	for (k = 0; k < SKS_ARRAY_LEN(wrong); k++)
		fails(sks_wfile_set_timeout(&silent->w, wrong[k]), EINVAL);
	ck_assert_int_eq(silent->w.write_ms, silent->times.write_ms);
}

TEST_ON_BOTH(a_limit_of_0_does_not_wait)
{
	with_silence(call_with_0);
}

TEST_ON_BOTH(a_positive_limit_ends_the_call)
{
	with_silence(call_with_1);
}

TEST_ON_BOTH(any_other_negative_limit_is_refused)
{
	size_t k;

	with_silence(call_with_nonsense);
	fails(sks_sleep(SKS_DEFAULT), EINVAL);
	for (k = 0; k < SKS_ARRAY_LEN(wrong); k++) {
		fails(sks_sleep(wrong[k]), EINVAL);
		errno = 0;
		ck_assert_ptr_null(sks_connect("127.0.0.1:80", wrong[k]));
		ck_assert_int_eq(errno, EINVAL);
	}
	ck_assert_int_eq(log_count("connect 127.0.0.1:80: no such time limit"),
	    SKS_ARRAY_LEN(wrong));
}

/* ---- 0, and there is what is asked for ---- */

TEST_ON_BOTH(a_limit_of_0_finds_what_is_there)
{
	struct sks_selectable set;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct addrinfo *list;
	struct rig_link l;
	char text[64], *line;

	rig_link_open(&l);
	sks_set_timeout(&l.r, 0);
	sks_rfile_set_idle(&l.r, 0);
	sks_set_timeout(&l.w, 0);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ | SKS_WRITE, 0), SKS_WRITE);
	rig_say(&l, TEXT("a line\nits neighbour"));
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ | SKS_WRITE, 0), SKS_READ | SKS_WRITE);
	set = (struct sks_selectable){ .fd = l.fd, .want = SKS_READ };
	ck_assert_int_eq(sks_select(&set, 1, 0), 1);
	expect_line(&l, TEXT("a line\n"));
	fails(sks_readline(&l.r, &line), ETIMEDOUT);
	rig_say(&l, TEXT("\n")); /* nothing of it is lost */
	expect_line(&l, TEXT("its neighbour\n"));
	ck_assert_int_eq(sks_puts(&l.w, "answer"), 0);
	ck_assert_int_eq(sks_flush(&l.w), 0);
	ck_assert_uint_eq(rig_hear(&l, text, sizeof(text)), 6);
	need_big();
	fails(sks_write(&l.w, big, BIG), ETIMEDOUT); /* the kernel does not take as much at once */
	rig_link_close(&l);

	ck_assert_int_eq(sks_getaddrinfo("127.0.0.1", "80", NULL, &list, 0), 0);
	freeaddrinfo(list);
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, sizeof(text), 0), 0);
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, sizeof(in), text, sizeof(text), NULL,
	    0, NI_NUMERICHOST, 0), 0);
	ck_assert_int_eq(sks_sleep(0), 0);
}

/* ---- no limit: the call ends by what it waits for, or is cancelled ---- */

struct later {
	struct rig_link *l;
	struct sks_socket *s;
};

static int
speak_later(void *arg)
{
	struct later *later = arg;

	sks_yield();
	rig_say(later->l, TEXT("said\n"));
	return (int)sks_socket_send(later->s, "said", 4, 0);
}

/* Starts it, so that what is called next begins before, as a rule, and waits. */
static struct sks_child *
begin_to_speak(struct later *later)
{
	struct sks_child *child = sks_go(speak_later, later);

	ck_assert_ptr_nonnull(child);
	return child;
}

TEST_ON_BOTH(SKS_OFF_waits_until_it_comes)
{
	struct sks_selectable set[2];
	struct sks_socket *pair[2];
	struct sks_child *child;
	struct later later;
	struct rig_link l;
	char text[8];

	rig_link_open(&l);
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	later = (struct later){ &l, pair[1] };
	child = begin_to_speak(&later);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ, SKS_OFF), SKS_READ);
	ck_assert_int_eq(sks_child_join(child, NULL), 0);
	sks_rfile_set_idle(&l.r, SKS_OFF);
	sks_set_timeout(&l.r, SKS_OFF);
	expect_line(&l, TEXT("said\n"));
	child = begin_to_speak(&later);
	expect_line(&l, TEXT("said\n"));
	sks_socket_settimeout(pair[0], SKS_OFF);
	ck_assert_int_eq(sks_socket_recv(pair[0], text, 4, 0), 4); /* what the first one has said */
	ck_assert_int_eq(sks_socket_recv(pair[0], text, 4, 0), 4);
	ck_assert_int_eq(sks_child_join(child, NULL), 0);
	child = begin_to_speak(&later);
	set[0] = (struct sks_selectable){ .socket = pair[0], .want = SKS_READ };
	set[1] = (struct sks_selectable){ .rfile = &l.r, .want = SKS_READ };
	ck_assert_int_ge(sks_select(set, 2, SKS_OFF), 1);
	ck_assert_int_eq(sks_child_join(child, NULL), 0);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
	rig_link_close(&l);
}

static int
sleep_for_ever(void *arg)
{
	(void)arg;
	return sks_sleep(SKS_OFF) == -1 ? errno : 0;
}

TEST_ON_BOTH(a_sleep_without_limit_ends_when_it_is_cancelled)
{
	struct sks_child *child = sks_go(sleep_for_ever, NULL);
	int result;

	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_sleep(1), 0);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ECANCELED);
}

/* ---- sks_connect ---- */

/* What streams of it have. */
static void
expect_limit(const struct sks_client *client, int ms)
{
	ck_assert_ptr_nonnull(client);
	ck_assert_int_eq(sks_socket_gettimeout(client->socket), ms);
	ck_assert_int_eq(client->rfile->idle_ms, ms);
	ck_assert_int_eq(client->rfile->read_ms, ms);
	ck_assert_int_eq(client->wfile->write_ms, ms);
}

static void
connect_with(const char *address, int ms, int limit_ms)
{
	struct sks_client *client = sks_connect(address, ms);

	expect_limit(client, limit_ms);
	sks_set_timeout(client->rfile, 1);
	ck_assert_int_eq(sks_set_timeout(client->rfile, SKS_DEFAULT), 0); /* its own, again */
	expect_limit(client, limit_ms);
	ck_assert_int_eq(sks_client_close(client), 0);
}

TEST_ON_BOTH(a_client_has_the_limit_that_it_was_connected_with)
{
	struct sks_server *server = sks_server_new(&acc_script, NULL);
	char address[160];

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_server_listen(server, acc_listen_address(ACC_UNIX)), 0);
	ck_assert_ptr_nonnull(sks_server_address(server, 0, address, sizeof(address)));
	connect_with(address, SKS_DEFAULT, 30000);
	connect_with(address, SKS_OFF, SKS_OFF);
	connect_with(address, 7000, 7000);
	connect_with(address, 0, 0);
	sks_server_free(server);
}

/* Nobody accepts: a Unix socket's clients wait in the backlog until that is full. */
TEST_ON_BOTH(with_0_a_client_does_not_wait_to_be_connected)
{
	struct sks_options options = { .backlog = 1 };
	struct sks_server *server = sks_server_new(&acc_script, &options);
	struct sks_client *clients[64];
	char address[160], byte;
	size_t n = 0;

	ck_assert_int_eq(sks_server_listen(server, acc_listen_address(ACC_UNIX)), 0);
	ck_assert_ptr_nonnull(sks_server_address(server, 0, address, sizeof(address)));
	do {
		ck_assert_uint_lt(n, SKS_ARRAY_LEN(clients));
		clients[n] = sks_connect(address, 0);
	} while (clients[n] != NULL && ++n > 0);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_uint_gt(n, 0);
	fails(sks_read(clients[0]->rfile, &byte, 1), ETIMEDOUT);
	ck_assert_ptr_null(sks_connect("name.invalid:80", 0));
	ck_assert_int_eq(errno, ETIMEDOUT);
	while (n > 0)
		ck_assert_int_eq(sks_client_close(clients[--n]), 0);
	sks_server_free(server);
}
