/* SPDX-License-Identifier: MIT */
/*
 * check_users.c - the users handler: who is on its list, in each mode.
 */
#include "acceptance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct sks_plugin sks_plugin_descriptor;

#define plugin sks_plugin_descriptor

static void *users;

static void
setup(void)
{
	acc_setup();
	ck_assert_int_eq(plugin.init(NULL, &users), 0);
}

static void
teardown(void)
{
	plugin.exit(users);
	acc_teardown();
}

FIXTURE(setup, teardown);

static void
open_server(struct acc *acc, int i)
{
	struct sks_options options = { .data = users, .backlog = 200 }; /* all of a storm */

	acc_streams(acc, i, &plugin.handler, &options);
	acc_start(acc);
}

/* A client that has a name, and so stays. */
static int
come(const struct acc *acc, const char *name)
{
	char text[64];
	int fd = acc_client(acc);

	snprintf(text, sizeof(text), "name %s\r\n", name);
	peer_puts(fd, text);
	snprintf(text, sizeof(text), "you are %s\r\n", name);
	peer_expect(fd, text);
	return fd;
}

/* What one is told who asks this and goes. */
static char *
ask(const struct acc *acc, const char *question)
{
	int fd = acc_client(acc);
	char *text;
	size_t n;

	peer_puts(fd, question);
	text = peer_read_all(fd, &n);
	close(fd);
	return text;
}

static void
expect_answer(const struct acc *acc, const char *question, const char *answer)
{
	char *text = ask(acc, question);

	ck_assert_str_eq(text, answer);
	free(text);
}

static int
count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

/* How many lines are told, and how many of them end with this. */
static int
lines(const struct acc *acc, const char *end, int *all)
{
	char *text = ask(acc, "\r\n");
	int n = count(text, end);

	*all = count(text, "\r\n");
	ck_assert_int_eq(count(text, "  since 20"), *all);
	free(text);
	return n;
}

/* In a process of its own a client is on a list of its own. */
TEST(lists_those_who_are_here, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int a, b, all;

	open_server(&acc, _i);
	ck_assert_int_eq(lines(&acc, "  asked 1\r\n", &all), 1); /* the one who asks */
	ck_assert_int_eq(all, 1);
	a = come(&acc, "anna");
	b = come(&acc, "ben");
	ck_assert_int_eq(lines(&acc, "  asked 1  anna\r\n", &all), 1);
	ck_assert_int_eq(all, 3);
	peer_puts(a, "nobody\r\n");
	peer_expect(a, "nobody\r\n"); /* and it stays */
	ck_assert_int_eq(lines(&acc, "  asked 2  anna\r\n", &all), 1);
	close(a);
	ck_eventually((lines(&acc, "anna", &all), all == 2));
	peer_reset(b);
	ck_eventually((lines(&acc, "ben", &all), all == 1));
	acc_free(&acc);
}

/* It waits for its first line without a handler, but it is here. */
TEST(lists_those_who_are_silent, EACH_STREAM_IN_ONE_MEMORY)
{
	int fd[8], i, all;
	struct acc acc;

	open_server(&acc, _i);
	for (i = 0; i < 8; i++)
		fd[i] = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 8);
	ck_assert_int_eq(lines(&acc, "  asked 0\r\n", &all), 8);
	ck_assert_int_eq(all, 9);
	for (i = 0; i < 8; i++)
		close(fd[i]);
	acc_free(&acc);
}

