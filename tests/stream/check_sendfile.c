/* SPDX-License-Identifier: MIT */
/*
 * check_sendfile.c - a part of a file as output: on each kind of stream, of each kind of
 * descriptor, with files that change meanwhile, and without waiting for a disk on a loop.
 */
#include "base/sys.h"
#include "base/util.h"
#include "harness.h"
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUCH ((size_t)1 << 20)

static char big[MUCH]; /* in which no byte's place can be mistaken */

static void
fill(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < MUCH; i++)
		big[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
}

static void
sendfile_setup(void)
{
	fill();
	no_leaks_setup();
}

FIXTURE(sendfile_setup, no_leaks_teardown);

/* An open file without a name, with the first n bytes of big. */
static int
file_of(size_t n)
{
	char path[] = "/tmp/sks-sendfile-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(fd, big, n), (ssize_t)n);
	return fd;
}

/* -- what comes out -- */

#define HEARD (MUCH + 100)

struct sending {
	const struct sks_transport_ops *ops; /* NULL: TCP */
	size_t size;                         /* of the file */
	int64_t offset, n;
	int rc, error, broken;
	struct rig_link l;
	int file;
	char *heard; /* all that has come, */
	size_t length;
};

static void *
hear_all(void *arg)
{
	struct sending *s = arg;
	ssize_t got;

	fcntl(s->l.peer, F_SETFL, 0);
	while ((got = recv(s->l.peer, s->heard + s->length, HEARD - s->length, 0)) > 0)
		s->length += (size_t)got;
	return NULL;
}

