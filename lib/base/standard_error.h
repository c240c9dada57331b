/* SPDX-License-Identifier: MIT */
/*
 * standard_error.h - lines to standard error, which never wait for it.
 */
#ifndef SKS_BASE_STANDARD_ERROR_H
#define SKS_BASE_STANDARD_ERROR_H

#include <stdatomic.h>
#include <stddef.h>

/*
 * Writes n bytes, at most PIPE_BUF, in one call. Returns 0, or -1 when standard error did not take
 * them: EAGAIN for a pipe or a terminal that is full, EBADF or EPIPE where it is closed or broken,
 * or as write(2). A signal handler may call it.
 */
int sks_stderr_write(const char *line, size_t n);

/*
 * Where standard error is this socket, a client's, as inetd(8) has it: no line goes there any
 * more, as the client would read it.
 */
void sks_stderr_spare(int fd);

/* Returns 1 when standard error is a socket that is spared. A signal handler may ask. */
int sks_stderr_is_spared(void);

/* Writes n bytes to fd. As write(2), but it raises no SIGPIPE. */
long sks_write_without_sigpipe(int fd, const char *line, size_t n);

/*
 * Writes a line to fd, without SIGPIPE. Where only its beginning was taken *is_torn is set, and the
 * line is ended before the next one. 0, or -1 and errno: as write(2), and `partial` for such a line.
 */
int sks_write_line(int fd, const char *line, size_t n, atomic_int *is_torn, int partial);

#endif
