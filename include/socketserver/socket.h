/* SPDX-License-Identifier: MIT */
/*
 * socketserver/socket.h - clients and socket objects, in handlers of every mode, in
 * plain programs, and in threads.
 *
 * Python: socket.create_connection(), socket.socket, socket.makefile(),
 * select.select().
 *
 * Errors. A call fails with what the system call of its name says, and where it
 * may wait also with
 *   ETIMEDOUT  the time limit of the socket passed, or one of the task
 *   EBUSY      another task waits for the same direction of this socket
 *   EBADF      the socket is closed, also when any thread closes it during the wait
 *   ECANCELED, ENOMEM   as all calls that may wait
 *   EMFILE     on a thread: no descriptor to wait with
 * A peer that is gone is EPIPE or ECONNRESET, and never a signal.
 *
 * Tasks. Sockets and streams of clients may be made by one task and used by
 * another, on any loop and thread. Two tasks may use one at the same time when one
 * of them sends and the other receives. Any thread may close a socket meanwhile.
 * What was written to a stream is sent by the task that has written it: so a
 * thread of the program flushes it before the thread ends, or hands the stream
 * over.
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

struct sks_socket; /* a socket object */

/* ---- clients ---- */

/* A client: the streams of a connection, as a handler has them. The library makes it. */
struct sks_client {
	struct sks_rfile *rfile;   /* the peer's bytes; NULL with the mode "w" */
	struct sks_wfile *wfile;   /* ours; NULL with the mode "r" */
	struct sks_socket *socket; /* for options and addresses, and to shut down one side */
};

/*
 * Connects to an address: "host:80", ":80" (this machine), "[::1]:80",
 * "unix:/path", "unix:@name"; for datagrams "udp:host:53", "unix-dgram:/path".
 * With "tls:" before an address that is not for datagrams, TLS is spoken (tls.h). May
 * wait.
 *
 * timeout_ms is for all of it together, names included. It stays as the limit of
 * the socket and of each read and write of the streams. SKS_DEFAULT is 30 s. With
 * 0 only what needs no waiting is done: as a rule the address of a Unix socket or
 * of this machine.
 *
 * A host with several addresses is tried by the rules of RFC 8305: the families in
 * turn, each address 250 ms after the one before or when that has failed; the
 * first that answers is taken. TCP_NODELAY is on, since streams gather what they
 * send.
 *
 * Datagrams: each flush sends what was written since the last one, as one
 * datagram. A write that would make it larger than a datagram can be (65,507 bytes
 * with UDP over IPv4) fails with EMSGSIZE, and the datagram keeps what it had.
 * rfile has one datagram at a time: the first read waits for it, its end is an end
 * of input, and sks_next_datagram() goes on. An error such as ECONNREFUSED, when
 * nobody has the port, is reported once and breaks nothing; the datagram that
 * could not be sent is lost.
 *
 * Returns the client, which sks_client_close() closes, or NULL after one line in
 * the log ("connect localhost:80 (127.0.0.1:80): Connection refused"; at most 10 a
 * second, and none for ECANCELED):
 *   EINVAL        the text is no address, or timeout_ms another negative number
 *   ENAMETOOLONG  the path of a Unix socket is over 107 bytes
 *   ENOENT        nobody knows the name, or there is no such Unix socket
 *   EAGAIN        no name server has answered; and as sks_getaddrinfo()
 *   ECONNREFUSED, ENETUNREACH, EMFILE, ...   as socket(2) and connect(2) say
 *   ETIMEDOUT, ECANCELED, ENOMEM   as all calls that may wait
 * Of several attempts the error is that of the one which came furthest: an answer,
 * be it a refusal, before silence, that before no way to get there, and that
 * before an address that this machine cannot use. What this process has run out of
 * comes before all. Nothing stays open.
 * Python: create_connection(), and makefile("rwb").
 */
SKS_API struct sks_client *sks_connect(const char *address, int timeout_ms) SKS_MUST_CHECK;

/*
 * As sks_connect(), but without a line in the log: for a program that tries again, or
 * that tells its user itself. why gets what the line would have said, cut to size bytes;
 * with NULL and 0 errno alone tells. It stays as it is when the client is connected.
 * Only system certificates that cannot be read, for "tls:", are logged all the same.
 * May wait.
 * Returns the client, or NULL as sks_connect().
 */
