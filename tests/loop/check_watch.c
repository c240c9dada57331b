/* SPDX-License-Identifier: MIT */
/*
 * check_watch.c - the watches of a loop: whatever a reader has left in the
 * socket, a wait that begins then ends at once; and a wait for input that was
 * read does not end.
 */
#include "acceptance.h"
#include "base/util.h"
#include "faults.h"
#include "loop/batch.h"
#include "rig.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define MANY (2 * SKS_WATCH_READY + 8)
#define LINE 4000
#define BURST (10 * LINE) /* more than one read takes */

struct probe {
	struct sks_watch watch;
	struct rig_link link;
	int told;
};

static struct rig_loop rig;
static struct probe probes[MANY];
static int close_others; /* whoever is woken does so */

static void
on_told(struct sks_watch *watch, enum sks_watch_event event)
{
	struct probe *probe = sks_container_of(watch, struct probe, watch);
	int i;

	ck_assert_int_eq(event, SKS_WATCH_INPUT);
	probe->told++;
	for (i = 0; close_others && i < SKS_WATCH_READY; i++)
		if (&probes[i] != probe)
			sks_watch_close(&probes[i].watch);
}

static void
expect(struct probe *probe)
{
	ck_assert_int_eq(sks_watch_expect(&probe->watch, on_told, SKS_NEVER), 0);
}

static void
open_probes(int n)
{
	int i;

	close_others = 0;
	rig_loop_open(&rig);
	for (i = 0; i < n; i++) {
		rig_link_open_tcp(&probes[i].link);
		sks_watch_init(&probes[i].watch, &rig.loop->watches, probes[i].link.fd);
		probes[i].told = 0;
		expect(&probes[i]);
	}
}

static void
close_probes(int n)
{
	int i;

	for (i = 0; i < n; i++) {
		sks_watch_close(&probes[i].watch);
		rig_link_close(&probes[i].link);
	}
	rig_loop_close(&rig);
}

/* Until the kernel has it. */
static void
await(const struct probe *probe, short events)
{
	struct pollfd p = { .fd = probe->link.fd, .events = events };

	ck_assert_int_eq(poll(&p, 1, PEER_DEADLINE_MS), 1);
}

static void
say(struct probe *probe, const char *text)
{
	rig_say(&probe->link, text, strlen(text));
	await(probe, POLLIN);
}

/* How often it is told, looking twice. */
static int
told(struct probe *probe)
{
	probe->told = 0;
	sks_batch_serve(&rig.loop->watches);
	sks_batch_serve(&rig.loop->watches);
	return probe->told;
}

/* How many bytes of up to n there were. */
static ssize_t
take(struct probe *probe, size_t n)
{
	char buf[64];

	return recv(probe->link.fd, buf, n, MSG_DONTWAIT);
}

TEST(what_was_read_is_told_once)
{
	open_probes(1);
	ck_assert_int_eq(told(probes), 0);
	say(probes, "one");
	ck_assert_int_eq(told(probes), 1);
	ck_assert_int_eq(take(probes, 64), 3);
	expect(probes);
	ck_assert_int_eq(told(probes), 0);
	say(probes, "two");
	ck_assert_int_eq(told(probes), 1);
	ck_assert_int_eq(take(probes, 3), 3);
	expect(probes);
	ck_assert_int_eq(told(probes), 0);
	close_probes(1);
}

TEST(what_was_left_is_told_to_who_waits_next)
{
	open_probes(1);
	say(probes, "left");
	ck_assert_int_eq(told(probes), 1);
	ck_assert_int_eq(told(probes), 0); /* nobody waits */
	expect(probes);
	ck_assert_int_eq(told(probes), 1);
	ck_assert_int_eq(take(probes, 2), 2);
	expect(probes);
	ck_assert_int_eq(told(probes), 1);
	ck_assert_int_eq(take(probes, 64), 2);
	expect(probes);
	ck_assert_int_eq(told(probes), 0);
	close_probes(1);
}

TEST(what_comes_while_nobody_waits_is_told_later)
{
	open_probes(1);
	say(probes, "one");
	ck_assert_int_eq(told(probes), 1);
	ck_assert_int_eq(take(probes, 64), 3);
	say(probes, "two");
	ck_assert_int_eq(told(probes), 0);
	expect(probes);
	ck_assert_int_eq(told(probes), 1);
	close_probes(1);
}

