/* SPDX-License-Identifier: MIT */
/*
 * socketserver/server.h - servers: a handler, options, and any number of
 * addresses.
 *
 * Python: socketserver.TCPServer, UDPServer, UnixStreamServer and
 * UnixDatagramServer. sks_serve() is the whole of a main program.
 *
 * Addresses:
 *   host:port         TCP; a name stands for every address it has, on one port
 *   :port             every address of this machine, IPv4 and IPv6
 *   [::1]:port        an IPv6 address
 *   tcp:  udp:        before one of these; without it: tcp:
 *   unix:/path        a Unix stream socket; unix:@name has an abstract name
 *   unix-dgram:/path  a Unix datagram socket, or unix-dgram:@name
 *   tls:              before one of these but datagrams, as "tls::443": its connections
 *                     are of TLS, with options.tls (tls.h)
 *   proxy:            before one of these but datagrams, as "proxy::80" and
 *                     "proxy:tls::443": its connections begin with the header of a
 *                     proxy of options.proxy_from (proxy.h)
 *   fd:N              descriptor N, a bound socket that was inherited; a stream
 *                     socket must listen already
 * Port 0 is any free port: sks_server_address() tells which one it became.
 *
 * Threads. A server is used on the thread that made it. Only
 * sks_server_shutdown(), sks_server_drain(), sks_server_stats(), sks_server_metrics(),
 * sks_server_is_ready() and sks_server_is_running() may be called by any thread.
 *
 * Processes. A program may call fork(2) or daemon(3) between any two calls. What
 * a server listens on is the parent's and the child's; all else of it is the
 * parent's alone. In the child the server is idle, whatever it does in the
 * parent: a call that listens or serves makes loops and threads of the child's
 * own first, and sks_server_free() closes the child's descriptors, which no
 * client notices. So to make a server, to listen, to fork several times and to
 * serve in each child is a prefork server. Options, limits and statistics are
 * those of each process; a shutdown ends the run of the process that asks for it.
 * With options.base the child calls event_reinit(3) before it calls anything
 * here; a server that the parent has started goes on in the child when that
 * dispatches the base.
 *
 * What belongs to the process stays as it is: signal dispositions (except with
 * stop_signals), working directory, umask, locale, environment. Nothing here
 * raises SIGPIPE.
 */
#ifndef SOCKETSERVER_SERVER_H
#define SOCKETSERVER_SERVER_H

#include <socketserver/export.h>
#include <socketserver/options.h>
#include <socketserver/request.h>
#include <socketserver/stats.h>
#include <stddef.h>
#include <stdint.h>

SKS_BEGIN_DECLS

/*
 * A whole server program: makes a server, listens on one address, serves until
 * SIGINT or SIGTERM, and frees the server. Waits. Afterwards these signals are
 * still caught, and do nothing, as the program is about to end.
 * Returns what main() returns: 0, or 1 when it failed, after one line in the log.
 */
static inline int sks_serve(const char *address, const struct sks_handler *handler,
    const struct sks_options *options);

/*
 * Makes a server with this handler. options may be NULL: every default.
 * Returns it, or NULL after one line in the log:
 *   EINVAL  there is no handle, state_size is over 16 MiB, an option is out of
 *           its range, or the handler refuses the mode
 *   E2BIG   the program was compiled with newer headers than this library's, and
 *           uses a member that it does not know
 *   EMFILE, ENFILE, ENOMEM   as epoll_create1(2), eventfd(2) and mmap(2) say
 */
static inline struct sks_server *sks_server_new(const struct sks_handler *handler,
    const struct sks_options *options);

/*
 * sks_server_new() and sks_server_listen() in one, for connections. Returns NULL
 * as both of them do; EINVAL also for an address of datagrams.
 * Python: socketserver.TCPServer.
 */
static inline struct sks_server *sks_tcp_server_new(const char *address,
    const struct sks_handler *handler, const struct sks_options *options);

