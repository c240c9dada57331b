/* SPDX-License-Identifier: MIT */
/*
 * check_fairness.c - a fiber that always has more to do lets others have their turn. The busy fiber
 * goes on until the other one has been served, so where that never happens the test does not end,
 * and fails by Check's time limit.
 */
#include "acceptance.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

static struct rig_link busy_link;
static struct rig_link other_link;
static int stop_busy;

static ssize_t
endless_input(struct sks_transport *tr, void *buf, size_t n)
{
	(void)tr;
	if (stop_busy)
		return 0;
	memset(buf, '\n', n);
	return (ssize_t)n;
}

static ssize_t
endless_line(struct sks_transport *tr, void *buf, size_t n)
{
	(void)tr;
	if (stop_busy)
		return 0;
	memset(buf, 'x', n);
	return (ssize_t)n;
}

static ssize_t
endless_output(struct sks_transport *tr, const struct iovec *iov, int n)
{
	size_t total = 0;

	(void)tr;
	if (stop_busy) {
		errno = EPIPE;
		return -1;
	}
	while (n-- > 0)
		total += (iov++)->iov_len;
	return (ssize_t)sks_min(total, 65536);
}

static void
no_shutdown(struct sks_transport *tr)
{
	(void)tr;
}

static const struct sks_transport_ops lines_for_ever = { endless_input, endless_output, no_shutdown };
static const struct sks_transport_ops line_for_ever = { endless_line, endless_output, no_shutdown };

enum {
	BUSY_LINES, BUSY_SKIP, BUSY_ENDLESS_SKIP, BUSY_READ, BUSY_LARGE_READ, BUSY_READN, BUSY_COPY,
	BUSY_ECHO, BUSY_WRITE, BUSY_LARGE_WRITE, BUSY_HUGE_WRITE, BUSY_PRINTF, BUSY_FLUSH, BUSIES
};

static char *huge;
static size_t huge_size;

static void
be_busy(void *arg)
{
	struct sks_rfile *r = &busy_link.r;
	struct sks_wfile *w = &busy_link.w;
	char *line;
	ssize_t n = 1;

	while (n > 0) {
		switch (*(int *)arg) {
		case BUSY_LINES:
			n = sks_readline(r, &line);
			break;
		case BUSY_SKIP:
		case BUSY_ENDLESS_SKIP:
			n = sks_skipline(r);
			break;
		case BUSY_READ:
			n = sks_read(r, huge, 100);
			break;
		case BUSY_LARGE_READ:
			n = sks_read(r, huge, 65536);
			break;
		case BUSY_READN:
			n = sks_readn(r, huge, huge_size);
			break;
		case BUSY_COPY:
			n = sks_copy(r, w, -1);
			break;
		case BUSY_ECHO:
			n = sks_readline(r, &line);
			if (n > 0 && sks_write(w, line, (size_t)n) == -1)
				n = -1;
			break;
		case BUSY_WRITE:
			n = sks_write(w, huge, 1000) == 0;
			break;
		case BUSY_LARGE_WRITE:
			n = sks_write(w, huge, 20000) == 0;
			break;
		case BUSY_HUGE_WRITE:
			n = sks_write(w, huge, huge_size) == 0;
			break;
		case BUSY_PRINTF:
			n = sks_printf(w, "%d%s", 1, "text") == 0;
			break;
		case BUSY_FLUSH:
			n = sks_puts(w, "x") == 0 && sks_flush(w) == 0;
			break;
		}
	}
	ck_assert_int_eq(stop_busy, 1);
}

/*
 * The other fiber. It needs a timer, then input, then another turn, and afterwards it stops the
 * busy one.
 */
static void
be_served(void *arg)
{
	char *line;

	(void)arg;
	ck_assert_int_eq(sks_sleep(1), 0);
	rig_say(&other_link, "line\n", 5);
	ck_assert_int_eq(sks_readline(&other_link.r, &line), 5);
	sks_yield();
	stop_busy = 1;
}

TEST(nobody_keeps_the_loop_to_himself, TIMES(BUSIES))
{
	struct rig_loop rig;

	huge_size = _i == BUSY_HUGE_WRITE || _i == BUSY_READN ? (size_t)256 << 20 : 65536;
	huge = calloc(1, huge_size);
	ck_assert_ptr_nonnull(huge);
	rig_loop_open(&rig);
	rig_link_open_on(&busy_link,
	    _i == BUSY_ENDLESS_SKIP || _i == BUSY_COPY ? &line_for_ever : &lines_for_ever);
	rig_link_open(&other_link);
	rig_go(&rig, be_served, NULL);
	rig_go(&rig, be_busy, &_i);
	rig_run(&rig);
	rig_link_close(&busy_link);
	rig_link_close(&other_link);
	rig_loop_close(&rig);
	free(huge);
}

