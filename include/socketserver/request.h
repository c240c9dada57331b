/* SPDX-License-Identifier: MIT */
/*
 * socketserver/request.h - what a handler is, and the request that it gets.
 *
 * Python: BaseRequestHandler, StreamRequestHandler, DatagramRequestHandler.
 *
 * A request is a connection or a datagram; one handler serves both. Its
 * functions setup, handle and finish run one after another, never two at once
 * for the same request.
 *
 * The mode decides where they run, and who may touch options.data:
 *   fibers and serial mode   On the thread of the loop, and only one of them
 *   with one loop            runs between two waits. Data needs no lock, unless
 *                            it must not change across a wait (sks_mutex).
 *   threads, or several      setup, handle, finish and on_error run on any
 *   workers                  thread, at once for different requests, and verify
 *                            on the thread of a loop. Data needs a lock.
 *   processes                setup, handle, finish and on_error run in a child
 *                            process: what they write to data is seen neither by
 *                            the host nor by other children. verify runs in the
 *                            host.
 * on_tick and on_stop always run on the thread of the first loop.
 */
#ifndef SOCKETSERVER_REQUEST_H
#define SOCKETSERVER_REQUEST_H

#include <socketserver/export.h>
#include <socketserver/stream.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

SKS_BEGIN_DECLS

struct sks_request;
struct sks_server;
struct sks_options;

/*
 * What handle returns, beside -1. setup may return SKS_KEEP, too.
 *
 * handle may also return what a read returned, so the value of SKS_KEEP is
 * nothing that can be a count of bytes, -1, or a negative errno: INT_MIN + 2.
 */
#define SKS_DONE 0             /* the request ends */
#define SKS_KEEP (-2147483646) /* this exchange ends; the connection stays open */

/*
 * A handler. Whoever takes one copies it. A member that is 0 is the default.
 *
 * setup   is optional, and is called once, before the first handle. It returns
 *           0         handle is called at once.
 *           SKS_KEEP  What was written is sent, the connection is parked, and handle is
 *                     called when the peer sends something; see below. So a protocol
 *                     whose server greets first has no fiber for a silent client.
 *           -1        and errno: on_error is called, the request ends, and neither
 *                     handle nor finish is called.
 * handle  is required. It returns one of
 *           SKS_DONE  The request ends: what was written is sent, finish is
 *                     called, the connection is closed.
 *           SKS_KEEP  This exchange ends, and the connection is parked; see below.
 *           -1        The same as SKS_DONE, but on_error is called before, with
 *                     errno.
 *         Any other value is taken as SKS_DONE.
 * finish  is optional, and is called exactly once when setup has succeeded or
 *         there is none, also after an error, a time-out or a shutdown. It may
 *         write. It has linger_ms for all its waits together.
 *
 * After SKS_KEEP the connection has no fiber, stack, thread or buffer (in a
 * child process it keeps the process). handle is called again when the peer
 * sends more, or at once when handle has left input unread. If that call takes
 * nothing of the input either, the next call comes when there is more input; if
 * the input has ended, SKS_KEEP is taken as SKS_DONE. No more input may be left
 * unread than sks_peek() can show: then the connection ends.
 * Of a datagram, all that was written is one reply, which is sent when the handler has
 * ended. A handler that has written nothing sends nothing.
 *
 * SKS_KEEP is taken as SKS_DONE after an error, and for a datagram; that of setup
 * is taken as 0 for a datagram, which has all of its input.
 */
struct sks_handler {
	const char *name; /* for the log; NULL: "handler". At most 63 bytes are kept */
	int (*setup)(struct sks_request *);
	int (*handle)(struct sks_request *);
	void (*finish)(struct sks_request *);
	size_t state_size; /* bytes at req->state; 0: none */
	size_t stack_size; /* bytes of a fiber's stack; 0: options.stack_size */
	int client_first;  /* not 0: the client speaks first. The connection is parked, and
	                      setup is not called, until its first byte has come */
	int refuses;       /* modes that it cannot run in: SKS_REFUSES(...) | ...; 0: none.
	                      No server is made for it in such a mode */
};

/* handler.refuses and sks_plugin.refuses: a bit for each mode, as SKS_REFUSES(SKS_PROCESSES). */
#define SKS_REFUSES(mode_) (1 << (mode_))

/*
 * A request. The library makes it; it lives from setup to the return of finish.
 * Its streams are used by its task, and by children of it (task.h).
 */
struct sks_request {
	struct sks_rfile *rfile;   /* the peer's bytes; NULL in verify and while parked */
	struct sks_wfile *wfile;   /* ours; NULL as well then */
	void *state;               /* state_size bytes, zeroed when the connection came. The
	                              handler's own: what its members point to, finish frees */
	void *data;                /* options.data */
	struct sks_server *server; /* NULL in sks_handle_bytes() and sks_serve_fd() */
	const struct sockaddr *peer; /* Python: client_address */
	socklen_t peer_len;        /* 0: the peer has no address */
	int fd;                    /* for getsockopt(2) and its kin; -1: there is none. Bytes go
	                              through the streams alone, and the library sets O_NONBLOCK */
};

