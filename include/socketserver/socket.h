/* SPDX-License-Identifier: MIT */
/*
 * socketserver/socket.h - clients and socket objects, in handlers and in
 * plain programs and threads.
 *
 * Python: socket.create_connection(), socket.socket, socket.makefile(),
 * select.select().
 *
 * Every call that has to wait parks the fiber it runs on, or blocks the thread
 * in poll(2) when it runs on none, and sends first what this task has written
 * to its wfiles (the flush rule of stream.h). So the same client code runs in
 * a handler of every mode, in main(), and in a thread of your own.
 *
 * Errors. -1 (or NULL) and errno: of the system call, or, from calls that wait,
 *   ETIMEDOUT   the socket's time limit passed (or sks_deadline())
 *   ECANCELED   the server stops and the drain time is over
 *   EBUSY       another fiber waits for the same direction of this socket
 *   EBADF       the socket is closed, also when that happens during the wait, by
 *               whatever thread
 *   ENOMEM, EMFILE   no means to wait
 * A peer that is gone is EPIPE or ECONNRESET, never a signal.
 *
 * Threads. Sockets and their streams may be created in one task and used in
 * another. Two tasks at once may use one, fibers or threads, when one of them
 * sends and the other receives. Any thread may close a socket meanwhile; it is
 * freed, and streams are closed, when both are done. What is written to a stream
 * is sent by the task that wrote it, so it must be flushed before a thread of
 * yours ends or hands the stream over.
 */
#ifndef SOCKETSERVER_SOCKET_H
#define SOCKETSERVER_SOCKET_H

#include <socketserver/export.h>
#include <socketserver/fiber.h>
#include <socketserver/stream.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

SKS_BEGIN_DECLS

struct sks_socket;

/* ---- clients ---- */

/* A connection's streams: as a handler gets them. Made by the library. */
struct sks_client {
	struct sks_rfile *rfile;   /* the peer's bytes; NULL with mode "w" */
	struct sks_wfile *wfile;   /* ours; NULL with mode "r" */
	struct sks_socket *socket; /* for options, addresses, shutdown */
};

/*
 * Connects to an address: "host:80", ":80" (this machine), "[::1]:80",
 * "unix:/path", "unix:@name", and datagrams: "udp:host:53", "unix-dgram:/path".
 *
 * timeout_ms is for all of it together, names included, and stays as the time
 * limit of the socket and its streams, which have it for the first byte as
 * well. SKS_DEFAULT: 30 s; SKS_OFF: no limit; 0 connects only where nothing has
 * to be waited for, and the streams do not wait either. Else EINVAL.
 *
 * A host with several addresses is tried as RFC 8305 says: families in turn,
 * the next one when the last has failed or 250 ms have passed, and who answers
 * first is taken. TCP_NODELAY is on, since streams gather what they send.
 *
 * NULL: errno, and one line in the log ("connect localhost:80 (127.0.0.1:80):
 * Connection refused"; at most 10 a second, none for ECANCELED). Of several
 * attempts it is that of the one which got furthest: an answer, also a refusal,
 * before silence, silence before no way to get there, and that before an
 * address that this machine cannot use; but what this process has run out of
 * before all. Beside what connect(2) says: EINVAL for a wrong address,
 * ENAMETOOLONG for a Unix path over 107 bytes; and for names what
 * sks_getaddrinfo() says: ENOENT when nobody knows it, EAGAIN when no name server
 * answered, and others. Nothing is left open.
 *
 * Python: socket.create_connection(), and makefile("rwb").
 *
 * Datagrams: each flush sends what was written since the last as one datagram.
 * A write is EMSGSIZE when it would make that larger than one can be (65,507
 * bytes with UDP over IPv4); the datagram keeps what it had. The rfile holds
 * one datagram at a time: the first read waits for it, what follows reads the
 * rest, 0 is its end, until sks_next_datagram(). An error as ECONNREFUSED, that
 * nobody has the port, is told once and breaks nothing; the datagram that could
 * not be sent is dropped.
 */
SKS_API struct sks_client *sks_connect(const char *address, int timeout_ms) SKS_MUST_CHECK;

/*
 * Sends what is left, within the time limit, closes and frees. 0, or -1 with the
 * error that lost output; it is closed all the same, except with EBUSY, when
 * another fiber or thread is in a call on its streams: then nothing happens
 * (sks_socket_shutdown() ends that call). NULL is fine, 0.
 */