/*
 * sks_server_new() and sks_server_listen() in one, for datagrams: an address
 * without "udp:" is taken as one of UDP. Returns NULL as both of them do; EINVAL
 * also for an address of connections. Python: socketserver.UDPServer.
 */
static inline struct sks_server *sks_udp_server_new(const char *address,
    const struct sks_handler *handler, const struct sks_options *options);

/*
 * Adds an address: binds and listens. Nothing is accepted before the server
 * runs. It may be called any number of times, also while the server runs. Of a
 * name with several addresses all are bound, or none. Blocks while a name is
 * looked up. The file of a Unix socket is replaced when no socket is bound to it
 * any more: of several servers that are started at once, one gets it. It is removed
 * when the socket is closed by the last process that has it, unless another file
 * has taken its place.
 * Connections of TCP have TCP_NODELAY, as streams gather what they send, SO_KEEPALIVE, with
 * the times of tcp(7), and TCP_NOTSENT_LOWAT, 128 KiB, so that the kernel takes no megabytes for
 * a peer that does not read; a handler sets others at req->fd.
 * Returns 0, or -1 after one line in the log that names the step and the object
 * ("bind [::]:80: Permission denied"):
 *   EINVAL      the text is no address, the descriptor no socket to listen on, or the
 *               address one of TLS without options.tls or of a proxy without
 *               options.proxy_from
 *   ENOTSUP     the address is one of TLS, and the library was built without it
 *   ENOENT      the name is not found
 *   EAGAIN      the name server did not answer
 *   EADDRINUSE  somebody else has the port or answers on the Unix socket
 *   EBUSY       a server of this process listens on the descriptor already
 *   EACCES, EMFILE, ENFILE, ENOMEM, ...   as socket(2), bind(2) and listen(2) say
 */
SKS_API int sks_server_listen(struct sks_server *server, const char *address);

/*
 * As sks_server_listen(), for an address with a handler and data of its own: so one server
 * has several services, with one set of options, limits and statistics. Hooks of the options
 * get its data with its requests. handler is copied, and what data points to is borrowed until
 * sks_server_free(). So req->data tells which address a request came by, also where all
 * have one handler.
 * Returns as sks_server_listen(); EINVAL also as sks_server_new(), and for a stack_size
 * larger than that of the server's handler and options; E2BIG as sks_server_new().
 */
static inline int sks_server_listen_with(struct sks_server *server, const char *address,
    const struct sks_handler *handler, void *data);

/*
 * Stops listening on an address, which is the text that sks_server_listen() had, and on all
 * the sockets that it has bound for it. While the server takes clients those who wait in the
 * backlog are served first. Requests go on. A server without an address shuts down. On the
 * server's thread, also from a hook or a handler on it.
 * Returns 0, or -1: ENOENT when it listens on no such address; ENOMEM: with reuse_port
 * some workers go on.
 */
SKS_API int sks_server_close_address(struct sks_server *server, const char *address);

/*
 * Serves until a shutdown. The thread runs the first loop meanwhile. It may be
 * called again afterwards: the addresses stay open, except with
 * options.close_listeners. With options.base,
 * event_base_loopexit(3) and event_base_loopbreak(3) of the host are such a shutdown,
 * too.
 * Returns 0, or -1:
 *   ETIMEDOUT  some requests did not end within drain_ms and linger_ms. The log names
 *              each, with its peer, and sks_offload() where it is in that. Child
 *              processes were killed then; the others go on, and
 *              sks_server_free() waits for their threads
 *   EINVAL     there is no address, or a shutdown has closed them; a line of the log says so
 *   EALREADY   the server runs already; or a handler of its parent's server has
 *              forked the calling process
 *   ECHILD     the process is a child that a handler or a hook has forked, and that
 *              has come back to the loop: the run was its parent's. It may call again
 *   ENOBUFS    more than 32 servers with stop_signals run at once
 *   EIO        the event loop failed
 *   EAGAIN, EMFILE, ENFILE, ENOMEM   no means for another thread or an event
 *   or why the last address could not be accepted from any more
 * Python: serve_forever().
 */
