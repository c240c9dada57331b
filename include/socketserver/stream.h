/* SPDX-License-Identifier: MIT */
/*
 * socketserver/stream.h - rfile and wfile: a peer's bytes, and ours.
 *
 * Python: StreamRequestHandler.rfile and wfile, socket.makefile().
 *
 * The flush rule. What a task has written is sent before the task waits for
 * anything, and when its handler ends. So a handler needs no flush calls: the
 * peer never waits for bytes that a waiting handler has written.
 *
 * Counting. Lengths count. A NUL is a byte like any other.
 *
 * Time. A read waits idle_ms for its first byte, and then timeout_ms until its
 * line or block is complete. sks_readn(), sks_readexactly(), sks_read_block(),
 * sks_skipline() and sks_copy() have timeout_ms for each 64 KiB, and so has a
 * write.
 *
 * Tasks. The streams of a request are used by its task and by children of it, by
 * one reader and one writer at a time. A read or write may wait. On a fiber it
 * also lets other fibers run after 32 system calls, 256 KiB or 1,024 lines that
 * needed no wait.
 *
 * Errors. Common to reads and writes, beside those of all calls that may wait
 * (export.h):
 *   ETIMEDOUT  Of a read: what came in time stays to be read. Of a write, it
 *              breaks the stream
 *   EBUSY      another task is reading this rfile, or writing to this wfile
 *   ENOMEM     no memory for a buffer; no byte was taken or written
 *   ECONNRESET, EPIPE, ...   what recv(2) or send(2) said. It breaks the stream.
 *              So does a failed write break the rfile of the same connection for
 *              reads that would have to wait: there would be no answer to them
 * An error that breaks a stream stays: each later call fails with it. So a handler
 * may check its last call alone.
 */
#ifndef SOCKETSERVER_STREAM_H
#define SOCKETSERVER_STREAM_H

#include <socketserver/export.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

SKS_BEGIN_DECLS

struct sks_rfile; /* buffered input */
struct sks_wfile; /* buffered output */

/* ---- reading ---- */

/*
 * Reads a line and points *line at it; a NUL stands behind it. The line lies in
 * the stream's buffer: it may be changed in place, and is valid until the next
 * call on this rfile. The last line may come without a newline. May wait.
 * Returns the line's length, its newline included; 0 at the end of input; or -1:
 * EMSGSIZE when the line is longer than max_line (it is still there:
 * sks_skipline() drops it, sks_read() takes it in pieces), or a common error.
 * Python: rfile.readline().
 */
SKS_API ssize_t sks_readline(struct sks_rfile *rfile, char **line) SKS_MUST_CHECK;

/*
 * Reads a line as sks_readline(), without its "\n" or "\r\n". May wait.
 * Returns the line as a string, valid until the next call on this rfile, or NULL:
 * at the end of input with errno 0, else with an error of sks_readline().
 */
SKS_API char *sks_gets(struct sks_rfile *rfile) SKS_MUST_CHECK;

/*
 * Drops input up to and including the next newline, however far away that is.
 * May wait. Returns 1; 0 when there was nothing to drop before the end of input;
 * or -1: a common error.
 */
SKS_API int sks_skipline(struct sks_rfile *rfile);

/*
 * Reads up to and including the byte `end`, and at most max bytes (0: max_line);
 * otherwise as sks_readline(). May wait.
 */
SKS_API ssize_t sks_readuntil(struct sks_rfile *rfile, int end, size_t max, char **block)
    SKS_MUST_CHECK;

/*
 * Reads up to and including a string, such as "\r\n.\r\n", which is not empty, and at
 * most max bytes (0: max_line); otherwise as sks_readline(). May wait. Beside its
 * errors, EINVAL for an empty string.
 */
SKS_API ssize_t sks_readuntil_string(struct sks_rfile *rfile, const char *end, size_t max,
    char **block) SKS_MUST_CHECK;

/*
 * Reads what is there, at most n bytes; waits only while there is nothing.
 * Returns how many bytes came, 1 to n; 0 at the end of input, or when n is 0; or
 * -1: a common error. Python: rfile.read1().
 */
