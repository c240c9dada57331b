/* SPDX-License-Identifier: MIT */
/*
 * sys.h - every system call that can fail for an outside reason.
 *
 * sks_sys_<call> has libc's signature and contract. In a release build it is
 * the call. In the test build (-DSKS_FAULTS) it first asks a table of faults,
 * so that a test can make the k-th accept4 fail with EMFILE, or let each recv
 * give one byte. The tests have that table: tests/support/faults.h.
 *
 * Not -Wl,--wrap, which is link-time only and reaches other libraries' calls
 * too, and not LD_PRELOAD, which the sanitizers do not like.
 */
#ifndef SKS_BASE_SYS_H
#define SKS_BASE_SYS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* musl has it from 1.2.5 on; without it nobody knows whether a read of a file would wait. */
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0

static inline ssize_t
preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	(void)fd, (void)iov, (void)n, (void)at, (void)flags;
	errno = EOPNOTSUPP;
	return -1;
}
#endif

/* By number: glibc has it only from 2.36 on. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define sks_sys_call_pidfd_open(pid, flags) ((int)syscall(SYS_pidfd_open, (pid), (flags)))

/*
 * X(type, result when it fails, name, parameters, what is called). The first
 * list fails by returning that result with errno set, and does nothing then.
 */
/* clang-format off */
#define SKS_SYS_CALLS(X) \
	X(int, -1, mprotect, (void *at, size_t n, int prot), mprotect(at, n, prot)) \
	X(int, -1, madvise, (void *at, size_t n, int advice), madvise(at, n, advice)) \
	X(int, -1, socket, (int domain, int type, int protocol), socket(domain, type, protocol)) \
	X(int, -1, socketpair, (int domain, int type, int protocol, int fds[2]), \
	    socketpair(domain, type, protocol, fds)) \
	X(int, -1, bind, (int fd, const struct sockaddr *addr, socklen_t len), \
	    bind(fd, addr, len)) \
	X(int, -1, listen, (int fd, int backlog), listen(fd, backlog)) \
	X(int, -1, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags), \
	    accept4(fd, addr, len, flags)) \
	X(int, -1, getsockname, (int fd, struct sockaddr *addr, socklen_t *len), \
	    getsockname(fd, addr, len)) \
	X(int, -1, getpeername, (int fd, struct sockaddr *addr, socklen_t *len), \
	    getpeername(fd, addr, len)) \
	X(int, -1, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), \
	    getsockopt(fd, level, name, value, len)) \
	X(int, -1, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), \
	    setsockopt(fd, level, name, value, len)) \
	X(int, -1, shutdown, (int fd, int how), shutdown(fd, how)) \
	X(int, -1, ioctl, (int fd, unsigned int request, int *value), ioctl(fd, request, value)) \
	X(ssize_t, -1, sendto, (int fd, const void *buf, size_t n, int flags, \
	    const struct sockaddr *addr, socklen_t len), \
	    sendto(fd, buf, n, flags, addr, len)) \
	X(int, -1, poll, (struct pollfd *fds, nfds_t n, int timeout_ms), poll(fds, n, timeout_ms)) \
	X(int, -1, eventfd, (unsigned int value, int flags), eventfd(value, flags)) \
	X(int, -1, epoll_create1, (int flags), epoll_create1(flags)) \
	X(int, -1, epoll_ctl, (int set, int operation, int fd, struct epoll_event *ev), \
	    epoll_ctl(set, operation, fd, ev)) \
	X(int, -1, epoll_wait, (int set, struct epoll_event *events, int n, int timeout_ms), \
	    epoll_wait(set, events, n, timeout_ms)) \
	X(int, -1, clock_gettime, (clockid_t clock, struct timespec *ts), \
	    clock_gettime(clock, ts)) \
	X(int, -1, unlink, (const char *path), unlink(path)) \
	X(int, -1, lstat, (const char *path, struct stat *st), lstat(path, st)) \
	X(int, -1, fstat, (int fd, struct stat *st), fstat(fd, st)) \
	X(ssize_t, -1, pread, (int fd, void *buf, size_t n, off_t at), pread(fd, buf, n, at)) \
	X(ssize_t, -1, preadv2, (int fd, const struct iovec *iov, int n, off_t at, int flags), \
	    preadv2(fd, iov, n, at, flags)) \
	X(char *, NULL, realpath, (const char *path, char *buf), realpath(path, buf)) \
	X(char *, NULL, getcwd, (char *buf, size_t size), getcwd(buf, size)) \
	X(int, -1, scandir, (const char *path, struct dirent ***list, \
	    int (*filter)(const struct dirent *), \
	    int (*compare)(const struct dirent **, const struct dirent **)), \
	    scandir(path, list, filter, compare)) \
	X(int, -1, fchmod, (int fd, mode_t mode), fchmod(fd, mode)) \
	X(int, -1, fchmodat, (int folder, const char *path, mode_t mode, int flags), \
	    fchmodat(folder, path, mode, flags)) \
	X(int, -1, flock, (int fd, int operation), flock(fd, operation)) \
	X(pid_t, -1, fork, (void), fork()) \
	X(int, -1, pidfd_open, (pid_t pid, unsigned int flags), \
	    sks_sys_call_pidfd_open(pid, flags)) \
	X(int, -1, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), \
	    waitid(type, id, info, options))