/* A fiber that has yielded comes back for its input within a turn. */
TEST(input_that_nobody_takes_removes_the_watch_at_its_second_report)
{
	open_probes(1);
	say(probes, "left");
	sks_fault_clear();
	sks_batch_serve(&rig.loop->watches);
	ck_assert_int_eq(probes->told, 1);
	sks_batch_serve(&rig.loop->watches);
	expect(probes);
	ck_assert_uint_eq(sks_fault_calls("epoll_ctl"), 0);
	ck_assert_int_eq(told(probes), 1);
	ck_assert_uint_eq(sks_fault_calls("epoll_ctl"), 0);
	ck_assert_int_eq(sks_batch_serve(&rig.loop->watches), 1);
	ck_assert_uint_eq(sks_fault_calls("epoll_ctl"), 1);
	ck_assert_int_eq(sks_batch_serve(&rig.loop->watches), 0);
	expect(probes);
	ck_assert_uint_eq(sks_fault_calls("epoll_ctl"), 2);
	close_probes(1);
}

TEST(an_end_behind_input_is_told)
{
	open_probes(1);
	say(probes, "last");
	shutdown(probes->link.peer, SHUT_WR);
	await(probes, POLLRDHUP);
	ck_assert_int_eq(told(probes), 1);
	(void)take(probes, 64);
	expect(probes);
	ck_assert_int_eq(told(probes), 1);
	close_probes(1);
}

/* A read comes short at urgent data, with more behind it. */
TEST(what_is_behind_urgent_data_is_told)
{
	char c;

	open_probes(1);
	say(probes, "before");
	ck_assert_int_eq(send(probes->link.peer, "!", 1, MSG_OOB), 1);
	rig_say(&probes->link, "behind", 6);
	await(probes, POLLPRI);
	ck_assert_int_eq(told(probes), 1);
	(void)take(probes, 64);
	expect(probes);
	ck_assert_int_eq(told(probes), 1);
	while (recv(probes->link.fd, &c, 1, MSG_DONTWAIT) == 1)
		;
	expect(probes);
	ck_assert_int_eq(told(probes), 0); /* though the urgent byte was not read */
	close_probes(1);
}

/* The first one to be woken closes all others, which were reported with it. */
TEST(one_that_is_closed_is_not_woken)
{
	int i, n = 0;

	open_probes(SKS_WATCH_READY);
	for (i = 0; i < SKS_WATCH_READY; i++)
		say(&probes[i], "all");
	close_others = 1;
	ck_assert_int_eq(sks_batch_serve(&rig.loop->watches), SKS_WATCH_READY);
	for (i = 0; i < SKS_WATCH_READY; i++)
		n += probes[i].told;
	ck_assert_int_eq(n, 1);
	close_probes(SKS_WATCH_READY);
}

TEST(all_of_many_are_woken_once)
{
	int i;

	open_probes(MANY);
	for (i = 0; i < MANY; i++)
		say(&probes[i], "all");
	while (sks_batch_serve(&rig.loop->watches) > 0)
		;
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(probes[i].told, 1);
	close_probes(MANY);
}

/* -- the same under handlers -- */

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

static struct acc acc;

static const struct sks_handler readers[] = {
	{ .name = "lines", .handle = acc_echo_lines },
	{ .name = "keeps", .handle = acc_echo_keep, .client_first = 1 },
};
#define READERS ((int)SKS_ARRAY_LEN(readers))

static int
dial(int i)
{
	acc_streams(&acc, i / READERS, &readers[i % READERS], NULL);
	acc_start(&acc);
	return acc_client(&acc);
}

TEST(a_burst_is_answered_to_its_end, TIMES(READERS * ACC_STREAMS))
{
	static char burst[BURST];
	int fd = dial(_i), i;

	for (i = 0; i < BURST; i++)
		burst[i] = i % LINE == LINE - 1 ? '\n' : 'x';
	peer_puts(fd, "begin\n");
	peer_expect(fd, "begin\n");
	peer_send(fd, burst, BURST);
	peer_expect_bytes(fd, burst, BURST);
	peer_puts(fd, "on\n");
	peer_expect(fd, "on\n");
	close(fd);
	acc_free(&acc);
}

TEST(a_line_and_an_end_at_once_are_both_read, TIMES(READERS * ACC_STREAMS))
{
	int fd = dial(_i);

	peer_puts(fd, "begin\n");
	peer_expect(fd, "begin\n");
	peer_puts(fd, "last\n");
	peer_half_close(fd);
	peer_expect(fd, "last\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

TEST(urgent_data_hides_nothing, TIMES(READERS * ACC_STREAMS))
{
	int fd = dial(_i);

	if (acc.transport == ACC_TCP) {
		peer_puts(fd, "be");
		ck_assert_int_eq(send(fd, "!", 1, MSG_OOB), 1);
		peer_puts(fd, "gin\n");
		peer_expect(fd, "begin\n");
		peer_puts(fd, "on\n");
		ck_assert_int_eq(send(fd, "?", 1, MSG_OOB), 1);
		peer_puts(fd, "and on\n");
		peer_expect(fd, "on\nand on\n");
	}
	close(fd);
	acc_free(&acc);
}
