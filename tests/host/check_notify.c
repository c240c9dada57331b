/* SPDX-License-Identifier: MIT */
/*
 * check_notify.c - what a service manager is told, and that one that does not listen harms nobody:
 * NOTIFY_SOCKET and WATCHDOG_USEC, right and wrong.
 */
#include "acceptance.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <socketserver/host.h>

static void
set_up(void)
{
	acc_setup();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

FIXTURE(set_up, acc_teardown);

/* A manager that listens at this name, which becomes NOTIFY_SOCKET. */
static int
manager(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", name);
	if (name[0] == '@')
		un.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
expect_told(int fd, const char *lines)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, lines);
}

static const char *
path(char name[200])
{
	snprintf(name, 200, "%s/notify", acc_dir);
	return name;
}

TEST(a_manager_gets_one_datagram, TIMES(2))
{
	char name[200];
	int fd;

	snprintf(name, sizeof(name), "%s%s/notify", _i == 1 ? "@" : "", acc_dir);
	fd = manager(name);
	ck_assert_int_eq(sks_notify("READY=1\nSTATUS=listening"), 1);
	expect_told(fd, "READY=1\nSTATUS=listening");
	close(fd);
	unlink(name);
}

TEST(without_a_manager_nothing_is_told, TIMES(2))
{
	if (_i == 1)
		setenv("NOTIFY_SOCKET", "", 1);
	fault("socket:EMFILE:1+");
	ck_assert_int_eq(sks_notify("READY=1"), 0);
}

TEST(a_manager_that_is_gone_is_told_of)
{
	char name[200];

	close(manager(path(name)));
	ck_fails(sks_notify("READY=1"), ECONNREFUSED);
	unlink(name);
	ck_fails(sks_notify("READY=1"), ENOENT);
}

TEST(a_manager_that_does_not_read_is_not_waited_for)
{
	char name[200];
	int fd = manager(path(name)), n = 0;

	while (sks_notify("STATUS=more") == 1)
		n++;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_gt(n, 0);
	expect_told(fd, "STATUS=more");
	ck_assert_int_eq(sks_notify("READY=1"), 1);
	close(fd);
	unlink(name);
}

static const char *const wrong[] = { "notify", "@", "/", "vsock:2:1" };

TEST(an_address_that_is_none_is_refused, EACH_OF(wrong))
{
	setenv("NOTIFY_SOCKET", wrong[_i], 1);
	ck_fails(sks_notify("READY=1"), EINVAL);
}

TEST(a_path_has_at_most_107_bytes)
{
	char name[110];

	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[108] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_fails(sks_notify("READY=1"), EINVAL);
	name[107] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_fails(sks_notify("READY=1"), ENOENT);
}

TEST(a_call_that_fails_is_told_and_an_interruption_is_not)
{
	char name[200];
	int fd = manager(path(name));

	fault("socket:EMFILE:1");
	ck_fails(sks_notify("READY=1"), EMFILE);
	fault("sendto:EINTR:1");
	ck_assert_int_eq(sks_notify("READY=1"), 1);
	expect_told(fd, "READY=1");
	close(fd);
	unlink(name);
}

static const struct {
	const char *usec;
	int ms;
} intervals[] = {
	{ "10000000", 5000 }, { "1", 1 }, { "9223372036854775807", INT32_MAX }, { "0", 0 }, { "-1", 0 },
	{ "", 0 }, { "1s", 0 }, { "9223372036854775808", 0 },
};

TEST(half_of_the_watchdogs_time_is_the_interval, EACH_OF(intervals))
{
	char pid[32];

	setenv("WATCHDOG_USEC", intervals[_i].usec, 1);
	ck_assert_int_eq(sks_notify_interval_ms(), intervals[_i].ms);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_int_eq(sks_notify_interval_ms(), intervals[_i].ms);
	setenv("WATCHDOG_PID", "1", 1); /* it is for another process */
	ck_assert_int_eq(sks_notify_interval_ms(), 0);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	ck_assert_int_eq(sks_notify_interval_ms(), 0);
}

/* Keeps its thread until the test says that it is enough. */
static int
keep(struct sks_request *req)
{
	(void)req;
	atomic_store(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		usleep(1000);
	return SKS_DONE;
}

TEST(a_loop_that_does_not_turn_is_seen, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = keep };
	struct sks_options options = { .block_warn_ms = 3600 * 1000 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	ck_assert_int_eq(sks_server_is_stuck(acc.server, 1), 0);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	if (acc.mode->mode == SKS_THREADS || acc.mode->mode == SKS_PROCESSES)
		ck_assert_int_eq(sks_server_is_stuck(acc.server, 1), 0);
	else
		ck_eventually(sks_server_is_stuck(acc.server, 5));
	ck_assert_int_eq(sks_server_is_stuck(acc.server, 3600 * 1000), 0);
	atomic_store(&seen->note, 1);
	peer_expect_eof(fd);
	ck_eventually(!sks_server_is_stuck(acc.server, 1));
	acc_free(&acc);
}