/*
 * These fail in a way of their own, can be made to move fewer bytes, or are
 * counted; tests/support/faults.c spells them out.
 */
#define SKS_SYS_OWN_CALLS(X) \
	X(void *, MAP_FAILED, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t off), \
	    mmap(at, n, prot, flags, fd, off)) \
	X(int, -1, close, (int fd), close(fd)) \
	X(int, -1, connect, (int fd, const struct sockaddr *addr, socklen_t len), \
	    connect(fd, addr, len)) \
	X(ssize_t, -1, recv, (int fd, void *buf, size_t n, int flags), recv(fd, buf, n, flags)) \
	X(ssize_t, -1, send, (int fd, const void *buf, size_t n, int flags), \
	    send(fd, buf, n, flags)) \
	X(ssize_t, -1, recvmsg, (int fd, struct msghdr *msg, int flags), recvmsg(fd, msg, flags)) \
	X(ssize_t, -1, sendmsg, (int fd, const struct msghdr *msg, int flags), \
	    sendmsg(fd, msg, flags)) \
	X(ssize_t, -1, sendfile, (int to, int from, off_t *at, size_t n), \
	    sendfile(to, from, at, n)) \
	X(ssize_t, -1, read, (int fd, void *buf, size_t n), read(fd, buf, n)) \
	X(ssize_t, -1, write, (int fd, const void *buf, size_t n), write(fd, buf, n)) \
	X(int, EAGAIN, pthread_create, (pthread_t *thread, const pthread_attr_t *attr, \
	    void *(*run)(void *), void *arg), \
	    pthread_create(thread, attr, run, arg)) \
	X(int, EAI_SYSTEM, getaddrinfo, (const char *host, const char *port, \
	    const struct addrinfo *hints, struct addrinfo **list), \
	    getaddrinfo(host, port, hints, list)) \
	X(int, EAI_SYSTEM, getnameinfo, (const struct sockaddr *addr, socklen_t len, \
	    char *host, socklen_t host_size, char *port, socklen_t port_size, int flags), \
	    getnameinfo(addr, len, host, host_size, port, port_size, flags))

/* One family: their uses are counted together, as "malloc". */
#define SKS_SYS_ALLOC_CALLS(X) \
	X(void *, NULL, malloc, (size_t size), malloc(size)) \
	X(void *, NULL, calloc, (size_t n, size_t size), calloc(n, size)) \
	X(void *, NULL, realloc, (void *old, size_t size), realloc(old, size))
/* clang-format on */

/*
 * Macros, because the first two take a third argument or none: libc's own
 * checks stay; and libcs differ in the type of the third's first argument.
 */
#define sks_sys_open(...) (sks_sys_fault_point("open") == -1 ? -1 : open(__VA_ARGS__))
#define sks_sys_fcntl(...) (sks_sys_fault_point("fcntl") == -1 ? -1 : fcntl(__VA_ARGS__))
#define sks_sys_setrlimit(...) \
	(sks_sys_fault_point("setrlimit") == -1 ? -1 : setrlimit(__VA_ARGS__))

#ifndef SKS_FAULTS

#define SKS_SYS_INLINE(type, failed, name, params, call) \
	static inline type sks_sys_##name params         \
	{                                                \
		return call;                             \
	}
SKS_SYS_CALLS(SKS_SYS_INLINE)
SKS_SYS_OWN_CALLS(SKS_SYS_INLINE)
SKS_SYS_ALLOC_CALLS(SKS_SYS_INLINE)
#undef SKS_SYS_INLINE

/* Giving memory back has no outside reason to fail. */
static inline void
sks_sys_free(void *ptr)
{
	free(ptr);
}

static inline int
sks_sys_munmap(void *at, size_t size)
{
	return munmap(at, size);
}

/* Hands over memory that was allocated here to a user, who will call free(3). */
static inline void
sks_sys_give_away(const void *ptr)
{
	(void)ptr;
}

/*
 * For calls of other libraries, which can not be wrapped here ("event_add"):
 * -1 with errno set when a fault of that name strikes, then the caller must
 * behave as if the call had failed. Always 0 in a release build.
 */
static inline int
sks_sys_fault_point(const char *name)
{
	(void)name;
	return 0;
}

#else /* SKS_FAULTS */

#define SKS_SYS_PROTOTYPE(type, failed, name, params, call) type sks_sys_##name params;
SKS_SYS_CALLS(SKS_SYS_PROTOTYPE)
SKS_SYS_OWN_CALLS(SKS_SYS_PROTOTYPE)
SKS_SYS_ALLOC_CALLS(SKS_SYS_PROTOTYPE)
#undef SKS_SYS_PROTOTYPE

void sks_sys_free(void *ptr);
int sks_sys_munmap(void *at, size_t size);
void sks_sys_give_away(const void *ptr);

/* A name that the list in faults.c does not have aborts, so that no typo goes unnoticed. */
int sks_sys_fault_point(const char *name);

#endif /* SKS_FAULTS */

#endif
