/* SPDX-License-Identifier: MIT */
/*
 * socketserver/request.h - what a handler is, and what it gets.
 *
 * Python: BaseRequestHandler, StreamRequestHandler, DatagramRequestHandler.
 *
 * One handler serves streams and datagrams alike. setup, handle and finish
 * run one after another, never two of them at once for the same request.
 *
 * Who may touch `data`, and on which thread each callback runs:
 *   fibers, serial, one loop   all on the loop's thread, one at a time between
 *                              two waits: no lock, unless data must stay as it
 *                              is across a wait (sks_mutex)
 *   threads, several workers   setup, handle, finish and on_error on any thread,
 *                              at once for different requests; verify on the
 *                              thread of a loop: data needs a lock (sks_mutex)
 *   processes                  setup, handle, finish and on_error in the child:
 *                              what they write to data is not seen by the host
 *                              or by others; verify in the host
 * on_tick and on_stop always run on the thread of the first loop.
 */
#ifndef SOCKETSERVER_REQUEST_H
#define SOCKETSERVER_REQUEST_H

#include <socketserver/export.h>
#include <socketserver/stream.h>
#include <stddef.h>
#include <sys/socket.h>

SKS_BEGIN_DECLS

struct sks_request;
struct sks_server;
struct sks_options;

/* What handle returns, beside -1. */
#define SKS_DONE 0            /* the connection ends: flush, finish, close */
#define SKS_KEEP (-2147483646) /* this exchange ends: call handle again when the peer sends more */

/*
 * A handler. Copied by whoever takes it; zero members are defaults.
 *
 * setup   optional, once, before the first handle. 0, or -1 and errno: the
 *         request ends, on_error hears of it, neither handle nor finish runs.
 * handle  required. SKS_DONE, SKS_KEEP, or -1 and errno, which is reported to
 *         on_error. Any other value counts as SKS_DONE, so that a handler may
 *         return what a read returned.
 * finish  optional; runs exactly once whenever setup held (or there is none),
 *         also after an error, a time-out or a shutdown. It may still write.
 *
 * After SKS_KEEP the connection is parked: no fiber, no stack, no thread, no
 * buffer. Input that is already there is not lost: handle is called again.
 * SKS_KEEP after the end of input or an error, or for a datagram, is SKS_DONE.
 * Who leaves input unread: handle is called once more, and if it takes nothing
 * of it again, not before more has come; with the end of input met, SKS_KEEP
 * from an exchange that took nothing is SKS_DONE. What may be left so is
 * bounded as by sks_peek(); beyond that the connection ends.
 */
struct sks_handler {
	const char *name; /* for logs and statistics; NULL: "handler" */
	int (*setup)(struct sks_request *);
	int (*handle)(struct sks_request *);
	void (*finish)(struct sks_request *);
	size_t state_size;  /* zeroed bytes at req->state, for each connection */
	size_t stack_size;  /* bytes of a fiber's stack; 0: the server's */
	int client_first;   /* not 0: the client speaks first, setup and handle wait for its bytes */
	int reserved;       /* 0 */
};

/*
 * A request: a connection or a datagram. Made by the library; it lives from
 * setup to the return of finish.
 */
struct sks_request {
	struct sks_rfile *rfile; /* the peer's bytes; NULL in verify and while parked */
	struct sks_wfile *wfile; /* ours */
	void *state;             /* state_size bytes, zeroed when the connection came */
	void *data;              /* options.data */
	struct sks_server *server; /* NULL in sks_handle_bytes() and sks_serve_fd() */
	const struct sockaddr *peer; /* Python: client_address */
	socklen_t peer_len;      /* 0 when the peer has no address */
	int fd;                  /* for getsockopt(2) and the like, not for bytes; -1: none.
	                            Its O_NONBLOCK and SO_RCVTIMEO are the library's */
};

/*
 * The peer as text: "127.0.0.1:4711", "[::1]:4711", "unix:/path", "unix:" for
 * a client without a name. A client chooses its path, so that is escaped as by
 * sks_escape(). Cut to size - 1 bytes. Returns buf.
 */