SKS_API struct sks_client *sks_connect_quiet(const char *address, int timeout_ms, char *why,
    size_t size) SKS_MUST_CHECK;

/*
 * Makes a client of a connected socket, for streams or for datagrams: with the mode
 * "r", "w" or "rw". The streams have the time limit that the socket has now. The
 * socket stays the caller's, and stays open until both it and the client are
 * closed.
 * Returns the client, or NULL: EINVAL for another mode or another type of socket,
 * EBADF, ENOMEM. Python: makefile().
 */
SKS_API struct sks_client *sks_socket_makefile(struct sks_socket *socket, const char *mode)
    SKS_MUST_CHECK;

/*
 * Sends what is left, and closes and frees the client; also the socket, when
 * sks_connect() has made it. May wait, within the time limit of wfile. NULL is
 * fine.
 * Returns 0, or -1 with the error that has lost output; the client is gone all the
 * same. Only with EBUSY, when another task is in a call on its streams, nothing
 * has happened: sks_socket_shutdown() ends that call.
 */
SKS_API int sks_client_close(struct sks_client *client);

/* ---- socket objects ---- */

/*
 * Each call does what the POSIX call of its name does, and waits where that would
 * block. The descriptors are close-on-exec and non-blocking.
 */

/*
 * Makes a socket, with the time limit SKS_OFF. Returns it, or NULL: as socket(2)
 * says, ENOMEM. Python: socket.socket().
 */
SKS_API struct sks_socket *sks_socket_new(int family, int type, int protocol) SKS_MUST_CHECK;

/*
 * Makes a socket of a descriptor, which is its own from then on, and is set
 * close-on-exec and non-blocking. Returns it, or NULL: ENOTSOCK, EBADF, ENOMEM; then
 * the descriptor is still the caller's, as it was. Python: socket.socket(fileno=fd).
 */
SKS_API struct sks_socket *sks_socket_fromfd(int fd) SKS_MUST_CHECK;

/*
 * Makes two Unix sockets that are connected to each other. Returns 0, or -1: as
 * socketpair(2) says, ENOMEM. Python: socket.socketpair().
 */
SKS_API int sks_socket_pair(int type, struct sks_socket *pair[2]) SKS_MUST_CHECK;

/*
 * Closes the descriptor. A task that waits in a call on this socket, or is about
 * to, gets EBADF. When it waits on another thread, shutdown(2) wakes it, which
 * others who have the same socket by dup(2) or fork(2) notice. While there are
 * clients of sks_socket_makefile() the descriptor stays open, and the last of them
 * closes it. With SO_LINGER { 1, 0 } set before, the peer reads a reset. Closing
 * again does nothing. Any thread may call it.
 * Returns 0, or -1: as close(2) says; it is closed all the same.
 */
SKS_API int sks_socket_close(struct sks_socket *socket);

/* Closes the socket and frees it. No other task may be using it. NULL is fine. */
SKS_API void sks_socket_free(struct sks_socket *socket);

/*
 * Gives the descriptor away. The object is closed then, and has to be freed.
 * Returns the descriptor, which is the caller's, or -1: EBADF when it is closed;
 * EBUSY while a client or a call uses it.
 */
SKS_API int sks_socket_detach(struct sks_socket *socket) SKS_MUST_CHECK;

/* Returns the descriptor, for poll(2) and the like, or -1 when it is closed. */
SKS_API int sks_socket_fileno(const struct sks_socket *socket);

/*
 * Sets the time limit of each call. With 0 a call that would wait fails with
 * EAGAIN, and sks_socket_connect() with EINPROGRESS.
 * Returns 0, or -1: EINVAL for another negative number; the limit stays as it was.
 * Python: settimeout(), setblocking().
 */
SKS_API int sks_socket_settimeout(struct sks_socket *socket, int timeout_ms);

/* Returns the time limit, SKS_OFF for none. Python: gettimeout(). */
SKS_API int sks_socket_gettimeout(const struct sks_socket *socket);

