/* SPDX-License-Identifier: MIT */
/*
 * socketserver/options.h - the options of a server: where its handlers run, what its clients may
 * take, how it stops, and its hooks.
 */
#ifndef SOCKETSERVER_OPTIONS_H
#define SOCKETSERVER_OPTIONS_H

#include <socketserver/export.h>
#include <socketserver/request.h>
#include <stddef.h>

SKS_BEGIN_DECLS

struct event_base; /* libevent's */
struct sks_tls;    /* tls.h */

/* options.workers */
#define SKS_AUTO (-1) /* one loop for each processor that this thread may use */

/* options.mode */
#define SKS_FIBERS 0    /* each request on a fiber of the loop */
#define SKS_SERIAL 1    /* the same, one request at a time: Python's plain server */
#define SKS_THREADS 2   /* each request on a thread: Python's ThreadingMixIn */
#define SKS_PROCESSES 3 /* each request in a forked process: Python's ForkingMixIn */

/* Why a connection is rejected, for options.on_reject */
#define SKS_REJECTED_PEER 1 /* its address has max_per_peer connections */
#define SKS_REJECTED_RATE 2 /* its address has had rate_per_peer new ones in this second */
#define SKS_REJECTED_FILES 3 /* no descriptor is free */

/*
 * The options of a server. A member that is 0 has the default that stands first
 * in its comment. Times are milliseconds, where SKS_OFF is no limit; sizes are
 * bytes. The server copies the options; what data, base and reject_text point to is
 * borrowed until sks_server_free().
 */
struct sks_options {
	int mode;            /* SKS_FIBERS. Where handlers run: SKS_FIBERS, SKS_SERIAL,
	                        SKS_THREADS or SKS_PROCESSES */
	int workers;         /* 1. Event loops, at most 1,024, or SKS_AUTO. The first one runs
	                        in the thread that serves, each other one in a thread of its
	                        own. SKS_PROCESSES has one */
	int backlog;         /* SOMAXCONN. Clients that wait to be accepted, as of listen(2).
	                        A number above net.core.somaxconn, which the kernel holds it
	                        to, is warned of. Python: request_queue_size */
	int max_connections; /* 10,000, or half the limit of open files where that is less.
	                        Open connections of all workers, parked ones too; more
	                        clients wait in the backlog */
	int max_running;     /* Fibers: no limit; threads: 256; processes: 64; SKS_SERIAL is
	                        always 1. Requests in their handler at once, shared out among
	                        the workers, at least 1 each; more requests wait */
	int idle_ms;         /* 60,000. How long a read waits for its first byte, and how long
	                        a connection may be parked */
	int timeout_ms;      /* 30,000. From the first byte until the line or block is
	                        complete; for each 64 KiB of a longer read, and for each that the
	                        peer takes of a write */
	int linger_ms;       /* 5,000. For all waits of finish together; and how long, when
	                        the handler has ended, the peer has to close its side */
	int drain_ms;        /* 10,000. How long running requests may go on after a shutdown;
	                        then their waits fail with ECANCELED */
	int tick_ms;         /* 1,000. How often on_tick is called; SKS_OFF: never */
	int reuse_port;      /* 0. Not 0: SO_REUSEPORT for TCP and UDP addresses, and each
	                        worker listens for itself: the kernel spreads what comes.
	                        Else the first worker accepts for all, and gives to the one
	                        with the fewest requests. Python: allow_reuse_port */
	int v6only;          /* 0. Not 0: ":port" and "[::]:port" take IPv6 alone */
	int unix_mode;       /* By umask. The permissions of a Unix socket's file, as 0660,
	                        exactly and before anybody can connect */
	int stop_signals;    /* 0. Not 0: while sks_serve_forever() runs, SIGINT and SIGTERM
	                        shut the server down, and close_listeners is 1; a second
	                        one cuts drain_ms, and linger_ms to 0.1 s. They are let through
	                        to this thread; one that is ignored stays so. One that would
	                        kill stays caught until sks_server_free(), so that it does not
	                        kill a program that is about to end by itself: it makes the
	                        next run return at once. In a child of fork(2) that does not
	                        serve they do what they did before */
	int keep_truncated;  /* 0. Not 0: a datagram that was cut is a request as well, see
	                        sks_is_truncated(). Else it is dropped */
	int block_warn_ms;   /* 100. A handler that keeps its loop for so long without waiting
	                        is named in the log, also while it still does; SKS_OFF: it is
	                        not. In each mode a hook that runs on the loop (verify,
	                        on_reject, on_end, on_tick, on_stop) is named, too; handlers on
	                        fibers and in serial mode. A thread of the server looks for it, which
	                        sleeps while nothing runs; a server of processes has none
	                        and says so afterwards */
	size_t max_line;     /* 8,192. The longest line, its newline included; 2 to 1 GiB */
	size_t max_output;   /* 65,536. Unsent bytes that a connection may hold; a write that
	                        finds more waits until the peer takes them */
	size_t max_datagram; /* 65,536. A longer datagram is cut. Python: max_packet_size */
	size_t stack_size;   /* 131,072. Of a fiber; 16 KiB to 1 GiB */
	struct event_base *base; /* NULL: the server has a base of its own. Else the libevent base
	                        of the program, on whose thread the server lives; the server
	                        is freed before it */
	void *data;          /* NULL. Handed to each request and hook */

