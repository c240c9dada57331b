/* SPDX-License-Identifier: MIT */
/*
 * socketserver/stream.h - rfile and wfile: a peer's bytes, and ours.
 *
 * Python: StreamRequestHandler.rfile and .wfile, socket.makefile().
 *
 * Waiting. A call that has to wait parks the fiber it runs on, or blocks the
 * thread, in poll(2) or in the read itself, when it runs on none. Before any
 * wait, what this task has written to its wfiles is sent (the flush rule), so
 * handlers need no flush calls. On fibers the loop may send it for a fiber that
 * waits for input, when the few that had input at the same time have had their
 * turn. A fiber also yields to others after 32 system calls, 256 KiB or 1024
 * buffered lines.
 *
 * Counting. Lengths count: NUL bytes are data like others.
 *
 * Errors. -1 (or NULL) and errno. Common to all calls that wait:
 *   ETIMEDOUT   the time limit passed; what was read so far stays buffered
 *   ECANCELED   the server stops and the drain time is over (until handle returns)
 *   EBUSY       another fiber or thread is reading (or writing) this stream
 *   ENOMEM      no memory for a buffer; nothing was consumed
 *   ECONNRESET, EPIPE, ... what recv(2) or send(2) said. The direction is
 *               broken: the error sticks, and each later call returns it. A reset
 *               that a write was told of is no end of input for a read
 * A handler may therefore check only its last call.
 *
 * Time. A read waits idle_ms for its first byte and then timeout_ms until its
 * line or block is complete, and a copy or readn gets timeout_ms anew for each
 * 64 KiB, as a write does. See struct sks_options for the defaults.
 */
#ifndef SOCKETSERVER_STREAM_H
#define SOCKETSERVER_STREAM_H

#include <socketserver/export.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

SKS_BEGIN_DECLS

struct sks_rfile; /* buffered input */
struct sks_wfile; /* buffered output */

/*
 * Reads a line. Returns its length, its newline included, and points *line at
 * it; a NUL stands after it. 0: the end of input. The last line may come
 * without a newline. The line lies in the stream's buffer: it may be changed
 * in place, and is valid until the next call on this rfile.
 * -1: EMSGSIZE when the line is longer than max_line (nothing is consumed:
 * sks_skipline() drops it, sks_read() takes it in pieces), or a common error.
 * Python: rfile.readline().
 */
SKS_API ssize_t sks_readline(struct sks_rfile *rfile, char **line) SKS_MUST_CHECK;

/*
 * The same line without its "\n" or "\r\n", as a string. NULL: the end of
 * input with errno 0, or an error as for sks_readline().
 */
SKS_API char *sks_gets(struct sks_rfile *rfile) SKS_MUST_CHECK;

/*
 * Drops input up to and including the next newline, however long that is.
 * Returns 1, 0 at the end of input when there was nothing to drop, or -1.
 */
SKS_API int sks_skipline(struct sks_rfile *rfile);

/*
 * Reads up to and including the byte `end`, otherwise as sks_readline(), with
 * `max` instead of max_line as the bound (0: max_line).
 */
SKS_API ssize_t sks_readuntil(struct sks_rfile *rfile, int end, size_t max, char **block)
    SKS_MUST_CHECK;

/* Reads what is there, 1 to n bytes; waits only when nothing is. 0: the end of input, or n is 0. */
SKS_API ssize_t sks_read(struct sks_rfile *rfile, void *buf, size_t n) SKS_MUST_CHECK;

/*
 * Reads exactly n bytes. Less: the input ended before. -1: an error; after
 * ETIMEDOUT or ECANCELED the bytes read so far are lost to the stream but
 * stand in buf, and sks_tell() tells how many those were.
 */
SKS_API ssize_t sks_readn(struct sks_rfile *rfile, void *buf, size_t n) SKS_MUST_CHECK;

/*
 * Shows at least n unread bytes without consuming them: waits until that many
 * are buffered and returns how many are (fewer than n only at the end of
 * input), with *bytes at the first, valid until the next call on this rfile.
 * n of 0 never waits. -1: EMSGSIZE when n is over the greater of max_line and
 * 64 KiB, or a common error.
 */
SKS_API ssize_t sks_peek(struct sks_rfile *rfile, size_t n, char **bytes) SKS_MUST_CHECK;

/*
 * For protocols of lines. 1: these n bytes, a line with or without its newline, are
 * the first line of an HTTP request ("POST / HTTP/1.1") or its "Host:" header, in any
 * case of letters; 0: they are not. Never waits; from any thread.
 * A web page can have its visitor's browser send such a request to any port of
 * localhost, with lines of the page's choice behind it. So a handler whose lines
 * change something ends the connection at the first line that is HTTP:
 *     if (sks_is_http(line, n)) {
 *     	errno = EPROTONOSUPPORT;
 *     	return -1;
 *     }
 * and the log names the peer.
 */