/* Binds the socket to an address. Returns 0, or -1: as bind(2) says, EBADF. */
SKS_API int sks_socket_bind(struct sks_socket *socket, const struct sockaddr *addr, socklen_t len);

/*
 * Listens, with a backlog of clients that wait; 0: as many as the system allows.
 * Returns 0, or -1: as listen(2) says, EBADF.
 */
SKS_API int sks_socket_listen(struct sks_socket *socket, int backlog);

/*
 * Accepts the next connection. addr and len get the peer's address, as those of
 * accept(2), and may be NULL. May wait.
 * Returns its socket, which has no time limit, or NULL: EMFILE, ENFILE and ENOMEM,
 * while the client waits on in the backlog; ECONNABORTED and others, as accept(2)
 * says; or an error that stands at the head.
 */
SKS_API struct sks_socket *sks_socket_accept(struct sks_socket *socket, struct sockaddr *addr,
    socklen_t *len) SKS_MUST_CHECK;

/*
 * Connects to an address. A Unix socket whose backlog is full is tried again until
 * it has room. May wait.
 * Returns 0, or -1: as connect(2) says, or an error that stands at the head.
 */
SKS_API int sks_socket_connect(struct sks_socket *socket, const struct sockaddr *addr,
    socklen_t len);

/*
 * Receives at most n bytes. flags are those of recv(2), such as MSG_PEEK; with
 * MSG_DONTWAIT it does not wait, and with MSG_WAITALL a stream waits for all n bytes,
 * up to its time limit or the end of input. May wait.
 * Returns how many bytes came, 0 at the end of input, or -1: as recv(2) says, or an
 * error that stands at the head.
 */
SKS_API ssize_t sks_socket_recv(struct sks_socket *socket, void *buf, size_t n, int flags);

/*
 * Sends at most n bytes, with the flags of send(2). May wait.
 * Returns how many bytes were sent, or -1: as send(2) says, or an error that stands
 * at the head.
 */
SKS_API ssize_t sks_socket_send(struct sks_socket *socket, const void *buf, size_t n, int flags);

/*
 * Sends all n bytes, within one time limit for all of them. May wait.
 * Returns 0, or -1 as sks_socket_send(); how many bytes were sent is not known
 * then. Python: sendall().
 */
SKS_API int sks_socket_sendall(struct sks_socket *socket, const void *buf, size_t n, int flags);

/*
 * Receives a datagram. addr and len get the sender's address, as those of
 * recvfrom(2), and may be NULL. *truncated, unless it is NULL, gets 1 when the
 * datagram was longer than n bytes, else 0. May wait.
 * Returns how many bytes are in buf, or -1: as recvmsg(2) says, or an error that
 * stands at the head.
 */
SKS_API ssize_t sks_socket_recvfrom(struct sks_socket *socket, void *buf, size_t n, int flags,
    struct sockaddr *addr, socklen_t *len, int *truncated);

/*
 * Sends a datagram to an address. A Unix socket whose queue is full is tried again
 * until it has room. May wait.
 * Returns n, or -1: EMSGSIZE when it is larger than a datagram can be; others as
 * sendto(2) says; or an error that stands at the head.
 */
SKS_API ssize_t sks_socket_sendto(struct sks_socket *socket, const void *buf, size_t n, int flags,
    const struct sockaddr *addr, socklen_t len);

/* The most descriptors that one message can bring, by the kernel's SCM_MAX_FD. */
#define SKS_FDS_MAX 253

/*
 * Sends nfds descriptors over a Unix socket (SCM_RIGHTS of unix(7)), with n bytes,
 * at least 1 on a stream. They stay open here. May wait.
 * Returns how many bytes were sent, or -1: EINVAL for more than SKS_FDS_MAX
 * descriptors; others as sendmsg(2) says; or an error that stands at the head.
 * Python: send_fds().
 */
SKS_API ssize_t sks_socket_send_fds(struct sks_socket *socket, const void *buf, size_t n,
    const int *fds, size_t nfds);

