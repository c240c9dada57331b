/* SPDX-License-Identifier: MIT */
/*
 * check_listen_with.c - several services in one server: an address with a handler of its own, and
 * one that is closed while the server runs.
 */
#include "acceptance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* Says what it was given, counts its calls on this connection, and keeps it. */
static int
say_data(struct sks_request *req)
{
	char *calls = req->state;

	if (sks_gets(req->rfile) == NULL)
		return sks_end(req->rfile);
	return sks_printf(req->wfile, "%s %d\n", (const char *)req->data, ++calls[99]) == -1 ? -1 :
											       SKS_KEEP;
}

static const struct sks_handler saying = {
	.name = "saying",
	.handle = say_data,
	.state_size = 100,
	.client_first = 1,
};

static char first[] = "first", second[] = "second", third[] = "third";

/* An address of this test's own: see check_backlog.c. */
static const char *
own_address(int i)
{
	static char text[3][64];

	snprintf(text[i], sizeof(text[i]), "127.%d.%d.%d:0", 1 + getpid() / 250 % 250, getpid() % 250,
	    10 + i);
	return text[i];
}

static int
client_of(struct acc *acc, unsigned int listener)
{
	char address[160];

	ck_assert_ptr_nonnull(sks_server_address(acc->server, listener, address, sizeof(address)));
	return peer_connect(address);
}

static void
ask(int fd, const char *text, const char *answer)
{
	peer_puts(fd, text);
	peer_expect(fd, answer);
}

/* The counts of a child's copy are its own, also those of the services beside. */
TEST(a_child_of_a_fork_serves_each_address, EACH_MODE)
{
	struct acc acc;
	pid_t pid;
	int fd, status;

	acc_tcp(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(1), &saying, second), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(sks_serve_forever(acc.server) == 0 ? 0 : 1);
	fd = client_of(&acc, 1);
	ask(fd, "a\n", "second 1\n");
	close(fd);
	acc_ask(&acc, "s\nd\n", "");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	acc_free(&acc);
}

TEST(each_address_has_its_handler_and_data, EACH_MODE)
{
	struct sks_options options = { .data = first };
	int fd[3], i;
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(1), &saying, second), 0);
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(2), &saying, third), 0);
	for (i = 1; i < 3; i++) /* before the server runs: the kernel has them */
		fd[i] = client_of(&acc, (unsigned int)i);
	acc_start(&acc);
	acc_ask(&acc, "c\nd\n", "call 1\n");
	ask(fd[1], "a\n", "second 1\n");
	ask(fd[2], "a\n", "third 1\n");
	ask(fd[1], "b\n", "second 2\n");
	ck_assert_uint_eq(acc_stats(&acc).accepted, 3);
	for (i = 1; i < 3; i++)
		close(fd[i]);
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(datagrams_too, EACH_DATAGRAM)
{
	struct acc acc;
	char address[160];
	int fd;

	acc_datagrams(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_server_listen_with(acc.server, "udp:127.0.0.1:0", &saying, second), 0);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, address, sizeof(address)));
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	fd = peer_datagram(address, NULL);
	ask(fd, "a\n", "second 1\n");
	close(fd);
	acc_free(&acc);
}

TEST(an_error_is_told_with_the_name_of_its_own_handler, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_handler failing = acc_script;
	struct acc acc;
	int fd;

	failing.name = "failing";
	acc_tcp(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(1), &failing, NULL), 0);
	acc_start(&acc);
	fd = client_of(&acc, 1);
	peer_puts(fd, "f\n");
	peer_expect_eof(fd);
	ck_eventually(log_count("failing: 127.0.0.1:") == 1);
	ck_eventually(acc_stats(&acc).failed == 1);
	acc_free(&acc);
}

