/* SPDX-License-Identifier: MIT */
/*
 * socketserver/server.h - servers: a handler, options, and any number of
 * listeners.
 *
 * Python: socketserver.TCPServer, UDPServer, UnixStreamServer,
 * UnixDatagramServer; sks_serve() is the whole of a main program.
 *
 * Addresses: "host:port", ":port" (IPv4 and IPv6), "[::1]:port", with "tcp:"
 * (the default) or "udp:" before it; "unix:/path", "unix-dgram:/path", with @
 * for the first byte of an abstract name; "fd:N", a bound socket that was
 * inherited. A name binds every address it has, on one port. Port 0 is any
 * free port: sks_server_address() tells which.
 *
 * Threads. All calls on a server are made on the thread that made it, except
 * sks_server_shutdown(), sks_server_stats() and sks_post().
 *
 * The library never changes what belongs to the process: signal dispositions
 * (except for stop_signals, while sks_serve_forever() runs), the working
 * directory, umask, locale. It never raises SIGPIPE.
 */
#ifndef SOCKETSERVER_SERVER_H
#define SOCKETSERVER_SERVER_H

#include <socketserver/export.h>
#include <socketserver/request.h>
#include <stddef.h>
#include <stdint.h>

SKS_BEGIN_DECLS

struct event_base;

/* options.workers */
#define SKS_AUTO (-1) /* one for each processor this thread may use */

/* options.mode */
#define SKS_FIBERS 0    /* each request on a fiber of the loop */
#define SKS_SERIAL 1    /* the same, one request at a time: Python's plain server */
#define SKS_THREADS 2   /* each request on a thread: ThreadingMixIn */
#define SKS_PROCESSES 3 /* each connection in a forked process: ForkingMixIn */

/*
 * Options. A zero is always the default given here; times are milliseconds
 * and SKS_OFF turns one off; sizes are bytes. Copied, except data and base,
 * which are borrowed until sks_server_free().
 */
struct sks_options {
	int mode;            /* SKS_FIBERS */
	int workers;         /* loops, each on a thread; 0 or 1: one, in the caller's thread */
	int backlog;         /* of listen(2); SOMAXCONN. Python: request_queue_size */
	int max_connections; /* open ones, parked and lingering too; beyond it accepting
	                        pauses. min(10,000, half the limit of open files). Of all
	                        workers together */
	int max_running;     /* requests in their handler at once; for fibers no limit, for
	                        threads 256, for processes 64; SKS_SERIAL: always 1. Shared
	                        out among workers, at least one each */
	int idle_ms;         /* 60,000: wait for the first byte of a read, parked or not */
	int timeout_ms;      /* 30,000: from there until the line or block is complete; for
	                        each 64 KiB of a write or a longer read */
	int linger_ms;       /* 5,000: for finish, and for the peer to close after us */
	int drain_ms;        /* 10,000: for running requests after a shutdown */
	int tick_ms;         /* 1,000: how often on_tick is called */
	int reuse_port;      /* not 0: SO_REUSEPORT. Python: allow_reuse_port. With several
	                        workers each has a listening socket of its own for a TCP
	                        or UDP address, and the kernel spreads what comes; else, and
	                        for unix: and fd:, the first accepts for all, and hands to
	                        the one with the fewest */
	int v6only;          /* not 0: ":port" and [::] take IPv6 alone */
	int unix_mode;       /* permissions of a Unix socket's file, exactly, as 0660; 0: by umask */
	int stop_signals;    /* not 0: SIGINT and SIGTERM shut the server down while it serves
	                        forever; a second one ends the drain at once */
	int keep_truncated;  /* not 0: cut datagrams are requests too (sks_is_truncated) */
	int block_warn_ms;   /* 100: a handler that keeps its loop for so long without waiting is
	                        named in the log, also while it still does: the server has a
	                        thread that looks, asleep while nothing runs, with the host's
	                        signals blocked (fibers and serial mode) */
	size_t max_line;     /* 8,192: the longest line, newline included; at most 1 GiB */
	size_t max_output;   /* 65,536: unsent bytes a connection may hold */
	size_t max_datagram; /* 65,536: a longer one is cut. Python: max_packet_size */
	size_t stack_size;   /* 131,072: of a fiber, unless the handler says otherwise */
	struct event_base *base; /* NULL: its own. Else the host's libevent base, on whose
	                        thread the server lives; free the server before it */
	void *data;          /* handed to every request and hook */