SKS_API int sks_client_close(struct sks_client *client);

/* ---- socket objects ---- */

/*
 * Each call is the POSIX one plus waiting. Descriptors are always close-on-exec
 * and non-blocking underneath; the time limit says how calls behave.
 */

/* NULL: errno of socket(2), ENOMEM. Python: socket.socket(). */
SKS_API struct sks_socket *sks_socket_new(int family, int type, int protocol) SKS_MUST_CHECK;

/*
 * Takes over a descriptor, and sets it close-on-exec and non-blocking. NULL:
 * ENOTSOCK, EBADF, ENOMEM; then it is the caller's still, as it was.
 */
SKS_API struct sks_socket *sks_socket_fromfd(int fd) SKS_MUST_CHECK;

/* Two that are connected to each other. 0, or -1. Python: socket.socketpair(). */
SKS_API int sks_socket_pair(int type, struct sks_socket *pair[2]) SKS_MUST_CHECK;

/*
 * Closes; closing again does nothing. Who waits in a call on it, or is about to,
 * gets EBADF, also on another thread: that is woken by shutdown(2), which whoever
 * else has the same socket, by dup(2) or fork(2), will notice. While there are
 * streams of sks_socket_makefile() the descriptor stays open for them, and the last one
 * closes it. With SO_LINGER { 1, 0 } set (setsockopt below) its peer reads a
 * reset. 0, or -1 and errno of close(2).
 */
SKS_API int sks_socket_close(struct sks_socket *socket);

/* Closes, and frees the object, which no other thread may be using. NULL is fine. */
SKS_API void sks_socket_free(struct sks_socket *socket);

/*
 * Gives the descriptor away; the object is closed then. -1: EBADF, EBUSY while
 * streams or a call use it.
 */
SKS_API int sks_socket_detach(struct sks_socket *socket) SKS_MUST_CHECK;

/* The descriptor, for poll(2) and the like; -1 once closed. */
SKS_API int sks_socket_fileno(const struct sks_socket *socket);

/*
 * The time limit of each call in milliseconds: SKS_OFF, as at first, waits as
 * long as it takes; 0 never waits: EAGAIN (EINPROGRESS from connect) instead.
 * 0, or -1 and EINVAL for another negative number.
 * Python: settimeout(), setblocking(), gettimeout().
 */
SKS_API int sks_socket_settimeout(struct sks_socket *socket, int timeout_ms);
SKS_API int sks_socket_gettimeout(const struct sks_socket *socket);

SKS_API int sks_socket_bind(struct sks_socket *socket, const struct sockaddr *addr, socklen_t len);

/* backlog 0: as many as the system allows. */
SKS_API int sks_socket_listen(struct sks_socket *socket, int backlog);

/*
 * The next connection; it has no time limit yet. addr and len as accept(2), and
 * may be NULL. NULL: EMFILE, ENFILE, ENOMEM (the client waits on in the
 * backlog), ECONNABORTED and others of accept(2), or a common error.
 */
SKS_API struct sks_socket *sks_socket_accept(struct sks_socket *socket, struct sockaddr *addr,
    socklen_t *len) SKS_MUST_CHECK;

/*
 * 0 when it is connected. -1: what connect(2) says, ETIMEDOUT also when the
 * socket's own limit passed. A Unix socket whose backlog is full is tried again
 * until it takes us.
 */
SKS_API int sks_socket_connect(struct sks_socket *socket, const struct sockaddr *addr,
    socklen_t len);

/* flags: MSG_PEEK, MSG_OOB and others of recv(2). recv: 1..n, 0 at the end of input, -1. */
SKS_API ssize_t sks_socket_recv(struct sks_socket *socket, void *buf, size_t n, int flags);
SKS_API ssize_t sks_socket_send(struct sks_socket *socket, const void *buf, size_t n, int flags);

/*
 * Sends all of it, within one time limit for all. 0, or -1; how much was sent is
 * not known then.
 */
SKS_API int sks_socket_sendall(struct sks_socket *socket, const void *buf, size_t n, int flags);

/*
 * Datagrams. addr and len as recvfrom(2), and may be NULL. *truncated, unless
 * NULL, is 1 when the datagram was longer than n. EMSGSIZE: it is larger than
 * one can be.
 */
SKS_API ssize_t sks_socket_recvfrom(struct sks_socket *socket, void *buf, size_t n, int flags,
    struct sockaddr *addr, socklen_t *len, int *truncated);
