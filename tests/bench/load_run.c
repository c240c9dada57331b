/*
 * Two loads: rounds over open connections, and connections that come, say one line and go.
 */

#define _GNU_SOURCE 1
#include "load.h"

#include "measure.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 512
#define PACE   256 /* so many connections are with a server at once that has taken the others */

struct conn *conns;
static struct histogram latencies;

/* ---- the loop, shared by rounds and --connect ---- */

struct run {
	int64_t left;                   /* not yet begun; INT64_MAX: until the time is up */
	int64_t until;
	int64_t done;
	int under_way;
};

/* Takes the next unit of work: 0 when there is none. */
static int
take(struct run *run, int64_t now)
{
	if (run->left == 0 || (run->until != 0 && now >= run->until))
		return 0;
	if (run->left != INT64_MAX)
		run->left--;
	run->under_way++;
	return 1;
}

static int
wait_events(struct epoll_event *events)
{
	const int64_t end = now_ns() + SILENCE_NS;
	int n;

	do {
		n = epoll_wait(ep, events, EVENTS, opt.spin ? 0 : (int)(SILENCE_NS / 1000000));
		if (n == -1 && errno != EINTR)
			err(1, "epoll_wait");
		if (n <= 0 && now_ns() >= end)
			errx(1, "no reply for %d seconds", (int)(SILENCE_NS / NS_PER_S));
	} while (n <= 0);
	return n;
}

static void
drive(struct run *run, void (*ready)(struct run *, struct conn *, uint32_t))
{
	struct epoll_event events[EVENTS];
	int i, n;

	while (run->under_way > 0) {
		n = wait_events(events);
		for (i = 0; i < n; i++)
			ready(run, events[i].data.ptr, events[i].events);
	}
}

struct cost {
	int64_t wall, cpu, done;
};

static void
report(const char *unit, const struct cost *cost)
{
	const double seconds = (double)cost->wall / (double)NS_PER_S;

	printf("%ss=%" PRId64 "\nseconds=%.6f\n%ss_per_second=%.0f\n", unit, cost->done, seconds,
	    unit, (double)cost->done / seconds);
	if (opt.pid != 0)
		printf("server_cpu_ns_per_%s=%.1f\nserver_busy_percent=%.1f\n", unit,
		    (double)cost->cpu / (double)cost->done,
		    (double)cost->cpu * 100.0 / (double)cost->wall);
	printf("p50_ns=%" PRId64 "\np99_ns=%" PRId64 "\nerrors=0\n",
	    histogram_permille(&latencies, 500), histogram_permille(&latencies, 990));
}

/* Runs one phase between two points of rest; in --seconds of it, 0: as long as the work lasts. */
static struct cost
timed(int64_t work, double seconds, int64_t (*phase)(struct run *))
{
	struct run run = { .left = seconds > 0 ? INT64_MAX : work };
	struct cost cost = { 0 };
	int64_t start;

	memset(&latencies, 0, sizeof(latencies));
	if (opt.pid != 0) {
		settle(opt.pid);
		cost.cpu = -cpu_ns(opt.pid, opt.children);
	}
	start = now_ns();
	if (seconds > 0)
		run.until = start + (int64_t)(seconds * (double)NS_PER_S);
	cost.done = phase(&run);
	cost.wall = now_ns() - start;
	if (opt.pid != 0) {
		settle(opt.pid);
		cost.cpu += cpu_ns(opt.pid, opt.children);
	}
	return cost;
}

/* ---- rounds: the default ---- */

static void
round_ready(struct run *run, struct conn *c, uint32_t events)
{
	int64_t now;

	if (!ends_round(c, events))
		return;
	now = now_ns();
	histogram_add(&latencies, now - c->since);
	run->done++;
	run->under_way--;
	if (take(run, now))
		start_round(c, now);
}

static int64_t
rounds(struct run *run)
{
	int64_t now;
	int i;

	for (i = 0; i < opt.connections && take(run, now = now_ns()); i++)
		start_round(&conns[i], now);
	drive(run, round_ready);
	return run->done;
}