TEST(answers_as_a_finger_service, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	char *text;
	int a;

	open_server(&acc, _i);
	a = come(&acc, "anna");
	text = ask(&acc, "anna\r\n");
	ck_assert_int_eq(count(text, "\r\n"), 1);
	ck_assert_int_eq(count(text, "  anna\r\n"), 1);
	free(text);
	text = ask(&acc, "/W anna\n");
	ck_assert_int_eq(count(text, "  anna\r\n"), 1);
	free(text);
	text = ask(&acc, "/w\r\n");
	ck_assert_int_eq(count(text, "\r\n"), 2);
	free(text);
	expect_answer(&acc, "ben\r\n", "nobody\r\n");
	expect_answer(&acc, "anna@elsewhere\r\n", "finger forwarding service denied\r\n");
	expect_answer(&acc, "an\033na\r\n", "no such name\r\n");
	peer_puts(a, "name an na\r\n");
	peer_expect(a, "a name is 1 to 31 letters, digits, - _ .\r\n");
	peer_puts(a, "name 12345678901234567890123456789012\r\nname \r\n");
	peer_expect(a, "a name is 1 to 31 letters, digits, - _ .\r\n");
	peer_expect(a, "a name is 1 to 31 letters, digits, - _ .\r\n");
	peer_puts(a, "name 1234567890123456789012345678901\r\n");
	peer_expect(a, "you are 1234567890123456789012345678901\r\n");
	expect_answer(&acc, "anna\r\n", "nobody\r\n");
	close(a);
	acc_free(&acc);
}

TEST(a_browser_that_posts_gets_no_name, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int all;

	open_server(&acc, _i);
	expect_answer(&acc, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nname planted\r\n", "");
	ck_assert_int_eq(log_count(strerror(EPROTONOSUPPORT)), 1);
	ck_eventually((lines(&acc, "planted\r\n", &all), all == 1));
	acc_free(&acc);
}

/* What a datagram of n bytes is answered. */
static const char *
ask_by_datagram(int fd, size_t n)
{
	static char reply[4096];
	char question[4096] = "";
	ssize_t got;

	peer_send(fd, question, n);
	got = peer_recv(fd, reply, sizeof(reply) - 1);
	ck_assert_int_ge(got, 0);
	reply[got] = '\0';
	return reply;
}

/* A sender may be forged, so nobody is sent more than he, or somebody else, has sent. */
TEST(a_datagram_is_answered_with_no_more_than_came, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .data = users };
	int fd[40], i, all, ask_fd;
	char address[128];
	const char *reply;
	struct acc acc;
	size_t n;

	acc_tcp(&acc, _i, &plugin.handler, &options);
	ck_assert_int_eq(sks_server_listen(acc.server, "udp:127.0.0.1:0"), 0);
	acc_start(&acc);
	sks_server_address(acc.server, 1, address, sizeof(address));
	ask_fd = peer_datagram(address, NULL);
	peer_send(ask_fd, "1234567", 7); /* "nobody" would be 8 */
	ck_assert_str_eq(ask_by_datagram(ask_fd, 8), "nobody\r\n");
	for (i = 0; i < 40; i++)
		fd[i] = come(&acc, "anna");
	ck_assert_str_eq(ask_by_datagram(ask_fd, 13), "and 40 more\r\n");
	for (n = 14; n <= 3000; n += 211) {
		reply = ask_by_datagram(ask_fd, n);
		ck_assert_uint_le(strlen(reply), n);
		ck_assert_uint_le(strlen(reply), 1400);
		all = count(reply, "anna\r\n");
		ck_assert_ptr_nonnull(strstr(reply, "and "));
		ck_assert_int_eq(atoi(strstr(reply, "and ") + 4) + all, 40);
	}
	ck_assert_int_gt(all, 15);
	for (i = 2; i < 40; i++)
		close(fd[i]);
	ck_eventually((lines(&acc, "anna\r\n", &all), all == 3));
	reply = ask_by_datagram(ask_fd, 1000);
	ck_assert_int_eq(count(reply, "anna\r\n"), 2);
	ck_assert_int_eq(count(reply, "more"), 0);
	close(fd[0]);
	close(fd[1]);
	close(ask_fd);
	acc_free(&acc);
}