SKS_API int sks_serve_forever(struct sks_server *server);

/*
 * Serves one connection or datagram to its end. It waits until one comes, for
 * timeout_ms at most; then it returns when that one has ended.
 * Returns 0, or -1: ETIMEDOUT when none has come (with 0: when none was there);
 * EINVAL for another negative number; ECANCELED when a shutdown came first; and
 * as sks_serve_forever(). Python: handle_request().
 */
SKS_API int sks_handle_request(struct sks_server *server, int timeout_ms);

/*
 * Starts to serve on options.base, which its program dispatches, and returns at
 * once. options.on_stop tells when a shutdown is complete.
 * Returns 0, or -1: EINVAL without options.base or an address; EALREADY while
 * the server runs; EAGAIN, EMFILE, ENFILE, ENOMEM.
 */
SKS_API int sks_server_start(struct sks_server *server);

/*
 * Begins a shutdown. With lame_duck_ms the server goes on for so long. Then nothing more
 * is accepted, but for the backlog where options.close_listeners says so. Parked
 * connections are closed, unless a request is there already; connections that have never
 * sent anything have grace_ms for their first request. Running requests have drain_ms to
 * end. Returns at once. It may be called from a handler, from any thread, and from a
 * signal handler; errno stays as it is. Before the server runs, its next run returns at
 * once. Calling it again changes nothing. Python: shutdown(), but that waits.
 */
SKS_API void sks_server_shutdown(struct sks_server *server);

/*
 * Shuts a server down and waits for the end of its run. deadline_ms is in the place of
 * options.drain_ms, SKS_DEFAULT is that; linger_ms comes on top of it. Where requests are
 * being drained already, a shorter time counts, and a longer one changes nothing. Any
 * thread may call it: the server's own where it runs on options.base, outside of the
 * callbacks of that base, which is dispatched meanwhile; or any thread that is not one of
 * the server's, and then sks_server_free() waits until this call is over. *report, which
 * may be NULL, is of this shutdown. Where the server does not run, the report is of the
 * last shutdown, and 0 is returned. A line of the log has these numbers, too, where a
 * request was cut off, or where requests have ended and the server has stop_signals.
 * Returns 0, or -1, with the report filled in: ETIMEDOUT, EIO, or why the run could not
 * begin, as sks_serve_forever().
 * With nothing done: EDEADLK from a handler or a hook on a loop of the server, or in a
 * callback of its base; EINVAL for another negative number.
 */
static inline int sks_server_drain(struct sks_server *server, int deadline_ms,
    struct sks_drain_report *report);

/*
 * Returns 1 while new clients are welcome: the server serves, and no shutdown has begun,
 * not even with lame_duck_ms. Else 0. Any thread may call it.
 */
SKS_API int sks_server_is_ready(const struct sks_server *server);

/* Returns 1 while the server serves or drains, else 0. Any thread may call it. */
SKS_API int sks_server_is_running(const struct sks_server *server);

/*
 * Closes the addresses and frees the server. NULL is fine. A server that runs on
 * options.base is stopped at once: its connections are reset, and waits of its
 * requests fail with ECANCELED. It returns when all requests have ended. So it
 * waits for handlers on threads, without end for one that blocks outside of the
 * library; child processes are killed. It must not be called from a handler or a
 * hook of this server. In a child of fork(2) it only closes the child's copies of
 * descriptors: no request ends, and no hook is called.
 */
SKS_API void sks_server_free(struct sks_server *server);

/*
 * Puts the address of listener i (0, 1, ...) into buf as text, such as
 * "127.0.0.1:2525" or "unix:/path". 160 bytes are enough.
 * Returns buf, or NULL: ENOENT when there is no such listener.
 * Python: server_address.
 */
SKS_API char *sks_server_address(const struct sks_server *server, unsigned int i, char *buf,
    size_t size);

