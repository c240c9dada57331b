/* SPDX-License-Identifier: MIT */
/*
 * socket_file.h - the file of a Unix socket: whose it is, who may use it, and
 * when it is removed.
 */
#ifndef SKS_SERVER_SOCKET_FILE_H
#define SKS_SERVER_SOCKET_FILE_H

#include "base/addr.h"

#include <sys/types.h>

struct sks_socket_file {
	struct sks_addr addr;
	dev_t dev;
	ino_t ino;
	pid_t process; /* which has bound it */
};

/*
 * Locks the folder of an address against all other servers of this library, in
 * this process and in others, to be held from sks_socket_file_bind() to listen(2).
 * Waits for those, at most five seconds. Returns what to unlock with; -1: there is
 * nothing to lock, or the file system knows no locks, or it takes too long.
 */
int sks_socket_file_lock(const struct sks_addr *addr);
void sks_socket_file_unlock(int lock); /* keeps errno */

/*
 * Binds a Unix socket. A file that no socket is bound to any more is replaced.
 * With a mode that is not 0 it has exactly this one, whatever umask(2) is, and
 * never a wider one. *file is what to remove with the socket; NULL when the name
 * is abstract. -1: errno, with *step, and no file.
 */
int sks_socket_file_bind(int fd, const struct sks_addr *addr, mode_t mode,
    struct sks_socket_file **file, const char **step);

/*
 * When the socket has been closed: removes the file if it is still the one that
 * was bound and no other process, as a child of fork(2), has the socket, too.
 * Frees the struct. NULL is fine.
 */
void sks_socket_file_remove(struct sks_socket_file *file);

#endif
