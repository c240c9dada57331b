/* SPDX-License-Identifier: MIT */
/*
 * Handlers that keep their loop are named: the watchdog alone, with loops that
 * are nothing but their turns, and in servers. (Hooks: check_watchdog_hooks.c;
 * what the others have of it: check_blast.c.)
 */
#include "acceptance.h"

#include "base/addr.h"
#include "base/clock.h"
#include "base/sys.h"
#include "loop/watchdog.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

#define FOREVER_MS 3600000

/* -- the watchdog alone -- */

static struct sks_watchdog dog;
static struct sks_watched loops[2];
static struct sks_task tasks[2];
static struct sockaddr_in peer;

/* What was told of each loop. */
static struct told {
	atomic_int still, over, again;
	char name[16], peer[SKS_ADDR_TEXT];
	int64_t ms;
} told[2];

static void
note(void *arg, const struct sks_stuck *stuck)
{
	const struct sks_log_origin *origin = &stuck->origin;
	struct told *t = arg;

	snprintf(t->name, sizeof(t->name), "%s", origin->handler);
	sks_addr_format(origin->peer, origin->peer_len, t->peer, sizeof(t->peer));
	t->ms = stuck->ms;
	atomic_fetch_add(&t->again, stuck->again);
	atomic_fetch_add(stuck->still ? &t->still : &t->over, 1);
}

static void
make_dog(int limit_ms)
{
	int i;

	peer = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(4711),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	sks_watchdog_init(&dog, limit_ms);
	for (i = 0; i < 2; i++) {
		sks_task_init(&tasks[i]);
		tasks[i].origin.handler = i == 0 ? "first" : "second";
		tasks[i].origin.peer = (struct sockaddr *)&peer;
		tasks[i].origin.peer_len = sizeof(peer);
		loops[i] = (struct sks_watched){ .limit_ms = limit_ms, .report = note,
			.arg = &told[i] };
		sks_watchdog_add(&dog, &loops[i]);
	}
}

static void
start_dog(int limit_ms)
{
	make_dog(limit_ms);
	ck_assert_int_eq(sks_watchdog_start(&dog), 0);
	ck_assert_int_eq(sks_watchdog_start(&dog), 0);
}

static int
sleeps(void)
{
	int asleep;

	pthread_mutex_lock(&dog.lock);
	asleep = dog.asleep;
	pthread_mutex_unlock(&dog.lock);
	return asleep;
}

static void
turn(int i)
{
	sks_watched_begin(&loops[i], &tasks[i]);
	sks_watched_end(&loops[i]);
}

/* Has it been woken since it was last asked? (It may sleep again already.) */
static int
was_woken(void)
{
	int woken;

	pthread_mutex_lock(&dog.lock);
	woken = dog.in_time != 0;
	dog.in_time = 0;
	pthread_mutex_unlock(&dog.lock);
	return woken;
}

TEST(sleeps_while_nothing_runs)
{
	int i;

	start_dog(1);
	for (i = 0; i < 3; i++) {
		ck_eventually(sleeps());
		(void)was_woken();
		ck_assert(sleeps()); /* it wakes by a turn, not by itself */
		turn(i % 2);
		ck_assert(was_woken());
	}
	ck_eventually(sleeps());
	sks_watchdog_end(&dog);
}

TEST(tells_of_the_one_that_goes_on)
{
	start_dog(10);
	sks_watched_begin(&loops[1], &tasks[1]);
	ck_eventually(told[1].still == 1);
	ck_assert_str_eq(told[1].name, "second");
	ck_assert_str_eq(told[1].peer, "127.0.0.1:4711");
	ck_assert_int_ge((int)told[1].ms, 10);
	ck_assert_int_eq(told[1].over, 0);
	sks_watched_end(&loops[1]);
	ck_assert_int_eq(told[1].over, 1);
	ck_assert_int_eq(told[1].again, 1);
	ck_assert_int_eq(told[1].still, 1);
	ck_assert_int_eq(told[0].still + told[0].over, 0);
	sks_watchdog_end(&dog);
}

TEST(tells_nothing_of_short_turns)
{
	int i;

	start_dog(FOREVER_MS);
	for (i = 0; i < 1000; i++)
		turn(i % 2);
	sks_watchdog_end(&dog);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(told[i].still + told[i].over, 0);
}

