/* SPDX-License-Identifier: MIT */
/*
 * check_stopped.c - a process that is stopped as a whole, as by a debugger: when it goes on, time
 * has passed, and what came meanwhile is in time.
 */
#include "acceptance.h"

#include "base/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static int
limit_ms(void)
{
	return is_slow() ? 1500 : 300;
}

/* Both note the process in which they run. */
static int
echo_lines(struct sks_request *req)
{
	atomic_store(&seen->note, (int)getpid());
	return acc_echo_lines(req);
}

static int
echo_and_park(struct sks_request *req)
{
	atomic_store(&seen->note, (int)getpid());
	return acc_echo_keep(req);
}

static int
is_stopped(pid_t pid)
{
	char path[64], text[400];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, ") T ") != NULL;
}

static void
stop(pid_t pid)
{
	int looks = 30000;

	kill(pid, SIGSTOP);
	while (!is_stopped(pid) && looks-- > 0)
		poll(NULL, 0, 1);
}

/*
 * In a child: stops the process, and that of the handler. While they stand the client says a line,
 * and the limit passes. The exit code is 0, or 1: the limit may have passed before.
 */
static void
say_while_they_stand(pid_t server, pid_t handler, int fd, int64_t since)
{
	int is_late;

	stop(server);
	stop(handler);
	is_late = sks_clock_ms() - since > limit_ms() / 2;
	if (send(fd, "late\n", 5, MSG_NOSIGNAL) != 5)
		is_late = 1;
	poll(NULL, 0, limit_ms() + 100); /* the passing of time is what is tested */
	kill(handler, SIGCONT);
	kill(server, SIGCONT);
	_exit(is_late);
}

/* 1: it was done, 0: the machine was too busy. */
static int
is_served_behind_a_stop(const struct acc *acc)
{
	int64_t since = sks_clock_ms();
	int fd = acc_client(acc), copy = dup(fd), status; /* a child closes clients of peer.h */
	pid_t server = getpid(), child;

	peer_puts(fd, "first\n");
	peer_expect(fd, "first\n");
	child = fork();
	if (child == 0)
		say_while_they_stand(server, atomic_load(&seen->note), copy, since);
	close(copy);
	while (waitpid(child, &status, 0) == -1)
		;
	if (status == 0)
		peer_expect(fd, "late\n");
	close(fd);
	return status == 0;
}

/* A handler waits for the line (0), or its connection is parked (1). */
TEST(what_came_while_it_was_stopped_is_in_time, TIMES(2 * ACC_MODES))
{
	const struct sks_handler handler = { .handle = _i % 2 == 0 ? echo_lines : echo_and_park };
	struct sks_options options = { .idle_ms = limit_ms() };
	int tries = is_slow() ? 10 : 30;
	struct acc acc;

	acc_tcp(&acc, _i / 2, &handler, &options);
	acc_start(&acc);
	while (!is_served_behind_a_stop(&acc) && --tries > 0)
		;
	if (tries == 0)
		suite_skip(__func__, "the machine was too busy to stop it within the limit");
	acc_free(&acc);
}