	/*
	 * verify: on the loop's thread, for each connection or datagram before
	 * anything else; 0 refuses it. It must not wait; rfile and wfile are NULL.
	 * Python: verify_request.
	 */
	int (*verify)(struct sks_request *req);
	/*
	 * on_error: setup or handle returned -1; error is its errno. On the
	 * request's task, before finish, and it may still write. Without it one
	 * line is logged: handler, peer, strerror(3). A peer that resets its
	 * connection before it has sent a byte, as a health check does, is no
	 * error: there is no line then, and no call. Python: handle_error.
	 */
	void (*on_error)(struct sks_request *req, int error);
	/* on_tick: every tick_ms on the loop's thread. Must not wait. Python: service_actions. */
	void (*on_tick)(struct sks_server *server, void *data);
	/* on_stop: a shutdown is complete and the server holds no event of its base any more. */
	void (*on_stop)(struct sks_server *server, void *data);
};

/* What sks_server_stats() tells; counts since the server was made. */
struct sks_stats {
	uint64_t accepted;   /* connections accepted */
	uint64_t active;     /* now in a handler, or waiting for their turn; processes: or resting */
	uint64_t parked;     /* now between exchanges, or silent so far */
	uint64_t lingering;  /* now being flushed and closed */
	uint64_t finished;   /* requests that ended, datagrams included; those in processes are
	                        found to have when the next one comes, or within a tenth of a second */
	uint64_t failed;     /* of those, by an error of setup or handle */
	uint64_t refused;    /* by verify, or for lack of memory, or gone before they were served */
	uint64_t datagrams;  /* datagrams received */
	uint64_t truncated;  /* datagrams that were cut */
	uint64_t dropped;    /* datagrams not served: refused, cut, or lost by the kernel */
	uint64_t blocked;    /* times a handler kept its loop for block_warn_ms */
	uint64_t bytes_in;   /* payload bytes read from connections and datagrams */
	uint64_t bytes_out;  /* payload bytes written */
};

/*
 * The calls below named *_abi take the size of each struct the caller knows,
 * so that a newer library serves an older program and the other way round
 * (the rule of openat2(2)): E2BIG when the caller uses a member that this
 * library does not know. The plain names, further down, pass the sizes.
 */

/* See sks_server_new(). */
SKS_API struct sks_server *sks_server_new_abi(const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size);
/* See sks_tcp_server_new(). */
SKS_API struct sks_server *sks_tcp_server_new_abi(const char *address,
    const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size);
/* See sks_udp_server_new(). */
SKS_API struct sks_server *sks_udp_server_new_abi(const char *address,
    const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size);
/* See sks_serve(). */
SKS_API int sks_serve_abi(const char *address, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size);
/* See sks_server_stats(). */
SKS_API int sks_server_stats_abi(const struct sks_server *server, struct sks_stats *stats,
    size_t stats_size);

/*
 * Adds a listener: binds and listens, but accepts nothing before the server
 * runs. 0, or -1, errno, and one line in the log that names the step and the
 * object ("bind [::]:80: Permission denied"): EINVAL for an address that is
 * not one, ENOENT for a name that is not found, EADDRINUSE, EACCES, ...; of a
 * name with several addresses all are bound or none. May block while a name
 * is looked up. A stale Unix socket file is replaced when nobody answers on
 * it, and removed at close when it is still ours.
 */
SKS_API int sks_server_listen(struct sks_server *server, const char *address);

/*
 * Serves until a shutdown. 0, or -1: ETIMEDOUT when requests did not end
 * within drain_ms and linger_ms (child processes are killed then; the others
 * run on, and sks_server_free() waits for threads),
 * EINVAL without a listener, EALREADY while it runs, ENOMEM, or what made the
 * event loop or every listener fail. May be called again afterwards: the
 * listeners stay open.
 */
SKS_API int sks_serve_forever(struct sks_server *server);