/* Names would fill the log; who still does it when there is room again is named then. */
TEST(tells_of_one_in_a_second_and_of_none_never)
{
	int64_t began = sks_clock_ms();

	start_dog(1);
	sks_watched_begin(&loops[0], &tasks[0]);
	ck_eventually(told[0].still == 1);
	sks_watched_begin(&loops[1], &tasks[1]);
	ck_eventually(told[1].still == 1);
	ck_assert_int_ge((int)(sks_clock_ms() - began), 1000);
	sks_watched_end(&loops[0]);
	sks_watched_end(&loops[1]);
	ck_assert_int_eq(told[0].still + told[1].still, 2);
	sks_watchdog_end(&dog);
}

/* Until the loop's own clock says that it was too long. */
static void
take_long(struct sks_watched *loop)
{
	while (sks_clock_coarse_ms() - loop->begun < loop->limit_ms)
		;
}

static void
check_that_it_reports_itself(void)
{
	sks_watched_begin(&loops[0], &tasks[0]);
	take_long(&loops[0]);
	sks_watched_end(&loops[0]);
	ck_assert_int_eq(told[0].still, 0);
	ck_assert_int_eq(told[0].over, 1);
	ck_assert_int_eq(told[0].again, 0);
	ck_assert_str_eq(told[0].name, "first");
}

TEST(without_a_thread_loops_report_themselves)
{
	make_dog(1);
	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:1"), 0);
	ck_assert_int_eq(sks_watchdog_start(&dog), -1);
	ck_assert_int_eq(errno, EAGAIN);
	check_that_it_reports_itself();
	ck_assert_int_eq(sks_watchdog_start(&dog), 0); /* it may be tried again */
	sks_watchdog_end(&dog);
}

/* The process was stopped: the watchdog did not run either. */
TEST(what_did_not_run_is_not_to_blame)
{
	make_dog(1);
	dog.has_thread = 1;
	dog.due = dog.in_time = sks_clock_ms() - 1000;
	sks_watched_begin(&loops[0], &tasks[0]);
	take_long(&loops[0]);
	sks_watched_end(&loops[0]);
	ck_assert_int_eq(told[0].over, 0);

	/* Awake again, and since then it was not long. */
	dog.limit_ms = loops[0].limit_ms = 1000;
	dog.due = dog.in_time = sks_clock_ms();
	sks_watched_begin(&loops[0], &tasks[0]);
	loops[0].begun -= 1000;
	sks_watched_end(&loops[0]);
	ck_assert_int_eq(told[0].over, 0);
}

static void *
take_turns(void *arg)
{
	int i, self = (int)((struct sks_watched *)arg - loops);

	for (i = 0; i < 300; i++) {
		struct sockaddr_in *own = malloc(sizeof(*own));

		*own = peer;
		tasks[self].origin.peer = (struct sockaddr *)own;
		pthread_mutex_lock(&dog.lock);
		dog.quiet_until = 0; /* it is to read each that it can */
		pthread_mutex_unlock(&dog.lock);
		sks_watched_begin(&loops[self], &tasks[self]);
		if (i % 3 == 0)
			take_long(&loops[self]);
		sks_watched_end(&loops[self]);
		memset(own, 0xff, sizeof(*own));
		free(own);
	}
	return NULL;
}

/* The sanitizers' part: peers are freed right after their turns. */
TEST(reads_nothing_that_is_gone)
{
	pthread_t threads[2];
	int i;

	start_dog(1);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, &loops[i]), 0);
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_str_eq(told[i].peer, "127.0.0.1:4711");
		ck_assert_int_le(told[i].again, told[i].still);
	}
	sks_watchdog_end(&dog);
}

/* -- in servers -- */

/* Until the log has it. */
static int
wait_to_be_named(struct sks_request *req)
{
	while (log_count("still does") == 0)
		breathe();
	return sks_puts(req->wfile, "named\n");
}

static const struct sks_handler waiter = { .name = "waiter", .handle = wait_to_be_named };

/* The modes whose handlers run on loops. */
static const int with_loops[] = { ACC_FIBERS, ACC_SERIAL, ACC_TWO_LOOPS };