/*
 * Receives bytes and descriptors over a Unix socket. *nfds is the room in fds, and
 * gets how many came; they are close-on-exec, and the caller closes them.
 * *truncated, unless it is NULL, gets 1 when there were more descriptors, or more
 * bytes of a datagram, than there was room for, here or in the table of
 * descriptors; else 0. What did not fit was closed. May wait.
 * Returns how many bytes came, 0 at the end of input, or -1: EINVAL when there is
 * room for more than SKS_FDS_MAX; others as recvmsg(2) says; or an error that
 * stands at the head. Python: recv_fds().
 */
SKS_API ssize_t sks_socket_recv_fds(struct sks_socket *socket, void *buf, size_t n, int *fds,
    size_t *nfds, int *truncated);

/*
 * Shuts down one side: SHUT_RD, SHUT_WR or SHUT_RDWR. Waits for that side end, also
 * those of other tasks. Returns 0, or -1: as shutdown(2) says, EBADF.
 */
SKS_API int sks_socket_shutdown(struct sks_socket *socket, int how);

/* Get our own address and the peer's. Return 0, or -1: as the calls of these names say, EBADF. */
SKS_API int sks_socket_getsockname(const struct sks_socket *socket, struct sockaddr *addr,
    socklen_t *len);
SKS_API int sks_socket_getpeername(const struct sks_socket *socket, struct sockaddr *addr,
    socklen_t *len);

/* Get and set an option. Return 0, or -1: as getsockopt(2) and setsockopt(2) say, EBADF. */
SKS_API int sks_socket_getsockopt(const struct sks_socket *socket, int level, int name,
    void *value, socklen_t *len);
SKS_API int sks_socket_setsockopt(struct sks_socket *socket, int level, int name,
    const void *value, socklen_t len);

/* Get and set an option that is an int. Return 0 or -1, as the two above. */
SKS_API int sks_socket_get_option(const struct sks_socket *socket, int level, int name,
    int *value);
SKS_API int sks_socket_set_option(struct sks_socket *socket, int level, int name, int value);

/* ---- addresses ---- */

/*
 * Makes an address for bind, connect and sendto from its text, without looking up
 * names: "127.0.0.1:80", "[::1]:80", ":80" (every address of this machine),
 * "unix:/path", "unix:@name". sks_getaddrinfo() looks up names. *len gets the
 * length of the address.
 * Returns 0, or -1: EINVAL when the text is no such address; ENAMETOOLONG for a
 * path over 107 bytes; ENOENT when no network interface has the name behind %; ENOMEM.
 */
SKS_API int sks_address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len);

/*
 * Puts an address into buf as text, such as "127.0.0.1:80", "[::1]:80" or
 * "unix:/path". 160 bytes are enough. Returns buf.
 */
SKS_API char *sks_address_format(const struct sockaddr *addr, socklen_t len, char *buf,
    size_t size);

/* ---- select ---- */

#define SKS_EXCEPT 4 /* beside SKS_READ and SKS_WRITE: an exceptional condition, as urgent data */

/*
 * One of those that sks_select() looks at: the first of socket, rfile and fd that
 * is set. An rfile is ready when a read of it would not wait; its socket alone
 * cannot tell, as the stream may have bytes in its buffer.
 */
struct sks_selectable {
	struct sks_socket *socket; /* NULL: see rfile */
	struct sks_rfile *rfile;   /* NULL: see fd */
	int fd;
	int want;                  /* SKS_READ, SKS_WRITE, SKS_EXCEPT; 0: it is passed over */
	int ready;                 /* gets those of them that would not wait now. An error counts
	                              as SKS_READ and as SKS_WRITE */
};

/*
 * Waits until one of n entries is ready, and sets `ready` in all of them. There may
 * be thousands of entries, more than files may be open, and several for the same
 * descriptor. Regular files are always ready. Closing a descriptor does not end the
 * wait. May wait; with a timeout_ms of 0 it only looks.
 * Returns how many entries are ready, 0 when none was in time, or -1:
 *   EBADF   a descriptor is not open
 *   EINVAL  a `want` is unknown, or timeout_ms is another negative number
 *   ETIMEDOUT, ECANCELED, ENOMEM   as all calls that may wait (ETIMEDOUT when a limit of
 *           the task came first)
 *   EMFILE  no descriptor to wait with
 * Python: select.select().
 */
SKS_API int sks_select(struct sks_selectable *set, size_t n, int timeout_ms);

SKS_END_DECLS

#endif