SKS_API ssize_t sks_read(struct sks_rfile *rfile, void *buf, size_t n) SKS_MUST_CHECK;

/*
 * Reads n bytes. May wait. Returns n, or fewer at the end of input, or -1: a
 * common error. The bytes that came before an error were taken from the stream:
 * they are in buf, and sks_tell() tells how many. Python: rfile.read(n).
 */
SKS_API ssize_t sks_readn(struct sks_rfile *rfile, void *buf, size_t n) SKS_MUST_CHECK;

/*
 * Reads n bytes as sks_readn(), and fewer are an error. May wait. Returns 1 when buf
 * has n bytes; 0 when the input has ended before the first of them; or -1: ENODATA
 * when it has ended after it, or a common error. So this is all of a loop over
 * records:
 *
 *     while ((rc = sks_readexactly(req->rfile, &record, sizeof(record))) == 1)
 *     	...
 *     return rc;
 *
 * Python: asyncio.StreamReader.readexactly().
 */
SKS_API int sks_readexactly(struct sks_rfile *rfile, void *buf, size_t n) SKS_MUST_CHECK;

/*
 * Shows input without taking it: waits until n bytes are there, and points *bytes
 * at them. They are valid until the next call on this rfile. With an n of 0 it
 * does not wait.
 * Returns how many bytes are there, which may be more than n, and are fewer only
 * at the end of input; or -1: EMSGSIZE when n is over max_line and over 64 KiB,
 * or a common error. Python: rfile.peek().
 */
SKS_API ssize_t sks_peek(struct sks_rfile *rfile, size_t n, char **bytes) SKS_MUST_CHECK;

/*
 * Passes over the rest of a datagram. It is for clients' datagrams (socket.h),
 * where the end of a datagram is an end of input: after this call the next read
 * takes the next datagram. Returns 0, or -1: EINVAL when the stream is no such
 * one, EBUSY.
 */
SKS_API int sks_next_datagram(struct sks_rfile *rfile);

/*
 * Returns 1 when a read has met the end of input and everything before it was
 * taken, else 0. Of a datagram, and of bytes in memory, the end is known with the last byte.
 */
SKS_API int sks_eof(const struct sks_rfile *rfile);

/*
 * Tells the end of input from an error, right after a read that gave nothing, for
 * a handler to return:
 *
 *     while ((line = sks_gets(req->rfile)) != NULL)
 *     	...
 *     return sks_end(req->rfile);
 *
 * Returns 0 (SKS_DONE) at the end of input; else -1, and errno stays as that read
 * has left it.
 */
SKS_API int sks_end(const struct sks_rfile *rfile);

/*
 * Returns how many bytes reads have taken from this stream so far, since the
 * connection came.
 */
SKS_API uint64_t sks_tell(const struct sks_rfile *rfile);

/*
 * Looks at n bytes, which are a line with or without its newline, for protocols of
 * lines. Returns 1 when they are the first line of an HTTP request ("POST /
 * HTTP/1.1") or its "Host:" header, in upper or lower case; else 0. Any thread.
 *
 * A web page can make its visitor's browser send such a request to any port of
 * localhost, with lines of the page's choice behind it. So a handler whose lines
 * change something ends the connection at a line of HTTP:
 *
 *     if (sks_is_http(line, n)) {
 *     	errno = EPROTONOSUPPORT;
 *     	return -1;
 *     }
 *
 * and the log names the peer.
 */
SKS_API int sks_is_http(const char *line, size_t n);

/* ---- writing ---- */

/*
 * Writes n bytes, all of them: Python's wfile.write() and socket.sendall(). They
 * are copied into the stream's buffer. Only when that would hold more than
 * max_output bytes, or when n is 16 KiB or more, are bytes sent at once; then the
 * call may wait.
 * Returns 0, or -1, and never a count: a common error. On the wfile of a datagram,
 * EMSGSIZE when the reply would be larger than a datagram can be; the reply
 * keeps what it had.
 */
SKS_API int sks_write(struct sks_wfile *wfile, const void *buf, size_t n);

