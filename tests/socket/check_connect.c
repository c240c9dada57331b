/* SPDX-License-Identifier: MIT */
/*
 * check_connect.c - sks_connect() to one address; in a thread and on a fiber.
 */
#include "loop/cancel.h"
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <socketserver/task.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(network_setup, network_teardown);

static void
connect_to_one(void *arg)
{
	struct listener l;
	struct sks_client *conn;
	char local[100];
	int on = 0, fd;

	open_listener(&l, arg, 5);
	conn = sks_connect(l.address, SKS_DEFAULT);
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
	ck_no_connection("localhost", SKS_DEFAULT, EINVAL);
	ck_assert_int_eq(log_count("connect localhost: the port is missing"), 1);
	ck_no_connection("fd:0", SKS_DEFAULT, EINVAL);
	ck_no_connection("[::1", SKS_DEFAULT, EINVAL);
	ck_no_connection("unix:relative", SKS_DEFAULT, EINVAL);
	ck_no_connection("unix:/tmp/there/is/none", SKS_DEFAULT, ENOENT);
	ck_assert_int_eq(log_count("connect unix:/tmp/there/is/none: No such file"), 1);
	ck_no_connection("unix-dgram:/tmp/there/is/none", SKS_DEFAULT, ENOENT);
	ck_assert_int_eq(log_lines(), 6);
	log_forget();
	names.code = EAI_NONAME;
	ck_no_connection("nobody.test:80", SKS_DEFAULT, ENOENT);
	ck_assert_int_eq(log_count("connect nobody.test:80: "), 1);
	ck_assert_int_eq(log_count(gai_strerror(EAI_NONAME)), 1);
	names.code = EAI_AGAIN;
	ck_no_connection("nobody.test:80", SKS_DEFAULT, EAGAIN);
	names.code = EAI_MEMORY;
	ck_no_connection("nobody.test:80", SKS_DEFAULT, ENOMEM);
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
	ck_no_connection(l.address, SKS_DEFAULT, ECONNREFUSED);
	snprintf(line, sizeof(line), "connect %s: Connection refused", l.address);
	ck_assert_int_eq(log_count(line), 1);
	found[0] = l.address;
	resolves_to(found, 1);
	ck_no_connection("some.test:80", SKS_DEFAULT, ECONNREFUSED);
	snprintf(line, sizeof(line), "connect some.test:80 (%s): Connection refused", l.address);
	ck_assert_int_eq(log_count(line), 1);
	ck_assert_int_eq(log_lines(), 2);
	close_listener(&l);
}

static void
be_refused_quietly(void *arg)
{
	char line[200], why[200] = "as it was", cut[9];
	struct sks_client *client;
	struct listener l;

	(void)arg;
	open_listener(&l, "127.0.0.1:0", -1);
	ck_assert_ptr_null(sks_connect_quiet(l.address, SKS_DEFAULT, why, sizeof(why)));
	ck_assert_int_eq(errno, ECONNREFUSED);
	snprintf(line, sizeof(line), "connect %s: Connection refused", l.address);
	ck_assert_str_eq(why, line);
	ck_assert_ptr_null(sks_connect_quiet(l.address, SKS_DEFAULT, NULL, 0));
	ck_assert_int_eq(errno, ECONNREFUSED);
	ck_assert_ptr_null(sks_connect_quiet("localhost", SKS_DEFAULT, cut, sizeof(cut)));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_str_eq(cut, "connect ");
	close_listener(&l);
	open_listener(&l, "127.0.0.1:0", 1);
	strcpy(why, "as it was");
	client = sks_connect_quiet(l.address, SKS_DEFAULT, why, sizeof(why));
	ck_assert_ptr_nonnull(client);
	ck_assert_str_eq(why, "as it was");
	sks_client_close(client);
	close_listener(&l);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(a_quiet_one_tells_its_caller_alone, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, be_refused_quietly, NULL);
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
	ck_assert_int_eq(log_count_error(": ", ETIMEDOUT), 1);
	close_listener(&l);
}

TEST(silence_is_a_time_out, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, time_out, NULL);
}

/* The scope is over long before the limit of the call, and the wait must not begin again. */
static void
time_out_by_scope(void *arg)
{
	struct sks_timeout scope;
	struct listener l;

	(void)arg;
	open_silent(&l, "127.0.0.1:0");
	sks_fault_clear();
	ck_assert_int_eq(sks_timeout_begin(&scope, 20), 0);
	ck_no_connection(l.address, 5000, ETIMEDOUT);
	ck_assert_int_eq(sks_timeout_end(&scope), 1);
	ck_assert_uint_le(sks_fault_calls("poll"), 5);
	close_listener(&l);
}

TEST(an_earlier_deadline_ends_it, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, time_out_by_scope, NULL);
}

static void
wait_for_a_name(void *arg)
{
	static sem_t gate; /* the look-up outlives this call */

	(void)arg;
	sem_init(&gate, 0, 0);
	names.gate = &gate;
	ck_no_connection("slow.test:80", 30, ETIMEDOUT);
	ck_assert_int_eq(log_count_error("connect slow.test:80: ", ETIMEDOUT), 1);
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
	sks_cancel_fiber(task);
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