/* One write of 1 TiB: the call itself must let the other fiber run, as it does not end before. */
TEST(one_huge_write_lets_others_in)
{
	struct rig_loop rig;
	static int what = BUSY_HUGE_WRITE;

	huge_size = (size_t)1 << 40; /* never touched: the transport only counts */
	huge = mmap(NULL, huge_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (huge == MAP_FAILED)
		return; /* a sanitizer or a limit forbids so much address space */
	rig_loop_open(&rig);
	rig_link_open_on(&busy_link, &lines_for_ever);
	rig_link_open(&other_link);
	rig_go(&rig, be_served, NULL);
	rig_go(&rig, be_busy, &what);
	rig_run(&rig);
	rig_link_close(&busy_link);
	rig_link_close(&other_link);
	rig_loop_close(&rig);
	munmap(huge, huge_size);
}

/*
 * Many fibers that each keep the loop for longer than a turn may last, as those of peers that take
 * much do: between two looks for events only one of them runs. They yield (0), or wait for room in
 * their sockets (1).
 */
#define MANY 16
#define KEPT_NS 2000000

static int kept, kept_before, looks;

static void
keep_loop(void *arg)
{
	int *fd = arg, i;
	int64_t until;

	for (i = 0; i < 3; i++) {
		if (fd == NULL)
			sks_yield();
		else
			ck_assert_int_eq(sks_wait_fd(fd[0], SKS_WRITE, SKS_OFF), SKS_WRITE);
		for (until = rig_now() + KEPT_NS; rig_now() < until;)
			;
		kept++;
	}
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	ck_assert_int_le(kept - kept_before, 1);
	kept_before = kept;
	looks++;
}

TEST(many_busy_ones_leave_room_for_events, TIMES(2))
{
	struct rig_loop rig;
	struct event look;
	int pairs[MANY][2], ready[2], i;

	rig_loop_open(&rig);
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(write(ready[1], "x", 1), 1);
	event_assign(&look, rig.loop->base, ready[0], EV_READ | EV_PERSIST, on_look, NULL);
	event_add(&look, NULL);
	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		rig_go(&rig, keep_loop, _i == 0 ? NULL : pairs[i]);
	}
	rig_run(&rig);
	ck_assert_int_eq(kept, MANY * 3);
	ck_assert_int_ge(looks, MANY * 3 - 1);
	event_del(&look);
	for (i = 0; i < MANY; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	close(ready[0]);
	close(ready[1]);
	rig_loop_close(&rig);
}

/*
 * With real clients: one sends requests without end and reads all replies, and a second one comes.
 */
static atomic_int second_was_served;

static void *
pipeline(void *arg)
{
	static const char lines[] = "1\n2\n3\n4\n5\n6\n7\n8\n1\n2\n3\n4\n5\n6\n7\n8\n";
	int fd = *(int *)arg;
	char drop[65536];

	while (!second_was_served) {
		(void)!send(fd, lines, sizeof(lines) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)!recv(fd, drop, sizeof(drop), MSG_DONTWAIT);
	}
	return NULL;
}

TEST(a_second_client_is_served_beside_a_pipeline, TIMES(2))
{
	struct sks_handler handler = { .handle = _i == 0 ? acc_echo_lines : acc_echo_keep };
	struct acc acc;
	pthread_t thread;
	int fd, i;

	acc_tcp(&acc, ACC_FIBERS, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(pthread_create(&thread, NULL, pipeline, &fd), 0);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(acc_echoes(&acc), 1);
	second_was_served = 1;
	pthread_join(thread, NULL);
	close(fd);
	acc_free(&acc);
}

/* -- a time limit that passes while another fiber keeps the loop -- */

static void
wait_for_what_is_there(void *arg)
{
	const int *ends = arg;

	ck_assert_int_eq(sks_wait_fd(ends[0], SKS_READ, 20), SKS_READ);
}

static void
wait_for_room(void *arg)
{
	const int *ends = arg;

	ck_assert_int_eq(sks_wait_fd(ends[1], SKS_WRITE, 20), SKS_WRITE);
}

static void
keep_the_loop(void *arg)
{
	int64_t until = rig_now() + 50 * INT64_C(1000000);

	(void)arg;
	while (rig_now() < until)
		;
}

/* libevent tells of an event and of a limit that comes in the same turn as of the limit alone. */
TEST(what_came_in_time_is_told_also_late)
{
	struct rig_loop rig;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	rig_loop_open(&rig);
	rig_go(&rig, wait_for_what_is_there, ends);
	rig_go(&rig, wait_for_room, ends);
	rig_go(&rig, keep_the_loop, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	close(ends[0]);
	close(ends[1]);
}