TEST(what_cannot_serve_is_refused)
{
	struct sks_handler handler = saying;
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	handler.handle = NULL;
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(1), &handler, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	handler = saying;
	handler.stack_size = 1 << 20;
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(1), &handler, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	handler = saying;
	handler.refuses = SKS_REFUSES(SKS_FIBERS);
	ck_assert_int_eq(sks_server_listen_with(acc.server, own_address(1), &handler, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_server_listen_with(acc.server, "nonsense", &saying, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_server_fileno(acc.server, 1), -1);
	acc_free(&acc);
}

/* -- an address is closed, on the server's thread -- */

static const char *to_close;

static void
close_when_told(struct sks_server *server, void *data)
{
	(void)data;
	if (atomic_load(&seen->note) != 1)
		return;
	ck_assert_int_eq(sks_server_close_address(server, to_close), 0);
	atomic_store(&seen->note, 2);
}

static int
is_refused(const char *address)
{
	int fd = peer_try(address);

	if (fd != -1)
		close(fd);
	return fd == -1 && (errno == ECONNREFUSED || errno == ENOENT);
}

TEST(one_is_closed_and_the_others_go_on, EACH_STREAM)
{
	struct sks_options options = { .on_tick = close_when_told, .tick_ms = 1 };
	char address[160], path[200];
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i / 2, &acc_script, &options);
	snprintf(path, sizeof(path), "unix:%s/second", acc_dir);
	to_close = _i % 2 == 0 ? own_address(1) : path;
	ck_assert_int_eq(sks_server_listen_with(acc.server, to_close, &saying, second), 0);
	sks_server_address(acc.server, 1, address, sizeof(address));
	acc_start(&acc);
	fd = peer_connect(address);
	ask(fd, "a\n", "second 1\n");
	atomic_store(&seen->note, 1);
	ck_eventually(is_refused(address));
	ask(fd, "a\n", "second 2\n"); /* what was there goes on */
	close(fd);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_stop(&acc);
	acc_start(&acc); /* and another run has the other address */
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_assert(is_refused(address));
	acc_free(&acc);
}

TEST(a_server_without_an_address_shuts_down, EACH_MODE)
{
	struct sks_options options = { .on_tick = close_when_told, .tick_ms = 1 };
	struct acc acc;
	int fd;

	to_close = own_address(0);
	acc_on(&acc, _i, to_close, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ask(fd, "echo\n", "echo\n");
	atomic_store(&seen->note, 1);
	ck_eventually(atomic_load(&seen->note) == 2);
	ask(fd, "echo\nd\n", "echo\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(sks_serve_forever(acc.server), -1);
	ck_assert_int_eq(errno, EINVAL);
	acc_free(&acc);
}

/* Answers when the server drains and its address is closed. */
static int
answer_late(struct sks_request *req)
{
	while (!sks_draining(req))
		if (sks_sleep(1) == -1)
			return -1;
	atomic_store(&seen->note, 1);
	while (atomic_load(&seen->note) != 2)
		if (sks_sleep(1) == -1)
			return -1;
	return sks_puts(req->wfile, "late\n");
}

TEST(a_datagram_is_answered_also_when_its_address_is_closed_in_a_drain, EACH_DATAGRAM)
{
	static const struct sks_handler late = { .handle = answer_late };
	struct sks_options options = { .on_tick = close_when_told, .tick_ms = 1 };
	struct acc acc;
	int fd;

	to_close = _i % 2 == 0 ? "udp:127.0.0.1:0" : acc_listen_address(ACC_UNIX_DGRAM);
	acc_on(&acc, _i / 2, to_close, &late, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "x");
	ck_eventually(acc_stats(&acc).datagrams == 1);
	sks_server_shutdown(acc.server);
	peer_expect(fd, "late\n");
	close(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(sks_server_fileno(acc.server, 0), -1);
	acc_free(&acc);
}

/* A server that stops for good serves its backlog, also where an address is closed meanwhile. */
TEST(who_waits_is_served_also_when_the_address_is_closed_in_a_drain, EACH_MODE)
{
	struct sks_options options = { .max_connections = 1, .close_listeners = 1,
		.on_tick = close_when_told, .tick_ms = 1 };
	struct acc acc;
	char line[16] = "";
	int one, two;

	to_close = own_address(0);
	acc_on(&acc, _i, to_close, &acc_script, &options);
	acc_start(&acc);
	one = acc_client(&acc);
	ask(one, "echo\n", "echo\n");
	two = acc_client(&acc);
	peer_puts(two, "echo\nd\n");
	sks_server_shutdown(acc.server);
	while (strcmp(line, "draining 1\n") != 0) {
		peer_puts(one, "q\n");
		line[peer_receive(one, line, 11)] = '\0';
	}
	atomic_store(&seen->note, 1);
	ck_eventually(atomic_load(&seen->note) == 2);
	ask(one, "echo\nd\n", "echo\n");
	peer_expect_eof(one);
	peer_expect(two, "echo\n");
	peer_expect_eof(two);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

TEST(between_two_runs_it_is_closed_at_once, EACH_ADDRESS)
{
	const char *address = acc_listen_address((enum acc_transport)_i);
	struct acc acc;

	acc_on(&acc, ACC_TWO_LISTENERS, own_address(0), &acc_script, NULL);
	ck_assert_int_eq(sks_server_close_address(acc.server, address), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(sks_server_listen(acc.server, address), 0);
	ck_assert_int_eq(sks_server_close_address(acc.server, address), 0);
	ck_assert_int_eq(sks_server_close_address(acc.server, address), -1);
	ck_assert_int_eq(sks_server_listen(acc.server, address), 0);
	ck_assert_int_ne(sks_server_fileno(acc.server, 1), -1);
	ck_assert_int_eq(sks_server_fileno(acc.server, 2), -1);
	acc_free(&acc);
}