SKS_API int sks_is_http(const char *line, size_t n);

/*
 * Of a client's datagrams (socket.h): lets go of the one that rfile holds, read
 * or not, and the next read takes another. Never waits. 0, or -1: EINVAL when
 * these are no such datagrams, EBUSY.
 */
SKS_API int sks_next_datagram(struct sks_rfile *rfile);

/* 1 when the end of input was met and everything before it was read; never waits. */
SKS_API int sks_eof(const struct sks_rfile *rfile);

/*
 * What a handler returns when a read gave it nothing, right after that read:
 *
 *     while ((line = sks_gets(req->rfile)) != NULL)
 *     	...
 *     return sks_end(req->rfile);
 *
 * 0 (SKS_DONE) at the end of input; else -1, and errno stays as that read left
 * it. Never waits.
 */
SKS_API int sks_end(const struct sks_rfile *rfile);

/* Bytes that reads have taken from this stream so far; never waits. */
SKS_API uint64_t sks_tell(const struct sks_rfile *rfile);

/*
 * The write calls take all bytes or fail: 0, or -1, never a count. They copy
 * into the stream's buffer; only when that holds max_output bytes, or when n
 * is large (16 KiB or more), do they send and may wait. Python: wfile.write()
 * and socket.sendall(). On a datagram's wfile, EMSGSIZE when the reply would
 * be larger than a datagram can be; the reply keeps what it had.
 */
SKS_API int sks_write(struct sks_wfile *wfile, const void *buf, size_t n);
SKS_API int sks_puts(struct sks_wfile *wfile, const char *string);
SKS_API int sks_printf(struct sks_wfile *wfile, const char *format, ...) SKS_PRINTF(2, 3);

/*
 * Sends what is buffered; waits until the kernel has taken it. Seldom needed:
 * see the flush rule. Nothing happens on a datagram's wfile: its reply is
 * sent once, when the handler has finished.
 */
SKS_API int sks_flush(struct sks_wfile *wfile);

/*
 * Copies n bytes from rfile to wfile, or all up to the end of input when n is
 * negative. -1: ENODATA when the input ended before n bytes, or a common error
 * of either side.
 */
SKS_API int sks_copy(struct sks_rfile *rfile, struct sks_wfile *wfile, int64_t n);

/*
 * Passes on what comes next, as it comes: waits for input as sks_read() does,
 * and writes all that is there, without copying it where it can. How many
 * bytes, 0 at the end of input, or -1: a common error of either side. What a
 * proxy calls in a loop: unlike sks_copy() it has no time limit over several
 * pieces.
 */
SKS_API ssize_t sks_pass(struct sks_rfile *rfile, struct sks_wfile *wfile);

/*
 * The error that broke this direction, 0 while it works. Never waits.
 */
SKS_API int sks_rfile_error(const struct sks_rfile *rfile);
SKS_API int sks_wfile_error(const struct sks_wfile *wfile);

/*
 * Time limits of one stream in milliseconds, to the end of the connection.
 * SKS_DEFAULT is the server's default again, or what sks_connect() was given;
 * SKS_OFF is no limit; with 0 a read takes what is there, and a write that the
 * kernel does not take at once fails. timeout: until a line or block is complete,
 * or a write is taken. idle: until the first byte of a read. 0, or -1 and EINVAL
 * for another negative number.
 * Python: StreamRequestHandler.timeout, settimeout().
 */
SKS_API int sks_rfile_set_timeout(struct sks_rfile *rfile, int timeout_ms);
SKS_API int sks_rfile_set_idle(struct sks_rfile *rfile, int idle_ms);
SKS_API int sks_wfile_set_timeout(struct sks_wfile *wfile, int timeout_ms);

#if !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
/* One name for both directions. */
#define sks_error(stream)                              \
	_Generic((stream),                             \
	    struct sks_rfile *: sks_rfile_error,       \
	    const struct sks_rfile *: sks_rfile_error, \
	    struct sks_wfile *: sks_wfile_error,       \
	    const struct sks_wfile *: sks_wfile_error)(stream)
#define sks_set_timeout(stream, timeout_ms)            \
	_Generic((stream),                             \
	    struct sks_rfile *: sks_rfile_set_timeout, \
	    struct sks_wfile *: sks_wfile_set_timeout)((stream), (timeout_ms))
#endif

SKS_END_DECLS

#endif