/* Writes a string without its NUL, as sks_write(). */
SKS_API int sks_puts(struct sks_wfile *wfile, const char *string);

/* Writes text as printf(3) makes it; otherwise as sks_write(). */
SKS_API int sks_printf(struct sks_wfile *wfile, const char *format, ...) SKS_PRINTF(2, 3);

/*
 * Sends what was written, and waits until the kernel has taken it. It is seldom
 * needed: see the flush rule. On the wfile of a datagram it does nothing: the
 * reply is sent once, when the handler has ended.
 * Returns 0, or -1: a common error.
 */
SKS_API int sks_flush(struct sks_wfile *wfile);

/*
 * Writes count pieces one behind the other, otherwise as sks_write(). So nothing comes
 * between them, be it from a child or by sks_post(), and of a reply that is a datagram
 * either all of them are written or none. There may be any number of pieces, and they
 * are the caller's again when the call returns.
 * Returns 0, or -1: EINVAL when all pieces together are over SSIZE_MAX or count is
 * negative, or an error of sks_write(). Python: wfile.writelines().
 */
SKS_API int sks_writev(struct sks_wfile *wfile, const struct iovec *pieces, int count);

/*
 * Writes n bytes of a file from offset on, or with a negative n all up to its end,
 * otherwise as sks_write(). fd stays the caller's; its own position is neither used
 * nor changed, so that several tasks may send one open file at once. On a stream
 * socket the kernel sends the file by sendfile(2); less than 16 KiB, and what goes
 * through anything else, is copied. May wait: also for a disk, which a fiber's loop
 * does not wait for, as a helper thread reads what is not in memory.
 * Returns 0, or -1:
 *   EBADF    fd is not open for reading
 *   EISDIR   it is a directory
 *   ESPIPE   it is no regular file
 *   EINVAL   offset is negative
 *   ENODATA  the file has fewer bytes. When it has become shorter while it was sent
 *            that breaks the stream: its peer waits for what will never come
 *   EIO, ... what read(2) says of the file; it breaks the stream as well
 * or an error of sks_write(). Otherwise nothing was written when it fails by one of these.
 * Python: socket.sendfile().
 */
SKS_API int sks_sendfile(struct sks_wfile *wfile, int fd, int64_t offset, int64_t n);

/* ---- numbers, and blocks with their length in front ---- */

/*
 * How a number stands in a stream: how many bytes it has, from 1 to 8, with the most
 * significant one first (BE, the order of the network), or negative with the least
 * significant one first (LE). Numbers have no sign: cast one to int32_t and its kin.
 */
#define SKS_U8 1
#define SKS_U16BE 2
#define SKS_U16LE (-2)
#define SKS_U24BE 3
#define SKS_U24LE (-3)
#define SKS_U32BE 4
#define SKS_U32LE (-4)
#define SKS_U64BE 8
#define SKS_U64LE (-8)

/*
 * Reads a number of this format into *value. May wait.
 * Returns 1; 0 at the end of input; or -1, and nothing was taken: ENODATA when the
 * input has ended within the number; EINVAL when there is no such format; or a
 * common error. Python: struct.unpack() and int.from_bytes().
 */
SKS_API int sks_read_number(struct sks_rfile *rfile, int format, uint64_t *value)
    SKS_MUST_CHECK;

/*
 * Reads a block with its length in front, which is a number of this format and
 * does not count itself: points *block at the bytes behind it, and sets *n to how many
 * these are, 0 to max (a max of 0 is max_line). A NUL stands behind them. The block
 * lies in the stream's buffer, which grows as bytes come and not before: it may be
 * changed in place, and is valid until the next call on this rfile. May wait.
 * Returns 1; 0 at the end of input; or -1, and nothing was taken, not even the
 * length: EMSGSIZE when the block is longer than max; ENODATA when the input has
 * ended within it or within its length; EINVAL when there is no such format; or a
 * common error. So a loop over blocks ends with sks_end().
 */
SKS_API int sks_read_block(struct sks_rfile *rfile, int format, size_t max, char **block,
    size_t *n) SKS_MUST_CHECK;