/*
 * Serves one connection or datagram, to its end. 0, or -1: ETIMEDOUT when
 * none came within timeout_ms (SKS_OFF: no limit; 0: none is there), EINVAL for
 * another negative number, ECANCELED when a shutdown came first, and as
 * sks_serve_forever().
 */
SKS_API int sks_handle_request(struct sks_server *server, int timeout_ms);

/*
 * Starts serving on options.base, which the host dispatches; returns at once.
 * 0, or -1: EINVAL without options.base or a listener, EALREADY, ENOMEM.
 */
SKS_API int sks_server_start(struct sks_server *server);

/*
 * Begins to stop: no more accepting, parked connections are closed, running
 * requests get drain_ms. Returns at once and may be called from anywhere: a
 * handler, another thread, a signal handler (errno is kept). Before the server
 * runs, its next run returns at once. Calling it again changes nothing.
 */
SKS_API void sks_server_shutdown(struct sks_server *server);

/* 1 while the server serves or drains. */
SKS_API int sks_server_is_running(const struct sks_server *server);

/*
 * Closes the listeners and frees everything. NULL is fine. When the server
 * runs on options.base it is stopped at once: connections are reset, requests
 * that wait get ECANCELED and end before this returns. So it waits for handlers
 * on threads, without end for one that blocks outside of the library, which
 * nothing can end but what it waits for; child processes are killed. Must not be
 * called from a handler or hook of this server.
 */
SKS_API void sks_server_free(struct sks_server *server);

/*
 * The address of listener i (0, 1, ...) as text, such as "127.0.0.1:2525" or
 * "unix:/path", cut to size - 1 bytes. Returns buf; NULL and ENOENT when there
 * is no such listener. Python: server_address.
 */
SKS_API char *sks_server_address(const struct sks_server *server, unsigned int i, char *buf,
    size_t size);

/*
 * As sks_server_address(), but with the scheme, as sks_server_listen() and sks_connect()
 * take it: "tcp:127.0.0.1:2525", "udp:[::1]:53", "unix-dgram:/path".
 */
SKS_API char *sks_server_listen_address(const struct sks_server *server, unsigned int i, char *buf,
    size_t size);

/* The descriptor of listener i; -1 and ENOENT when there is none. Python: fileno(). */
SKS_API int sks_server_fileno(const struct sks_server *server, unsigned int i);

/*
 * Where log lines go: write_line gets each without a newline, on any thread that
 * the library uses, and on several at once; NULL is standard error again. For the
 * whole process; call it before servers run.
 */
SKS_API void sks_set_log(void (*write_line)(const char *line, void *arg), void *arg);

#ifndef __cplusplus
/*
 * A server with this handler; options may be NULL. NULL: EINVAL when there is
 * no handle or an option is out of its range, EMFILE or ENFILE, ENOMEM,
 * ENOTSUP for a mode this build does not have; one line in the log.
 */
static inline struct sks_server *
sks_server_new(const struct sks_handler *handler, const struct sks_options *options)
{
	return sks_server_new_abi(handler, sizeof(*handler), options, sizeof(*options));
}

/* sks_server_new() and sks_server_listen() in one: Python's TCPServer and UDPServer. */
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

/*
 * A whole server program: new, listen, serve forever, free; SIGINT and SIGTERM
 * stop it. Returns 0, or an exit code for main() otherwise, 1, after one line
 * in the log.
 */
static inline int
sks_serve(const char *address, const struct sks_handler *handler,
    const struct sks_options *options)
{
	return sks_serve_abi(address, handler, sizeof(*handler), options, sizeof(*options));
}

/*
 * Fills *stats, from any thread; what this library does not count is 0. In a
 * child process all but accepted, finished and the bytes is as it was at its
 * fork. Returns 0.
 */
static inline int
sks_server_stats(const struct sks_server *server, struct sks_stats *stats)
{
	return sks_server_stats_abi(server, stats, sizeof(*stats));
}

/* See sks_serve_fd_abi() in request.h. */
static inline int
sks_serve_fd(int fd, const struct sks_handler *handler, const struct sks_options *options)
{
	return sks_serve_fd_abi(fd, handler, sizeof(*handler), options, sizeof(*options));
}
#endif

SKS_END_DECLS

#endif
