/* SPDX-License-Identifier: MIT */
/*
 * standard_error.c - lines to standard error, which never wait for it.
 *
 * O_NONBLOCK would do it, but it belongs to the open file, which the shell and other
 * processes share. So a line is written only when poll(2) says that there is room: a
 * pipe that is writable takes PIPE_BUF (4 KiB) at once. Another process can still fill
 * the pipe between the two calls; then this one waits. A terminal is called writable as soon as
 * it has room for a byte, but it can be opened anew, as a file that is non-blocking and ours.
 */
#include "base/standard_error.h"

#include "base/sigpipe.h"
#include "base/sys.h"

#include <stdint.h>

/* The socket that is spared, as the kernel numbers it; 0: none. */
static _Atomic uint64_t spared_dev, spared_ino;

void
sks_stderr_spare(int fd)
{
	struct stat here, there;

	if (fstat(fd, &here) == -1 || fstat(STDERR_FILENO, &there) == -1 ||
	    here.st_dev != there.st_dev || here.st_ino != there.st_ino)
		return;
	atomic_store(&spared_dev, here.st_dev);
	atomic_store(&spared_ino, here.st_ino);
}

int
sks_stderr_is_spared(void)
{
	struct stat now;

	return atomic_load(&spared_ino) != 0 && fstat(STDERR_FILENO, &now) == 0 &&
	    now.st_ino == atomic_load(&spared_ino) && now.st_dev == atomic_load(&spared_dev);
}

long
sks_write_without_sigpipe(int fd, const char *line, size_t n)
{
	struct sks_sigpipe hold;
	ssize_t done;

	sks_sigpipe_hold(&hold);
	done = sks_sys_write(fd, line, n);
	sks_sigpipe_release(&hold, done == -1 && errno == EPIPE);
	return done;
}

int
sks_write_line(int fd, const char *line, size_t n, atomic_int *is_torn, int partial)
{
	long done;

	if (atomic_load(is_torn) && atomic_exchange(is_torn, 0) &&
	    sks_write_without_sigpipe(fd, "\n", 1) != 1) {
		atomic_store(is_torn, 1);
		return -1;
	}
	done = sks_write_without_sigpipe(fd, line, n);
	if (done == -1 || (size_t)done == n)
		return done == -1 ? -1 : 0;
	atomic_store(is_torn, 1);
	errno = partial;
	return -1;
}

/*
 * Returns a new descriptor of the terminal that standard error is. -1: it is none, or none can be
 * had.
 */
static int
open_terminal(void)
{
	if (!isatty(STDERR_FILENO))
		return -1;
	return sks_sys_open("/proc/self/fd/2", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

/* 0, or -1 and errno: EAGAIN also where a terminal has taken only the beginning of the line. */
static int
write_line(const char *line, size_t n)
{
	static atomic_int is_torn; /* of the terminal */
	int terminal = open_terminal(), rc, error;

	if (terminal == -1)
		return sks_write_without_sigpipe(STDERR_FILENO, line, n) != -1 ? 0 : -1;
	rc = sks_write_line(terminal, line, n, &is_torn, EAGAIN);
	error = errno;
	sks_sys_close(terminal);
	errno = error;
	return rc;
}

int
sks_stderr_write(const char *line, size_t n)
{
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (sks_sys_poll(&to, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	if (to.revents != POLLOUT) {
		errno = to.revents & POLLNVAL ? EBADF : EPIPE;
		return -1;
	}
	return write_line(line, n);
}