static void
send_all(void *arg)
{
	struct sending *s = arg;
	pthread_t thread;

	if (s->ops == NULL)
		rig_link_open_tcp(&s->l);
	else
		rig_link_open_on(&s->l, s->ops);
	ck_assert_int_eq(pthread_create(&thread, NULL, hear_all, s), 0);
	ck_assert_int_eq(sks_puts(&s->l.w, "head"), 0);
	s->rc = sks_sendfile(&s->l.w, s->file, s->offset, s->n);
	s->error = errno;
	s->broken = sks_error(&s->l.w);
	if (s->rc == 0) {
		ck_assert_int_eq(sks_puts(&s->l.w, "tail"), 0);
		ck_assert_int_eq(sks_flush(&s->l.w), 0);
	}
	shutdown(s->l.fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	rig_link_close(&s->l);
}

static void
transfer(int fiber, struct sending *s)
{
	s->file = file_of(s->size);
	s->heard = malloc(HEARD);
	ck_assert_ptr_nonnull(s->heard);
	rig_run_on(fiber, send_all, s);
	close(s->file);
}

/* What has come is the head, n bytes of big from offset on, and the tail. */
static void
expect_all(struct sending *s, size_t n)
{
	ck_assert_int_eq(s->rc, 0);
	ck_assert_uint_eq(s->length, n + 8);
	ck_assert_mem_eq(s->heard, "head", 4);
	ck_assert_mem_eq(s->heard + 4, big + s->offset, n);
	ck_assert_mem_eq(s->heard + 4 + n, "tail", 4);
	free(s->heard);
}

static ssize_t
plain_write(struct sks_transport *tr, const struct iovec *iov, int n)
{
	return sks_plain_transport.write(tr, iov, n);
}

static void
end_nothing(struct sks_transport *tr)
{
	(void)tr;
}

/* A transport as that of TLS: it takes bytes from memory. */
static const struct sks_transport_ops from_memory = {
	.write = plain_write, .shutdown = end_nothing };

static const struct {
	const char *name;
	const char *faults;
	const struct sks_transport_ops *ops;
	int is_copied;
} ways[] = {
	{ "TCP", NULL, NULL, 0 },
	{ "Unix", NULL, &sks_plain_transport, 0 },
	{ "in pieces", "sendfile:short=50000,sendfile:EAGAIN:%3,sendfile:EINTR:%4", NULL, 0 },
	{ "cold", "preadv2:EAGAIN:1+", NULL, 0 },
	{ "cold at its end", "preadv2:EAGAIN:%2", NULL, 0 },
	{ "not known", "preadv2:EOPNOTSUPP:1+", NULL, 0 },
	{ "not by sendfile", "sendfile:EINVAL:1+", NULL, 1 },
	{ "from memory", NULL, &from_memory, 1 },
	{ "from memory, cold and in pieces", "preadv2:EAGAIN:1+,send:short=1000,send:EAGAIN:%3",
	    &from_memory, 1 },
};

static void
send_in_a_way(int fiber, int way)
{
	struct sending s = { .ops = ways[way].ops, .size = MUCH, .offset = 4711, .n = 900001 };

	sks_fault_clear();
	if (ways[way].faults != NULL)
		ck_assert_int_eq(sks_fault(ways[way].faults), 0);
	transfer(fiber, &s);
	expect_all(&s, 900001);
	ck_assert_int_eq(sks_fault_calls("send") > 20, ways[way].is_copied);
	ck_assert_int_eq(sks_fault_calls("preadv2") > 0, fiber);
	if (fiber && strncmp(ways[way].name, "cold", 4) == 0)
		ck_assert_uint_gt(sks_fault_calls("pread"), 4);
}

TEST(a_fiber_sends_all_of_a_part, EACH_OF(ways))
{
	send_in_a_way(1, _i);
}

TEST(a_thread_sends_all_of_a_part_and_looks_for_no_page, EACH_OF(ways))
{
	send_in_a_way(0, _i);
}

TEST(the_rest_of_a_file_is_as_long_as_it_is, ON_BOTH)
{
	struct sending all = { .size = MUCH, .n = -1 };
	struct sending some = { .size = MUCH, .offset = MUCH - 20000, .n = -1 };
	struct sending none = { .size = MUCH, .offset = MUCH, .n = -1 };

	transfer(_i, &all);
	expect_all(&all, MUCH);
	transfer(_i, &some);
	expect_all(&some, 20000);
	transfer(_i, &none);
	expect_all(&none, 0);
}

/* What tests of a fiber count on: without RWF_NOWAIT (musl before 1.2.5) all files are cold. */
#define WITH_NOWAIT .left_out = RWF_NOWAIT == 0 ? "the C library has no RWF_NOWAIT" : NULL

TEST(a_short_part_goes_with_what_is_around_it, ON_BOTH, WITH_NOWAIT)
{
	struct sending s = { .size = MUCH, .offset = 100, .n = 1000 };

	sks_fault_clear();
	transfer(_i, &s);
	expect_all(&s, 1000);
	ck_assert_uint_eq(sks_fault_calls("send"), 1);
	ck_assert_uint_eq(sks_fault_calls("sendfile"), 0);
}

/* -- while a disk is waited for -- */

struct pair {
	struct rig_link l;
	int file, sent;
	int64_t n;
};

static void
send_from_pair(void *arg)
{
	struct pair *pair = arg;

	ck_assert_int_eq(sks_puts(&pair->l.w, "first"), 0);
	pair->sent = sks_sendfile(&pair->l.w, pair->file, 0, pair->n);
	if (pair->sent == -1)
		pair->sent = -errno;
}

static void
goes_on_meanwhile(void *arg)
{
	struct pair *pair = arg;
	char got[10];

	ck_assert_int_eq(pair->sent, 1); /* the other one still waits, */
	ck_assert_uint_eq(sks_fault_calls("sendfile"), 0);
	ck_assert_uint_eq(rig_hear(&pair->l, got, sizeof(got)), 5); /* and has flushed before */
}

static void
cuts_meanwhile(void *arg)
{
	struct pair *pair = arg;

	ck_assert_int_eq(pair->sent, 1);
	ck_assert_int_eq(ftruncate(pair->file, 10), 0);
}

/* One fiber sends a part of a file that is not in memory, and meanwhile another one runs. */
static int
send_a_cold_file(int64_t n, void (*meanwhile)(void *))
{
	struct pair pair = { .file = file_of(MUCH), .sent = 1, .n = n };
	struct rig_loop rig;

	sks_fault_clear();
	ck_assert_int_eq(sks_fault("preadv2:EAGAIN:1+"), 0);
	rig_loop_open(&rig);
	rig_link_open(&pair.l);
	rig_go(&rig, send_from_pair, &pair);
	rig_go(&rig, meanwhile, &pair);
	rig_run(&rig);
	ck_assert_int_eq(sks_error(&pair.l.w), 0);
	rig_link_close(&pair.l);
	rig_loop_close(&rig);
	close(pair.file);
	return pair.sent;
}

TEST(others_go_on_while_a_disk_is_waited_for)
{
	ck_assert_int_eq(send_a_cold_file(20000, goes_on_meanwhile), 0);
	ck_assert_int_eq(send_a_cold_file(1000, goes_on_meanwhile), 0);
}

TEST(a_short_part_of_a_file_that_shrinks_is_not_written)
{
	ck_assert_int_eq(send_a_cold_file(1000, cuts_meanwhile), -ENODATA);
}

/* -- what goes wrong -- */

enum { NOTHING, WRITE_ONLY, FOLDER, PIPE, SOCKET, DEVICE, REGULAR };

static const struct {
	const char *name;
	int kind;
	int64_t offset, n;
	int error;
} wrong[] = {
	{ "no descriptor", NOTHING, 0, 1, EBADF },
	{ "not open for reading", WRITE_ONLY, 0, 0, EBADF },
	{ "a folder", FOLDER, 0, -1, EISDIR },
	{ "a pipe", PIPE, 0, 1, ESPIPE },
	{ "a socket", SOCKET, 0, 1, ESPIPE },
	{ "a device", DEVICE, 0, -1, ESPIPE },
	{ "a negative offset", REGULAR, -1, 1, EINVAL },
	{ "an offset behind the end", REGULAR, 101, -1, ENODATA },
	{ "and no bytes", REGULAR, 101, 0, ENODATA },
	{ "a byte too many", REGULAR, 0, 101, ENODATA },
	{ "more than can be", REGULAR, 1, INT64_MAX, ENODATA },
};

static int
open_kind(int kind, int *other)
{
	int fds[2] = { -1, -1 };

	switch (kind) {
	case WRITE_ONLY:
		return open("/dev/null", O_WRONLY);
	case FOLDER:
		return open("/tmp", O_RDONLY);
	case PIPE:
		ck_assert_int_eq(pipe(fds), 0);
		break;
	case SOCKET:
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		break;
	case DEVICE:
		return open("/dev/zero", O_RDONLY);
	case REGULAR:
		return file_of(100);
	}
	*other = fds[1];
	return fds[0];
}

TEST(what_cannot_be_sent_is_refused_and_breaks_nothing, EACH_OF(wrong))
{
	struct rig_link l;
	char got[10];
	int other = -1, fd = open_kind(wrong[_i].kind, &other);

	rig_link_open(&l);
	ck_assert_int_eq(sks_puts(&l.w, "a"), 0);
	ck_assert_int_eq(sks_sendfile(&l.w, fd, wrong[_i].offset, wrong[_i].n), -1);
	ck_assert_int_eq(errno, wrong[_i].error);
	ck_assert_int_eq(sks_error(&l.w), 0);
	ck_assert_int_eq(sks_puts(&l.w, "b"), 0);
	ck_assert_int_eq(sks_flush(&l.w), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 2);
	rig_link_close(&l);
	if (fd != -1)
		close(fd);
	if (other != -1)
		close(other);
}

static int shrinking;

static ssize_t
shrink_and_sendfile(struct sks_transport *tr, int file, off_t *at, size_t n)
{
	ck_assert_int_eq(ftruncate(shrinking, 300000), 0);
	return sks_plain_transport.sendfile(tr, file, at, n);
}

static ssize_t
shrink_and_write(struct sks_transport *tr, const struct iovec *iov, int n)
{
	ck_assert_int_eq(ftruncate(shrinking, 300000), 0);
	return sks_plain_transport.write(tr, iov, n);
}

static const struct sks_transport_ops shrinks[] = {
	{ .write = plain_write, .sendfile = shrink_and_sendfile, .shutdown = end_nothing },
	{ .write = shrink_and_write, .shutdown = end_nothing },
};

static void
send_what_shrinks(void *arg)
{
	struct sending *s = arg;

	shrinking = s->file;
	send_all(s);
}

TEST(a_file_that_shrinks_breaks_the_stream, TIMES(4))
{
	struct sending s = { .ops = &shrinks[_i / 2], .size = MUCH, .n = MUCH };

	s.file = file_of(MUCH);
	s.heard = malloc(HEARD);
	rig_run_on(_i % 2, send_what_shrinks, &s);
	close(s.file);
	ck_assert_int_eq(s.rc, -1);
	ck_assert_int_eq(s.error, ENODATA);
	ck_assert_int_eq(s.broken, ENODATA);
	ck_assert_uint_eq(s.length, 4 + 300000);
	ck_assert_mem_eq(s.heard + 4, big, 300000);
	free(s.heard);
}

TEST(a_file_that_cannot_be_read_breaks_the_stream, ON_BOTH, WITH_NOWAIT)
{
	struct sending s = { .ops = &from_memory, .size = MUCH, .n = MUCH };

	sks_fault_clear();
	ck_assert_int_eq(sks_fault("pread:EIO:5"), 0);
	transfer(_i, &s);
	ck_assert_int_eq(s.rc, -1);
	ck_assert_int_eq(s.error, EIO);
	ck_assert_int_eq(s.broken, EIO);
	free(s.heard);
}

static void
send_to_nobody(void *arg)
{
	struct rig_link l;
	int file = file_of(MUCH);

	(void)arg;
	rig_link_open(&l);
	close(l.peer);
	l.peer = -1;
	ck_assert_int_eq(sks_sendfile(&l.w, file, 0, MUCH), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_error(&l.w), EPIPE);
	rig_link_close(&l);
	close(file);
}

TEST(a_peer_that_is_gone_is_no_signal, ON_BOTH)
{
	sigset_t pending;

	signal(SIGPIPE, SIG_DFL);
	rig_run_on(_i, send_to_nobody, NULL);
	sigpending(&pending);
	ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
}

static void
send_to_who_never_reads(void *arg)
{
	struct rig_link l;
	int file = file_of(MUCH);

	(void)arg;
	rig_link_open(&l);
	ck_assert_int_eq(sks_wfile_set_timeout(&l.w, 0), 0);
	ck_assert_int_eq(sks_sendfile(&l.w, file, 0, MUCH), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_error(&l.w), ETIMEDOUT);
	rig_link_close(&l);
	close(file);
}

TEST(a_peer_that_never_reads_ends_it, ON_BOTH)
{
	rig_run_on(_i, send_to_who_never_reads, NULL);
}

TEST_ON_BOTH(output_that_stays_in_memory_has_all_of_it_or_nothing)
{
	static const struct sks_times times = { .write_ms = SKS_OFF };
	struct sks_wfile w;
	int file = file_of(70000);

	sks_wfile_init(&w, NULL, &times, &times, 65000);
	ck_assert_int_eq(sks_fault("preadv2:EAGAIN:1+"), 0);
	ck_assert_int_eq(sks_sendfile(&w, file, 10, 64990), 0);
	ck_assert_int_eq(sks_sendfile(&w, file, 0, 20), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_uint_eq(sks_buf_length(&w.buf), 64990);
	ck_assert_mem_eq(w.buf.base + w.buf.start, big + 10, 64990);
	sks_wfile_close(&w);
	close(file);
}
