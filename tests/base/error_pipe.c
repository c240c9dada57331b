/* SPDX-License-Identifier: MIT */
#include "error_pipe.h"

#include "faults.h"
#include "suite.h"
#include "base/sys.h"

static int saved_stderr, reader;

void
error_pipe_anew(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
}

void
error_pipe_setup(void)
{
	sks_fault_clear();
	saved_stderr = dup(STDERR_FILENO);
	error_pipe_anew();
}

void
error_pipe_break(void)
{
	close(reader);
}

void
error_pipe_teardown(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	sks_fault_clear();
}

const char *
error_pipe_read(char *to, size_t size)
{
	ssize_t n = read(reader, to, size - 1);

	to[n > 0 ? n : 0] = '\0';
	return to;
}

void
error_pipe_fill(void)
{
	static const char block[4096];
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (poll(&to, 1, 0) == 1)
		ck_assert_int_eq(write(STDERR_FILENO, block, sizeof(block)), sizeof(block));
}

void
error_pipe_empty(void)
{
	char block[8192];

	while (read(reader, block, sizeof(block)) > 0)
		;
}