/*
 * Puts the address of listener i into buf as sks_server_address() does, with the
 * scheme in front, as sks_server_listen() and sks_connect() take it:
 * "tcp:127.0.0.1:2525", "udp:[::1]:53", "unix-dgram:/path". Returns as
 * sks_server_address(): NULL with ENOENT when there is no such listener.
 */
SKS_API char *sks_server_listen_address(const struct sks_server *server, unsigned int i, char *buf,
    size_t size);

/*
 * Returns the descriptor of listener i (0, 1, ...), which stays the server's, or
 * -1: ENOENT when there is no such listener. Python: fileno().
 */
SKS_API int sks_server_fileno(const struct sks_server *server, unsigned int i);

/*
 * Fills in *stats; a member that this library does not count is 0. In a handler
 * of SKS_PROCESSES only accepted, finished and the bytes are those of the whole
 * server; the others are as they were when its process was forked. In another
 * child of fork(2) all begin at 0. Any thread may call it.
 * Returns 0.
 */
static inline int sks_server_stats(const struct sks_server *server, struct sks_stats *stats);

/*
 * Writes what sks_server_stats() tells as OpenMetrics text, for Prometheus and its kin: each
 * number with its type and its help, "# EOF" as the last line, about 8 KiB. Behind it stand how
 * many requests have ended for which reason (sks_end_reason()), how long calls of handle took,
 * and how long loops took for those that had input at once, as histograms, how many requests run
 * or wait for their turn, and how many fibers and threads and how many bytes of buffers are kept
 * for the next ones. The clocks of the histograms start with the first call, which shows zeros
 * there; all other numbers begin with the server. No counter becomes smaller by a call.
 * write_text gets the text in pieces of whole lines, each of n bytes and at most 511, with arg, on
 * the calling thread; it returns 0 to go on, and may wait. Any thread may call it.
 * Returns 0, or else what write_text returned last, which is not called again then.
 */
SKS_API int sks_server_metrics(const struct sks_server *server,
    int (*write_text)(void *arg, const char *text, size_t n), void *arg);

/*
 * Serves one connection on fd, a connected stream socket such as inetd(8) hands
 * over, to its end, in the calling thread or fiber. Then it closes fd, also when
 * it fails. options may be NULL; of its members the times, max_line, max_output,
 * max_input, data, on_error and on_end count. The socket gets O_NONBLOCK. Where
 * standard error is the same socket, as inetd has it, no line of the log goes there
 * any more: see log.h. May wait.
 * Returns 0, or -1 and errno: as handle or setup left it; ENOTSOCK when fd is no
 * socket; EINVAL, E2BIG and ENOMEM as sks_server_new().
 */
static inline int sks_serve_fd(int fd, const struct sks_handler *handler,
    const struct sks_options *options);

/*
 * Runs a handler on n bytes of input as sks_handle_bytes() does, with options, and
 * with the address that its peer has: "192.0.2.1:4711" or "unix:/path", as
 * sks_address_parse() takes it; NULL: it has none. So a test gives a plugin the
 * configuration that it reads at req->data. options may be NULL; of its members
 * data, on_error, the times, max_line and max_datagram count. Without on_error an
 * error of the handler is not logged. May wait, where the handler does. Any thread or
 * fiber may call it.
 * Returns as sks_handle_bytes(), and -1: EINVAL also when peer is no address or an
 * option is out of its range; ENAMETOOLONG for a path over 107 bytes; E2BIG as
 * sks_server_new().
 */
static inline int sks_handle_bytes_with(const struct sks_handler *handler,
    const struct sks_options *options, const char *peer, const void *in, size_t n, char **out,
    size_t *out_len);

/*
 * Runs a handler on one datagram of n bytes: setup, handle once, finish. *out gets
 * the reply, with a NUL behind it, which the caller frees with free(3), and *out_len
 * its length; 0 bytes are none that a server would send. It is the rest as
 * sks_handle_bytes_with() says. A datagram of more than max_datagram bytes is cut
 * where options.keep_truncated says so.
 * Returns as sks_handle_bytes_with(), and -1: EMSGSIZE when the datagram is too long
 * and is not to be cut, which a server would drop.
 */