/*
 * Why a request has ended, for sks_end_reason(). All modes tell the same.
 */
#define SKS_ENDED_NOT 0       /* it goes on */
#define SKS_ENDED_DONE 1      /* its handler was through */
#define SKS_ENDED_CLOSED 2    /* the peer has closed its side: the input was read to its end */
#define SKS_ENDED_IDLE 3      /* the peer was silent for idle_ms */
#define SKS_ENDED_TIMEOUT 4   /* another time limit: the peer was slow for timeout_ms or by
                                 min_rate, its header or handshake did not come, or one that
                                 the handler failed with */
#define SKS_ENDED_DEADLINE 5  /* deadline_ms were over, or those of sks_deadline() */
#define SKS_ENDED_RESET 6     /* the connection is broken, by the peer or by sks_abort() */
#define SKS_ENDED_DRAIN 7     /* it was parked when the server stopped */
#define SKS_ENDED_CANCELLED 8 /* drain_ms were over, or the server was freed */
#define SKS_ENDED_ERROR 9     /* setup or handle failed, the child process crashed, or a handshake
                                 failed */
#define SKS_ENDED_REFUSED 10  /* by verify, a limit, the lack of a proxy's header, or for lack of
                                 memory: no handler has run */
#define SKS_ENDED_EVICTED 11  /* the server was full, and had waited for the peer for
                                 make_room_ms: another one has its place */

/*
 * What is known of a request. Times are of CLOCK_MONOTONIC, in nanoseconds. Bytes are those
 * of the handler: without TLS, and without the header of a proxy.
 */
struct sks_info {
	int reason;              /* SKS_ENDED_...; SKS_ENDED_NOT: it goes on */
	unsigned int exchanges;  /* how often handle was called */
	uint64_t began_ns;       /* when the connection was accepted, or the datagram received */
	uint64_t duration_ns;    /* from then until now, or in on_end until its end */
	uint64_t first_ns;       /* from then until the first byte came; 0: none has come */
	uint64_t bytes_in;       /* that have come, read or not; in sks_handle_bytes() 0 */
	uint64_t bytes_out;      /* that were sent so far; likewise */
	const char *handler;     /* its name */
	const char *listener;    /* the address that it came by, as sks_server_listen_address()
	                            tells it; NULL: there is no server */
	const char *tls_version; /* "TLSv1.3"; NULL: it is plain */
	const char *note;        /* of sks_set_note(); NULL: there is none */
};

/*
 * Puts the peer's address into buf as text: "127.0.0.1:4711", "[::1]:4711",
 * "unix:/path", or "unix:" for a client without a name. A client chooses its path,
 * which is therefore escaped as by sks_escape(). 160 bytes are enough. Returns
 * buf.
 */
SKS_API char *sks_peer(const struct sks_request *req, char *buf, size_t size);

/*
 * Puts the peer's host alone into buf, as a number: "127.0.0.1", "::1", or "fe80::1%eth0";
 * an IPv4 client of a socket for both families has its IPv4 address. It is "" for a Unix
 * socket, and for a peer without an address. 64 bytes are enough. Behind a proxy that is
 * believed it is the client's (proxy.h). No name is looked up. Returns buf.
 * Python: client_address[0].
 */
SKS_API char *sks_peer_host(const struct sks_request *req, char *buf, size_t size);

/*
 * Returns the peer's port, 0 to 65535, or -1 where sks_peer_host() tells "".
 * Python: client_address[1].
 */
SKS_API int sks_peer_port(const struct sks_request *req);

/*
 * Copies n bytes of text that a peer chose into buf, for a log or a terminal.
 * Printable UTF-8 stays as it is; each other byte becomes \xNN: of control
 * characters (C1 too), of what turns the direction of writing or has no width, and
 * of what is no UTF-8. The text is not cut within a character. Returns its length
 * in buf. Any thread may call it, and a signal handler.
 */
SKS_API size_t sks_escape(const char *text, size_t n, char *buf, size_t size);

/*
 * From now on all waits of this exchange together may take ms milliseconds; then
 * they fail with ETIMEDOUT. SKS_OFF: no such limit; 0: what would wait fails at
 * once. The limit is over when handle returns. It does nothing in finish, which
 * has linger_ms. On the request's task.
 * Returns 0, or -1: EINVAL for another negative number; the limit stays as it
 * was.
 */
SKS_API int sks_deadline(struct sks_request *req, int ms);

/*
 * Returns 1 once the server is stopping, else 0. A handler that serves one
 * client for long should end then. Any thread may call it.
 */
SKS_API int sks_draining(const struct sks_request *req);

