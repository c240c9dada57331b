/* SPDX-License-Identifier: MIT */
#include "forking.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void
forking_setup(void)
{
	signal(SIGTERM, SIG_DFL);
	acc_setup();
}

const struct sks_options stoppable = { .stop_signals = 1 };
const struct sks_options again = { .stop_signals = 1, .close_listeners = SKS_OFF };

pid_t
fork_blocked(void)
{
	sigset_t set, old;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

_Noreturn void
serve_and_leave(const struct acc *acc)
{
	_exit(sks_serve_forever(acc->server) == 0 ? 0 : 1);
}

pid_t
fork_serving(const struct acc *acc)
{
	pid_t pid = fork_blocked();

	if (pid == 0)
		serve_and_leave(acc);
	return pid;
}

void
expect_exit(pid_t pid, int code)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), code);
}

void
stop_child(pid_t pid)
{
	kill(pid, SIGTERM);
	expect_exit(pid, 0);
}

void
talk(const struct acc *acc)
{
	acc_ask(acc, "e one\ne two\nd\n", "e one\ne two\n");
}