TEST(names_a_handler_that_still_keeps_its_loop, TIMES(3))
{
	struct sks_options options = { .block_warn_ms = 10 };
	struct acc acc;

	acc_tcp(&acc, with_loops[_i], &waiter, &options);
	acc_start(&acc);
	acc_ask(&acc, "", "named\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_int_eq((int)acc_stats(&acc).blocked, 1);
	ck_assert_int_eq(log_count(": the handler has kept its loop for "), 1);
	ck_assert_int_eq(log_count(": the handler kept its loop for "), 1);
	ck_assert_int_eq(log_count("waiter: 127.0.0.1:"), 2);
	acc_free(&acc);
}

/* What the log's function got of lines on a loop that was kept. */
struct kept_loop {
	atomic_int still, over;
	char handler[2][16], peer[2][SKS_ADDR_TEXT];
};

static void
note_record(const struct sks_log_record *record, void *arg)
{
	struct kept_loop *k = arg;
	int still = strstr(record->text, "the handler has kept its loop for ") == record->text;

	if (!still && strstr(record->text, "the handler kept its loop for ") != record->text)
		return;
	snprintf(k->handler[still], sizeof(k->handler[still]), "%s", record->handler);
	snprintf(k->peer[still], sizeof(k->peer[still]), "%s", record->peer);
	atomic_fetch_add(still ? &k->still : &k->over, 1);
}

static struct kept_loop lines;

static int
wait_for_the_record(struct sks_request *req)
{
	char text[SKS_ADDR_TEXT];

	while (lines.still == 0)
		breathe();
	return sks_puts(req->wfile, sks_peer(req, text, sizeof(text)));
}

TEST(a_line_on_a_kept_loop_has_the_handler_and_the_peer_of_its_own, TIMES(3))
{
	static const struct sks_handler handler = { .name = "waiter", .handle = wait_for_the_record };
	struct sks_options options = { .block_warn_ms = 10 };
	struct acc acc;
	char *own;
	size_t n;
	int i, fd;

	sks_set_log(note_record, &lines);
	acc_tcp(&acc, with_loops[_i], &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	own = peer_read_all(fd, &n);
	ck_eventually(lines.over == 1);
	for (i = 0; i < 2; i++) {
		ck_assert_str_eq(lines.handler[i], "waiter");
		ck_assert_str_eq(lines.peer[i], own);
	}
	free(own);
	close(fd);
	acc_free(&acc);
}

static void
leave_base(struct sks_server *server, void *data)
{
	(void)server;
	event_base_loopbreak(data);
}

static void
shut_down(struct sks_request *req)
{
	sks_server_shutdown(req->server);
}

TEST(names_it_on_the_loop_of_a_host)
{
	struct sks_handler handler = { .handle = wait_to_be_named, .finish = shut_down };
	struct event_base *base = event_base_new();
	struct sks_options options = { .block_warn_ms = 10, .base = base, .data = base,
		.on_stop = leave_base };
	struct sks_server *server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	char address[160];
	int fd;

	ck_assert_int_eq(sks_server_start(server), 0);
	fd = peer_connect(sks_server_address(server, 0, address, sizeof(address)));
	peer_half_close(fd);
	event_base_dispatch(base);
	peer_expect(fd, "named\n");
	peer_expect_eof(fd);
	ck_assert_int_eq(log_count("still does"), 1);
	sks_server_free(server);
	event_base_free(base);
}

static const struct {
	int mode, block_warn_ms, threads;
} needs[] = {
	{ SKS_FIBERS, 0, 1 },
	{ SKS_SERIAL, 0, 1 },
	{ SKS_FIBERS, SKS_OFF, 0 },
	{ SKS_THREADS, 0, 0 },
	{ SKS_PROCESSES, 0, 0 },
};

TEST(has_a_thread_where_one_is_needed, TIMES(5))
{
	struct sks_options options = { .mode = needs[_i].mode,
		.block_warn_ms = needs[_i].block_warn_ms };
	struct sks_server *server = sks_tcp_server_new("127.0.0.1:0", &waiter, &options);
	int i;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(sks_handle_request(server, 1), -1);
		ck_assert_int_eq(errno, ETIMEDOUT);
	}
	ck_assert_uint_eq(sks_fault_calls("pthread_create"), (unsigned long)needs[_i].threads);
	sks_server_free(server);
}

TEST(a_server_does_without_it)
{
	static const struct sks_handler handler = { .handle = acc_echo_line };
	struct sks_options options = { .block_warn_ms = 100 };
	struct acc acc;

	acc_tcp(&acc, 0, &handler, &options);
	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:1"), 0);
	acc_start(&acc);
	acc_ask(&acc, "hello\n", "hello\n");
	ck_assert_uint_eq(sks_fault_hits(), 1);
	acc_free(&acc);
}