	/*
	 * NULL: every peer is welcome. Called for each connection and datagram
	 * before anything else, on the thread of a loop; returns 0 to refuse it.
	 * It must not wait, and req has no streams. Python: verify_request().
	 */
	int (*verify)(struct sks_request *req);
	/*
	 * NULL: one line in the log, with handler, peer and error. Called when
	 * setup or handle has returned -1, with the errno that it left, on the
	 * request's task and before finish. It may write. A peer that resets or
	 * ends its connection before it has sent a byte, as a health check does, is
	 * no error, and has a line at level debug alone. Python: handle_error().
	 */
	void (*on_error)(struct sks_request *req, int error);
	/*
	 * NULL: nothing. Called every tick_ms, on the thread of the first loop. It
	 * must not wait. Python: service_actions().
	 */
	void (*on_tick)(struct sks_server *server, void *data);
	/*
	 * NULL: nothing. Called when a shutdown is complete, on the thread of the
	 * first loop; the server has no event on its base any more, so that its
	 * host may free the server once this has returned to the event loop.
	 */
	void (*on_stop)(struct sks_server *server, void *data);
	int close_listeners; /* With stop_signals 1, else SKS_OFF. 1: a shutdown is the server's
	                        end. Clients that wait in the backlog are served first, then
	                        the listeners are closed, so that newcomers are refused at once
	                        and not only when the last request has ended. A socket that was
	                        inherited (fd:, systemd:) is closed here as well, and goes on
	                        in other processes that have it; a datagram socket stays open
	                        until the last answer. SKS_OFF: the server will run again, and
	                        newcomers wait in the backlog until then */
	int grace_ms;        /* 1,000. How long, once a shutdown has begun, a parked connection that
	                        has never sent anything may still send its first request */
	size_t max_input;    /* 1,048,576. Bytes of input that a write reads, of a connection,
	                        while it waits for the peer to take output; the next read takes
	                        them. So a client may send all of a pipeline before it reads the
	                        first reply. Beyond it the write waits for the peer alone, and
	                        a line of the log says so */
	int lame_duck_ms;    /* 0. How long a shutdown is only announced: the server goes on as
	                        before, but sks_server_is_ready() says no, so that whoever hands
	                        out clients finds another one before this one refuses them */
	int deadline_ms;     /* SKS_OFF. For all waits of one exchange together, as by
	                        sks_deadline(), which a handler may call for another limit */
	int max_per_peer;    /* 0: any number. Open connections of one address, and
	                        more are rejected */
	int rate_per_peer;   /* 0: any number. New connections of one address in a second, and
	                        more are rejected. After a pause it may have that many at once */
	int peer_bits4;      /* 32. How many bits of an IPv4 address count as one address, */
	int peer_bits6;      /* 64, and of an IPv6 address. A Unix socket has no limit */
	/*
	 * NULL: nothing. What a connection that is rejected is sent before it is closed;
	 * no handler runs. It is sent at once or not at all, so it is short; of TLS, not at all.
	 * With a text, or on_reject, each worker holds a descriptor back: when no other is free a
	 * client is rejected by means of it; without, and with TLS, the client waits until one is.
	 * Borrowed.
	 */
	const char *reject_text;
	/*
	 * NULL: reject_text for each. Called for a connection that is rejected, on the thread
	 * of a loop; why is SKS_REJECTED_PEER, _RATE or _FILES. It must not wait, and req
	 * has no streams. Returns the text to send, which stays valid until the next call,
	 * or NULL for none.
	 */
	const char *(*on_reject)(struct sks_request *req, int why);
	struct sks_tls *tls; /* NULL. The certificates of the addresses that begin with "tls:", and
	                        of sks_start_tls(); see tls.h. The server retains it */
	const char *proxy_from; /* NULL: none. Which peers are proxies that are believed, for
	                        addresses of "proxy:": addresses and networks with commas between,
	                        as "10.0.0.0/8,::1"; unix stands for all peers of Unix sockets. It
	                        is needed as long as the server */
	size_t min_rate;     /* 0: any. Bytes a second, at most 1 GiB, that a peer must send while
	                        a read waits for the rest of a line or block, and must take while
	                        output waits for it. It has 5 s in hand, which the time of such
	                        waits uses up, and which each byte gives back by this rate: so a
	                        peer that stands still is cut after 5 s, and one at half of the
	                        rate after 10. A read for which the first byte has not come waits
	                        for idle_ms. What a peer takes is what it acknowledges, whatever
	                        the kernel has in its buffers. The call fails with ETIMEDOUT; what
	                        the peer has not taken is dropped, and it is not lingered for */
	size_t max_memory;   /* 0: any. Bytes of buffers, of all servers and clients of the process,
	                        idle ones included; at least 1 MiB for each worker. When they are
	                        reached this server accepts nobody, a write reads nothing while it
	                        waits, posts fail with ENOBUFS, and a read for which the beginning
	                        of a line or block has come waits before it reads on, for its time
	                        limit at most. All of that ends when an eighth is free again. A
	                        connection may still begin a line, so 16 KiB for each come on top.
	                        Not with SKS_PROCESSES, where each process has its own memory */
	/*
	 * NULL: nothing. Called once for each connection when all was sent and before it is
	 * closed, and for each datagram when it was answered; also for one that was refused or
	 * rejected, but not for one that there was no memory for. It runs on the thread of a loop
	 * of the host in every mode, so it sees what a child process has told of its request,
	 * but not what it wrote to req->state or data. It must not wait, and req has no
	 * streams; its fd is -1 where a child process had it. What info points to is valid
	 * during the call. In sks_serve_fd() it runs on the calling task.
	 */
	void (*on_end)(struct sks_request *req, const struct sks_info *info);
	int make_room_ms;    /* SKS_OFF. While a client waits for a full server (max_connections,
	                        max_running, or no descriptor is free), a connection that has
	                        kept the server waiting for so long is ended, the longest first:
	                        one that has had its answer and does not close; or else is
	                        parked; or else does not take what its handler, which is through,
	                        has left; or else the handler of which waits for its client to send
	                        the rest of a line or block, or to take output, 64 KiB within
	                        this time. Its waits fail with ECANCELED, and it is not lingered
	                        for. Where only a task is missing only the last are ended, and
	                        of these one at a time: the next one when there was room since, or
	                        after a second. A handler that does anything else is left alone */
	int reserved;        /* 0 */
};

SKS_END_DECLS

#endif