/*
 * Returns why the request ends, SKS_ENDED_...; SKS_ENDED_NOT while it goes on. It is known in
 * finish, and in options.on_end. Behind finish only one thing changes it: where the peer does
 * not take the rest of the output, SKS_ENDED_DONE and SKS_ENDED_CLOSED become
 * SKS_ENDED_RESET or SKS_ENDED_TIMEOUT. On the request's task, or in on_end.
 */
SKS_API int sks_end_reason(const struct sks_request *req);

/*
 * Returns the name of a reason: "done", "closed", "idle", "timeout", "deadline", "reset",
 * "drain", "cancelled", "error", "refused", "evicted", and "-" for any other number. Any thread.
 */
SKS_API const char *sks_end_reason_name(int reason);

/*
 * Fills in *info; a member that this library does not know is 0. What it points to lives as
 * long as the request. On the request's task, or in verify.
 * Returns 0.
 */
static inline int sks_request_info(const struct sks_request *req, struct sks_info *info);

/*
 * Notes a text about the request, for on_end and the access log, in the place of an earlier
 * one. It is copied, at most 255 bytes of it; NULL: no note. A log that writes the note escapes
 * it. On the request's task, or in verify; also in finish.
 * Returns 0, or -1: ENOMEM, and the earlier note stays.
 */
SKS_API int sks_set_note(struct sks_request *req, const char *text);

/* Returns 1 for a datagram, 0 for a connection. */
SKS_API int sks_is_datagram(const struct sks_request *req);

/*
 * Returns 1 for a datagram that was longer than options.max_datagram and was cut,
 * else 0. Such a datagram is a request only with options.keep_truncated.
 */
SKS_API int sks_is_truncated(const struct sks_request *req);

/*
 * Asks whether a datagram may be answered, for services that answer anybody: its
 * sender may be forged. A handler calls it before its answer, once for each
 * request, on the request's task.
 * Returns 1 when the answer may be given, and counts it. Returns 0 when the handler
 * should return SKS_DONE without an answer: the sender has a port below 1024 or one
 * that this server receives datagrams on, so that two services could answer each
 * other without end; or 100 answers have gone to its address (of IPv6 to its
 * network of 64 bits) in this second. Always returns 1 for a connection and for a
 * Unix socket.
 */
SKS_API int sks_admit_reply(struct sks_request *req);

/*
 * Sends n bytes to a connection that another task serves. The bytes are copied,
 * and the connection's loop sends them, whole, between two flushes of its
 * handler. They are sent also when that request ends right afterwards, and lost
 * only when the connection breaks. Never waits. Any thread of the process may
 * call it while the request is alive, of which the caller makes sure: by a visit of
 * sks_group_each(), or with a list that setup adds to and finish removes from, under
 * one sks_mutex. sks_group_post() makes sure by itself.
 * Returns 0, or -1:
 *   ENOBUFS   more than max_output bytes would wait to be sent, or max_memory is reached
 *   ENOTCONN  the connection is broken
 *   ENOTSUP   this is a datagram, a request of a child process, or one without a
 *             server
 *   ENOMEM
 */
SKS_API int sks_post(struct sks_request *req, const void *buf, size_t n);

/*
 * Breaks the connection off: when the request has ended the peer reads a reset
 * (ECONNRESET), not an end of input. What was not sent until then is dropped, and
 * reads and writes fail with ECONNABORTED from now on. A Unix socket has no
 * resets: there the peer reads an end. On the request's task, or in verify.
 * Returns 0, or -1: ENOTSUP for a datagram or where there is no network, and what
 * setsockopt(2) says of SO_LINGER.
 */
SKS_API int sks_abort(struct sks_request *req);

/*
 * Runs a handler on n bytes of input, without a network and without a server:
 * setup, handle (again after SKS_KEEP, while input is left), finish. It is made
 * for tests of handlers. *out gets the output with a NUL behind it, which the
 * caller frees with free(3), and *out_len its length; both pointers may be NULL.
 * May wait, where the handler does. Any thread or fiber may call it. For options,
 * a peer and datagrams see sks_handle_bytes_with() and sks_handle_datagram().
 * Returns 0, or -1 and errno: as handle or setup left it; EINVAL when there is
 * no handle; ENOMEM.
 */
static inline int sks_handle_bytes(const struct sks_handler *handler, const void *in, size_t n,
    char **out, size_t *out_len);

/* ---- what the inline function calls, with the size of the struct; see server.h ---- */

SKS_API int sks_handle_bytes_abi(const struct sks_handler *handler, size_t handler_size,
    const void *in, size_t n, char **out, size_t *out_len);
SKS_API int sks_request_info_abi(const struct sks_request *req, struct sks_info *info,
    size_t info_size);

static inline int
sks_handle_bytes(const struct sks_handler *handler, const void *in, size_t n, char **out,
    size_t *out_len)
{
	return sks_handle_bytes_abi(handler, sizeof(*handler), in, n, out, out_len);
}

static inline int
sks_request_info(const struct sks_request *req, struct sks_info *info)
{
	return sks_request_info_abi(req, info, sizeof(*info));
}

SKS_END_DECLS

#endif