/*
 * Writes a number in this format, as sks_write(). Beside its errors, and nothing was
 * written: ERANGE when the number needs more bytes; EINVAL when there is no such
 * format.
 */
SKS_API int sks_write_number(struct sks_wfile *wfile, int format, uint64_t value);

/*
 * Writes a block of n bytes with its length in front, as one sks_writev(). Beside
 * its errors, and nothing was written: ERANGE when the length needs more bytes than
 * the format has; EINVAL when there is no such format.
 */
SKS_API int sks_write_block(struct sks_wfile *wfile, int format, const void *buf, size_t n);

/*
 * Sends what was written, and ends our side: the peer reads an end of input, while its
 * own bytes can still be read. On a connection of TLS it is told in the way of TLS, which
 * shutdown(2) does not do. A later write fails with EPIPE. May wait.
 * Returns 0, or -1: ENOTSUP for datagrams and for streams in memory; or a common error.
 * Python: socket.shutdown(SHUT_WR).
 */
SKS_API int sks_wfile_shutdown(struct sks_wfile *wfile);

/* ---- from one to the other ---- */

/*
 * Copies n bytes, or with a negative n all up to the end of input. May wait, for
 * either side. Returns 0, or -1: ENODATA when the input has ended before n bytes,
 * or a common error of either side. Python: shutil.copyfileobj().
 */
SKS_API int sks_copy(struct sks_rfile *rfile, struct sks_wfile *wfile, int64_t n);

/*
 * Passes on what comes next: waits for input as sks_read() does, and writes all
 * that is there, where it can without copying it. It is what a proxy calls in a
 * loop; no time limit is over several calls.
 * Returns how many bytes were passed on, 0 at the end of input, or -1: a common
 * error of either side.
 */
SKS_API ssize_t sks_pass(struct sks_rfile *rfile, struct sks_wfile *wfile);

/* ---- errors and time limits ---- */

/*
 * Return the error that has broken this stream, 0 while it works. In C11 and in
 * C++ sks_error() takes either of them.
 */
SKS_API int sks_rfile_error(const struct sks_rfile *rfile);
SKS_API int sks_wfile_error(const struct sks_wfile *wfile);

/*
 * Set a time limit of this stream, to the end of its connection:
 *   sks_rfile_set_idle()     until the first byte of a read; also of how long the
 *                            connection may be parked
 *   sks_rfile_set_timeout()  from there until a line or block is complete
 *   sks_wfile_set_timeout()  until a write is taken
 * SKS_DEFAULT is what the server's options say, or of a client what sks_connect()
 * was given. With 0 a read takes what is there, and a write fails where the
 * kernel does not take it at once. In C11 and in C++ sks_set_timeout() takes
 * either stream. Python: StreamRequestHandler.timeout, settimeout().
 * Return 0, or -1: EINVAL for another negative number; the limit stays as it was.
 */
SKS_API int sks_rfile_set_idle(struct sks_rfile *rfile, int idle_ms);
SKS_API int sks_rfile_set_timeout(struct sks_rfile *rfile, int timeout_ms);
SKS_API int sks_wfile_set_timeout(struct sks_wfile *wfile, int timeout_ms);

/*
 * Sets how many bytes of input a write to the same peer may read while it waits for
 * room, to the end of this exchange: the next call of handle begins with
 * options.max_input again. Of a client it is 1 MiB, until this is called. 0: such a
 * write reads nothing. Does not wait. On the task that writes.
 */
SKS_API void sks_rfile_set_max_input(struct sks_rfile *rfile, size_t max);

#if !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
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

#ifdef __cplusplus
static inline int
sks_error(const struct sks_rfile *rfile)
{
	return sks_rfile_error(rfile);
}

static inline int
sks_error(const struct sks_wfile *wfile)
{
	return sks_wfile_error(wfile);
}

static inline int
sks_set_timeout(struct sks_rfile *rfile, int timeout_ms)
{
	return sks_rfile_set_timeout(rfile, timeout_ms);
}

static inline int
sks_set_timeout(struct sks_wfile *wfile, int timeout_ms)
{
	return sks_wfile_set_timeout(wfile, timeout_ms);
}
#endif

#endif