static inline int sks_handle_datagram(const struct sks_handler *handler,
    const struct sks_options *options, const char *peer, const void *in, size_t n, char **out,
    size_t *out_len);

/*
 * ---- what the inline functions call ----
 *
 * Each takes the size of each struct that its caller knows, so that a newer
 * library serves an older program and the other way round, by the rule of
 * openat2(2). The plain names above pass these sizes.
 */

SKS_API int sks_serve_abi(const char *address, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size);
SKS_API struct sks_server *sks_server_new_abi(const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size);
SKS_API struct sks_server *sks_tcp_server_new_abi(const char *address,
    const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size);
SKS_API struct sks_server *sks_udp_server_new_abi(const char *address,
    const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size);
SKS_API int sks_server_listen_with_abi(struct sks_server *server, const char *address,
    const struct sks_handler *handler, size_t handler_size, void *data);
SKS_API int sks_server_stats_abi(const struct sks_server *server, struct sks_stats *stats,
    size_t stats_size);
SKS_API int sks_handle_bytes_with_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer, const void *in,
    size_t n, char **out, size_t *out_len);
SKS_API int sks_handle_datagram_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer, const void *in,
    size_t n, char **out, size_t *out_len);
SKS_API int sks_server_drain_abi(struct sks_server *server, int deadline_ms,
    struct sks_drain_report *report, size_t report_size);
SKS_API int sks_serve_fd_abi(int fd, const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size);

static inline int
sks_serve(const char *address, const struct sks_handler *handler,
    const struct sks_options *options)
{
	return sks_serve_abi(address, handler, sizeof(*handler), options, sizeof(*options));
}

static inline struct sks_server *
sks_server_new(const struct sks_handler *handler, const struct sks_options *options)
{
	return sks_server_new_abi(handler, sizeof(*handler), options, sizeof(*options));
}

static inline struct sks_server *
sks_tcp_server_new(const char *address, const struct sks_handler *handler,
    const struct sks_options *options)
{
	return sks_tcp_server_new_abi(address, handler, sizeof(*handler), options,
	    sizeof(*options));
}

static inline struct sks_server *
sks_udp_server_new(const char *address, const struct sks_handler *handler,
    const struct sks_options *options)
{
	return sks_udp_server_new_abi(address, handler, sizeof(*handler), options,
	    sizeof(*options));
}

static inline int
sks_server_listen_with(struct sks_server *server, const char *address,
    const struct sks_handler *handler, void *data)
{
	return sks_server_listen_with_abi(server, address, handler, sizeof(*handler), data);
}

static inline int
sks_server_stats(const struct sks_server *server, struct sks_stats *stats)
{
	return sks_server_stats_abi(server, stats, sizeof(*stats));
}

static inline int
sks_handle_bytes_with(const struct sks_handler *handler, const struct sks_options *options,
    const char *peer, const void *in, size_t n, char **out, size_t *out_len)
{
	return sks_handle_bytes_with_abi(handler, sizeof(*handler), options, sizeof(*options), peer,
	    in, n, out, out_len);
}

static inline int
sks_handle_datagram(const struct sks_handler *handler, const struct sks_options *options,
    const char *peer, const void *in, size_t n, char **out, size_t *out_len)
{
	return sks_handle_datagram_abi(handler, sizeof(*handler), options, sizeof(*options), peer,
	    in, n, out, out_len);
}

static inline int
sks_server_drain(struct sks_server *server, int deadline_ms, struct sks_drain_report *report)
{
	return sks_server_drain_abi(server, deadline_ms, report, sizeof(*report));
}

static inline int
sks_serve_fd(int fd, const struct sks_handler *handler, const struct sks_options *options)
{
	return sks_serve_fd_abi(fd, handler, sizeof(*handler), options, sizeof(*options));
}

SKS_END_DECLS

#endif