/* Each has said a line, so that a server has for it what it has for one that pauses. */
static void
open_idle(void)
{
	int *fds = zeroed((size_t)opt.idle + 1, sizeof(*fds));

	opt.speak = 1;
	open_held(fds, 0, opt.idle);
	free(fds);
}

void
open_conns(void)
{
	int i;

	raise_open_files((int64_t)opt.connections + opt.idle);
	open_idle();
	conns = zeroed((size_t)opt.connections, sizeof(*conns));
	for (i = 0; i < opt.connections; i++) {
		conns[i].number = i;
		conns[i].fd = connect_or_die(i / PER_SOURCE);
		conns[i].block = zeroed(1, block_size);
		fill_block(conns[i].block, i);
		if (i % PACE == PACE - 1)
			speak_once(&conns[i]);
		interest(&conns[i], EPOLL_CTL_ADD, EPOLLIN);
	}
}

static int64_t
rounds_for(int64_t messages)
{
	return (messages + opt.pipeline - 1) / opt.pipeline;
}

void
load_rounds(void)
{
	struct cost cost;

	if (opt.warmup == -1)
		opt.warmup = opt.messages / 10 + (int64_t)opt.connections * opt.pipeline * 4;
	open_conns();
	timed(rounds_for(opt.warmup), 0, rounds);
	cost = timed(rounds_for(opt.messages), opt.seconds, rounds);
	cost.done *= opt.pipeline;
	report("message", &cost);
}

/* ---- --connect ---- */

/* The server speaks first, and ends the connection. */
static void
expect_hello(struct conn *c, int64_t now)
{
	c->since = now;
	c->got = 0;
	c->sent = block_size;
	c->ending = 1;
}

/* Its conns are slots; each connection comes from the next address, so that ports last. */
static void
open_slot(struct conn *c, int64_t now)
{
	static int opened;

	c->fd = connect_or_die(opened++ % SOURCES);
	c->ending = c->wants_out = 0;
	interest(c, EPOLL_CTL_ADD, EPOLLIN);
	if (opt.hello)
		expect_hello(c, now);
	else
		start_round(c, now);
}

static void
end_slot(struct run *run, struct conn *c)
{
	int64_t now;

	if (c->got < block_size)
		errx(1, "connection %d: the server ended it after %zu of %zu bytes", c->number,
		    c->got, block_size);
	close(c->fd);
	now = now_ns();
	histogram_add(&latencies, now - c->since);
	run->done++;
	run->under_way--;
	if (take(run, now))
		open_slot(c, now);
}

/*
 * Our half of the connection ends. The server ends its own, too, before the connection counts:
 * what it costs is then all in. After a reset nothing comes back.
 */
static void
leave_slot(struct run *run, struct conn *c)
{
	static const struct linger at_once = { .l_onoff = 1 };

	if (opt.reset) {
		if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == -1)
			err(1, "SO_LINGER");
		end_slot(run, c);
		return;
	}
	c->ending = 1;
	if (shutdown(c->fd, SHUT_WR) == -1)
		err(1, "shutdown");
}

static void
slot_ready(struct run *run, struct conn *c, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT && !receive_some(c)) {
		end_slot(run, c);
		return;
	}
	if (c->wants_out)
		send_some(c);
	if (c->got == block_size && !c->ending)
		leave_slot(run, c);
}

static int64_t
connects(struct run *run)
{
	int64_t now;
	int i;

	for (i = 0; i < opt.concurrency && take(run, now = now_ns()); i++)
		open_slot(&conns[i], now);
	drive(run, slot_ready);
	return run->done;
}

void
load_connects(void)
{
	struct cost cost;
	int i;

	if (opt.warmup == -1)
		opt.warmup = opt.connects / 10 + opt.concurrency;
	raise_open_files(opt.concurrency);
	conns = zeroed((size_t)opt.concurrency, sizeof(*conns));
	for (i = 0; i < opt.concurrency; i++) {
		conns[i].number = i;
		conns[i].block = zeroed(1, block_size + 1);
		if (opt.hello)
			memcpy(conns[i].block, HELLO, block_size);
		else
			fill_block(conns[i].block, i);
	}
	timed(opt.warmup, 0, connects);
	cost = timed(opt.connects, opt.seconds, connects);
	report("connection", &cost);
}