/* Longer than what is told at once: none twice, none missing, and others come and go meanwhile. */
TEST(a_long_list_is_told_in_parts, EACH_STREAM_IN_ONE_MEMORY)
{
	enum { ASKERS = 4, N = 200 };
	int fd[N], ask_fd[ASKERS], i, k;
	struct acc acc;

	open_server(&acc, _i);
	for (i = 0; i < N; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d-", i);
		fd[i] = come(&acc, name);
	}
	for (k = 0; k < ASKERS; k++) {
		ask_fd[k] = acc_client(&acc);
		peer_puts(ask_fd[k], "\r\n");
	}
	for (i = 0; i < 20; i++)
		close(come(&acc, "x"));
	for (k = 0; k < ASKERS; k++) {
		size_t n;
		char *text = peer_read_all(ask_fd[k], &n);

		for (i = 0; i < N; i++) {
			char name[32];

			snprintf(name, sizeof(name), "  n%d-\r\n", i);
			ck_assert_int_eq(count(text, name), 1);
		}
		free(text);
		close(ask_fd[k]);
	}
	for (i = 0; i < N; i++)
		close(fd[i]);
	acc_free(&acc);
}

/* One that asks and is gone, or does not read, leaves no mark on the list. */
TEST(an_answer_that_is_cut_off_leaves_the_list_whole, EACH_STREAM_IN_ONE_MEMORY)
{
	enum { N = 200 };
	int fd[N], i, k, all;
	struct acc acc;

	open_server(&acc, _i);
	for (i = 0; i < N; i++)
		fd[i] = come(&acc, "anna");
	for (k = 0; k < 20; k++) {
		int gone = acc_client(&acc);

		peer_puts(gone, "\r\n");
		if (k % 2 == 0)
			peer_half_close(gone);
		close(gone);
	}
	ck_eventually((lines(&acc, "anna\r\n", &all), all == N + 1));
	for (i = 0; i < N; i++)
		close(fd[i]);
	ck_eventually((lines(&acc, "anna\r\n", &all), all == 1));
	acc_free(&acc);
}

/* C1 controls and what turns the direction of writing would reach the terminals of others. */
TEST(the_path_of_a_client_is_escaped, EACH_MODE_IN_ONE_MEMORY)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct sks_options options = { .data = users };
	char address[160], own[sizeof(name.sun_path)], *text;
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &plugin.handler, &options);
	snprintf(address, sizeof(address), "unix:%s/sock", acc_dir);
	ck_assert_int_eq(sks_server_listen(acc.server, address), 0);
	acc_start(&acc);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.sun_path, sizeof(name.sun_path),
	    "%s/\xc2\x9b" "2J\x1b[31m\xe2\x80\xae\xff\xc3\xa9", acc_dir);
	memcpy(own, name.sun_path, sizeof(own));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/sock", acc_dir);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	peer_puts(fd, "name anna\r\n");
	peer_expect(fd, "you are anna\r\n");
	text = ask(&acc, "anna\r\n");
	ck_assert_ptr_nonnull(strstr(text,
	    "/\\xc2\\x9b2J\\x1b[31m\\xe2\\x80\\xae\\xff\xc3\xa9 "));
	free(text);
	close(fd);
	acc_free(&acc);
	unlink(own);
}

/* Those who come and go at once leave nothing behind. */
TEST(list_is_empty_after_a_storm, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int i, k, all;

	open_server(&acc, _i);
	for (k = 0; k < 10; k++) {
		int fd[20];

		for (i = 0; i < 20; i++) {
			fd[i] = acc_client(&acc);
			if (i % 3 == 0)
				peer_puts(fd[i], i % 2 == 0 ? "\r\n" : "name x\r\n");
		}
		for (i = 0; i < 20; i++)
			close(fd[(i * 7) % 20]);
	}
	ck_eventually((lines(&acc, "x\r\n", &all), all == 1));
	acc_free(&acc);
}

/* A shutdown with everybody still there: each finish finds the list as it should be. */
TEST(shutdown_takes_everybody_off, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd[20], i;

	open_server(&acc, _i);
	for (i = 0; i < 20; i++)
		fd[i] = come(&acc, "anna");
	sks_server_shutdown(acc.server);
	for (i = 0; i < 20; i++)
		peer_expect_gone(fd[i]);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

TEST(says_what_it_can_not_do)
{
	ck_assert_int_eq(plugin.refuses, SKS_REFUSES(SKS_PROCESSES));
	ck_assert_ptr_nonnull(plugin.refuses_why);
	ck_assert_int_eq(plugin.serves, 0);
}
