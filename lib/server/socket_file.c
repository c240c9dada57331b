/* SPDX-License-Identifier: MIT */
/*
 * The file of a Unix socket.
 *
 * To look whether a file is stale, to remove it and to bind another one are three
 * steps, and nothing in the kernel makes them one. So a lock is held meanwhile. It
 * is on the folder: a file beside the socket, made for the lock, would stay behind.
 * Whoever may read the folder can hold its lock for ever, so nobody waits for it
 * for ever.
 *
 * Whether a socket is bound to a file is asked by connecting a datagram socket. A
 * stream socket would tell neither what is bound and does not listen yet, nor
 * leave a server that is alive without a client that says nothing.
 */
#include "server/socket_file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>

#define LOCK_MS 5000
#define PERMISSIONS 07777

/* ---- the lock ---- */

static int
has_file(const struct sks_addr *addr)
{
	return addr->u.any.sa_family == AF_UNIX && addr->u.un.sun_path[0] != '\0';
}

/* A path is absolute. */
static int
open_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	size_t n = (size_t)(strrchr(path, '/') - path) + 1;

	memcpy(folder, path, n);
	folder[n] = '\0';
	return sks_sys_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
sks_socket_file_lock(const struct sks_addr *addr)
{
	int64_t deadline = sks_clock_after(LOCK_MS);
	int fd = has_file(addr) ? open_folder(addr->u.un.sun_path) : -1;

	while (fd != -1 && sks_sys_flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK && sks_clock_left(deadline) > 0) {
			(void)sks_sys_poll(NULL, 0, 1);
			continue;
		}
		if (errno == EWOULDBLOCK)
			sks_fail(NULL, EWOULDBLOCK,
			    "unix:%s: another process keeps its folder locked",
			    addr->u.un.sun_path);
		sks_sys_close(fd);
		fd = -1;
	}
	return fd;
}

void
sks_socket_file_unlock(int lock)
{
	int error = errno;

	if (lock != -1) {
		(void)sks_sys_flock(lock, LOCK_UN); /* also for a child that was forked meanwhile */
		sks_sys_close(lock);
	}
	errno = error;
}

/* ---- binding ---- */

/* Returns 1 when no socket is bound to this file; -1: there is no descriptor to ask with. */
static int
is_stale(const struct sks_addr *addr)
{
	struct stat st;
	int fd, rc;

	if (sks_sys_lstat(addr->u.un.sun_path, &st) == -1 || !S_ISSOCK(st.st_mode))
		return 0;
	fd = sks_sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	rc = sks_sys_connect(fd, &addr->u.any, addr->len);
	rc = rc == -1 && errno == ECONNREFUSED; /* EPROTOTYPE: one of another type is */
	sks_sys_close(fd);
	return rc;
}

static int
bind_or_replace(int fd, const struct sks_addr *addr)
{
	if (sks_sys_bind(fd, &addr->u.any, addr->len) == 0)
		return 0;
	if (errno != EADDRINUSE || !has_file(addr))
		return -1;
	if (is_stale(addr) != 1 || sks_sys_unlink(addr->u.un.sun_path) == -1) {
		errno = EADDRINUSE;
		return -1;
	}
	return sks_sys_bind(fd, &addr->u.any, addr->len);
}

/* Never by way of a symbolic link that has taken its place; libc may need /proc for that. */
static int
set_mode(const char *path, mode_t mode)
{
	if (sks_sys_fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return errno == EOPNOTSUPP ? sks_sys_fchmodat(AT_FDCWD, path, mode, 0) : -1;
}

/* Notes the file that bind(2) has made, and sets its mode, off which it has taken umask(2). */
static int
settle(struct sks_socket_file *file, mode_t mode, const char **step)
{
	const char *path = file->addr.u.un.sun_path;
	struct stat st;

	if (sks_sys_lstat(path, &st) == -1)
		return -1;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	if (mode == 0 || (st.st_mode & PERMISSIONS) == mode)
		return 0;
	*step = "chmod";
	return set_mode(path, mode);
}

static int
bind_file(int fd, const struct sks_addr *addr, mode_t mode, struct sks_socket_file *file,
    const char **step)
{
	int error;

	/* A file begins with the permissions of its socket, so it never has wider ones. */
	*step = "fchmod";
	if (mode != 0 && sks_sys_fchmod(fd, mode) == -1)
		return -1;
	*step = "bind";
	if (bind_or_replace(fd, addr) == -1)
		return -1;
	file->addr = *addr;
	file->process = getpid();
	if (settle(file, mode, step) == 0)
		return 0;
	error = errno;
	(void)sks_sys_unlink(addr->u.un.sun_path);
	errno = error;
	return -1;
}

int
sks_socket_file_bind(int fd, const struct sks_addr *addr, mode_t mode,
    struct sks_socket_file **file, const char **step)
{
	struct sks_socket_file *made;
	int error;

	*step = "bind";
	*file = NULL;
	if (!has_file(addr))
		return bind_or_replace(fd, addr);
	made = sks_sys_calloc(1, sizeof(*made));
	if (made == NULL)
		return -1;
	if (bind_file(fd, addr, mode, made, step) == -1) {
		error = errno;
		sks_sys_free(made);
		errno = error;
		return -1;
	}
	*file = made;
	return 0;
}

/* A process that cannot ask removes the file if it has bound it itself. */
static int
may_remove(const struct sks_socket_file *file)
{
	struct stat st;
	int stale;

	if (sks_sys_lstat(file->addr.u.un.sun_path, &st) == -1 || st.st_dev != file->dev ||
	    st.st_ino != file->ino)
		return 0;
	stale = is_stale(&file->addr);
	return stale != -1 ? stale : file->process == getpid();
}

void
sks_socket_file_remove(struct sks_socket_file *file)
{
	int lock;

	if (file == NULL)
		return;
	lock = sks_socket_file_lock(&file->addr);
	if (may_remove(file))
		(void)sks_sys_unlink(file->addr.u.un.sun_path);
	sks_socket_file_unlock(lock);
	sks_sys_free(file);
}