SKS_API char *sks_peer(const struct sks_request *req, char *buf, size_t size);

/*
 * For text that a peer chose and that others will see, in a log or on a terminal. Copies
 * n bytes to buf: UTF-8 that is printable as it is, each other byte as \xNN, which are
 * control characters (C1 too), what turns the direction of writing or has no width, and
 * bytes that are no UTF-8. Cut to size - 1 bytes, not within a character; a NUL stands
 * behind it. Returns the length. A signal handler may call it.
 */
SKS_API size_t sks_escape(const char *text, size_t n, char *buf, size_t size);

/*
 * From now on all waits of this exchange together may take ms milliseconds;
 * then they answer ETIMEDOUT. SKS_OFF: no such limit; 0: what would wait answers
 * ETIMEDOUT at once. In finish it does nothing: that has its own limit,
 * linger_ms. 0, or -1 and EINVAL for another negative number; then the limit
 * stays as it was.
 */
SKS_API int sks_deadline(struct sks_request *req, int ms);

/* 1 once the server is stopping: a handler that serves for long should end. */
SKS_API int sks_draining(const struct sks_request *req);

/* 1 for a datagram request, 0 for a connection. */
SKS_API int sks_is_datagram(const struct sks_request *req);

/* 1 when a datagram was cut to options.max_datagram (only with keep_truncated). */
SKS_API int sks_is_truncated(const struct sks_request *req);

/*
 * For a service that answers datagrams of anybody, whose senders may be forged: asked
 * before the answer, once for each request, on its task. 1: the answer may be given,
 * and is counted. 0: the handler should return SKS_DONE without one, since the sender
 * has a port below 1024 or one that this server receives datagrams on, so that two
 * services could answer each other without end, or since 100 answers have gone to its
 * address (of IPv6 its network of 64 bits) in this second. Always 1 for connections,
 * and for Unix sockets. Never waits.
 */
SKS_API int sks_admit_reply(struct sks_request *req);

/*
 * Sends bytes to another connection, from any thread of the process. Never
 * waits: the bytes are copied and sent by that connection's loop, whole,
 * between its owner's flushes; what was taken goes out also when the connection
 * ends right after, and is lost only where that breaks. The caller must know
 * that the request is alive: keep a list that setup adds to and finish removes
 * from, under one sks_mutex.
 * -1: ENOBUFS when more than max_output bytes would wait there, ENOTSUP for a
 * datagram, or where there is no server, ENOTCONN when the connection is
 * ending, ENOMEM.
 */
SKS_API int sks_post(struct sks_request *req, const void *buf, size_t n);

/*
 * Breaks the connection off: once the request has ended the peer reads a reset
 * (ECONNRESET), not an end. What was not sent by then is dropped, and reads and
 * writes answer ECONNABORTED from now on. A Unix socket has no resets: there the
 * peer reads an end. On the request's task, or in verify. -1: ENOTSUP for a
 * datagram, or where there is no network; errno of setsockopt(2). Python:
 * SO_LINGER (1, 0).
 */
SKS_API int sks_abort(struct sks_request *req);

/*
 * Runs the handler on n bytes of input without a network: setup, handle (again
 * after SKS_KEEP while input is left), finish. The output is put into *out,
 * which the caller frees with free(3), and its length into *out_len; both may
 * be NULL. Returns 0, or -1 and errno as handle (or setup) left it.
 */
SKS_API int sks_handle_bytes(const struct sks_handler *handler, const void *in, size_t n,
    char **out, size_t *out_len);

/*
 * Serves one connection on a connected stream socket, as inetd(8) hands it
 * over, in the calling thread or fiber until it ends; then closes fd, also on
 * failure. options may be NULL; of it the times, max_line, max_output, data
 * and on_error count. Returns 0, or -1 and errno as the handler left it;
 * ENOTSOCK when fd is no socket, E2BIG as sks_server_new().
 */
SKS_API int sks_serve_fd_abi(int fd, const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size);

SKS_END_DECLS

#endif
