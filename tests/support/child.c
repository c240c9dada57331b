/* SPDX-License-Identifier: MIT */
#include "child.h"

#include "assertions.h"
#include "fiber/context.h"
#include "tools.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void
act(struct child *child, const int fds[2])
{
	VALGRIND_DISABLE_ERROR_REPORTING;
	if (child_catch_death != NULL)
		child_catch_death();
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	dup2(fds[1], STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
	child->act(child->arg);
	_exit(0);
}

void
child_run(struct child *child)
{
	size_t len = 0;
	ssize_t n;
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		act(child, fds);
	close(fds[1]);
	while ((n = read(fds[0], child->text + len, sizeof(child->text) - 1 - len)) > 0)
		len += (size_t)n;
	child->text[len] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &child->status, 0), pid);
}

const char *
child_said(const struct child *child)
{
	const char *end = strchr(child->text, '\n');

	if (SKS_ASAN && SKS_CONTEXT_UCONTEXT && strncmp(child->text, "==", 2) == 0 && end != NULL)
		return end + 1;
	return child->text;
}

int
child_died_of(const struct child *child, int signo)
{
	return WIFSIGNALED(child->status) && WTERMSIG(child->status) == signo;
}

int
child_exited_with(const struct child *child, int code)
{
	return WIFEXITED(child->status) && WEXITSTATUS(child->status) == code;
}