SKS_API ssize_t sks_socket_sendto(struct sks_socket *socket, const void *buf, size_t n, int flags,
    const struct sockaddr *addr, socklen_t len);

/*
 * Descriptors over a Unix socket (SCM_RIGHTS), along with n bytes, at least one
 * on a stream. At most SKS_FDS_MAX at once: EINVAL. They stay open here too.
 * Python: socket.send_fds(), recv_fds().
 */
#define SKS_FDS_MAX 253
SKS_API ssize_t sks_socket_send_fds(struct sks_socket *socket, const void *buf, size_t n,
    const int *fds, size_t nfds);

/*
 * *nfds: room in fds; then how many came, close-on-exec and the caller's to
 * close. *truncated, unless NULL, is 1 when there were more, or more bytes of a
 * datagram: for want of room, here or in the table of descriptors. Those are
 * closed, not leaked. EINVAL when there is room for more than SKS_FDS_MAX.
 */
SKS_API ssize_t sks_socket_recv_fds(struct sks_socket *socket, void *buf, size_t n, int *fds,
    size_t *nfds, int *truncated);

/* SHUT_RD, SHUT_WR or SHUT_RDWR; ends waits in that direction, also of other tasks. */
SKS_API int sks_socket_shutdown(struct sks_socket *socket, int how);

SKS_API int sks_socket_getsockname(const struct sks_socket *socket, struct sockaddr *addr,
    socklen_t *len);
SKS_API int sks_socket_getpeername(const struct sks_socket *socket, struct sockaddr *addr,
    socklen_t *len);

SKS_API int sks_socket_getsockopt(const struct sks_socket *socket, int level, int name,
    void *value, socklen_t *len);
SKS_API int sks_socket_setsockopt(struct sks_socket *socket, int level, int name,
    const void *value, socklen_t len);

/* The same for options that are an int. */
SKS_API int sks_socket_get_option(const struct sks_socket *socket, int level, int name,
    int *value);
SKS_API int sks_socket_set_option(struct sks_socket *socket, int level, int name, int value);

/*
 * Streams on a connected socket (stream or datagram), as sks_connect() makes
 * them: mode "r", "w" or "rw". Their time limit is what the socket's is now.
 * sks_client_close() ends them; the socket stays the caller's, and open until
 * he closes it as well. NULL: EINVAL for another mode, EBADF,
 * ENOMEM. Python: socket.makefile().
 */
SKS_API struct sks_client *sks_socket_makefile(struct sks_socket *socket, const char *mode)
    SKS_MUST_CHECK;

/* ---- addresses ---- */

/*
 * The address that text names, for bind, connect and sendto, without any
 * look-up: "127.0.0.1:80", "[::1]:80", ":80" (every address of this machine),
 * "unix:/path", "unix:@name". 0, or -1: EINVAL, also for a name,
 * ENAMETOOLONG. Names: sks_getaddrinfo().
 */
SKS_API int sks_address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len);

/* The other way, cut to size - 1 bytes; 160 are enough. Returns buf. */
SKS_API char *sks_address_format(const struct sockaddr *addr, socklen_t len, char *buf,
    size_t size);

/* ---- select ---- */

#define SKS_EXCEPT 4 /* beside SKS_READ and SKS_WRITE: an exceptional condition, as urgent data */

/*
 * What to look at: the first of socket, rfile and fd that is set. An rfile is
 * ready when a read of it would not wait, which a look at the socket alone
 * does not tell: what it has buffered has left the socket already.
 */
struct sks_selectable {
	struct sks_socket *socket;
	struct sks_rfile *rfile;
	int fd;
	int want;  /* SKS_READ, SKS_WRITE, SKS_EXCEPT; 0: passed over */
	int ready; /* of these, what would not wait now; an error is whatever was wanted */
};

/*
 * Waits until any of n entries is ready, and sets `ready` in all. There may be
 * thousands; the same descriptor may come several times. timeout_ms: SKS_OFF
 * waits without limit, and 0, as for select(2), not at all. Returns how many are
 * ready, 0 after timeout_ms. -1: EBADF when one is not open, EINVAL when there
 * are more than the limit of open files, ENOMEM, EMFILE, or a common error.
 * Regular files are always ready. Closing a descriptor does not end a wait.
 * Python: select.select().
 */
SKS_API int sks_select(struct sks_selectable *set, size_t n, int timeout_ms);

SKS_END_DECLS

#endif
