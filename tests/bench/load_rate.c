/*
 * The fourth load, an open loop: messages are due at a fixed rate, whether the earlier ones have
 * been answered or not, and a latency counts from the time when the message was due. In a closed
 * loop a server that stalls is not asked meanwhile, so that the requests which would have waited
 * are missing from the percentiles ("coordinated omission").
 *
 * Message k is due k intervals after the start, on connection k modulo their number. One line of a
 * connection is under way at a time; those that come due meanwhile wait for it. A message with no
 * answer at the end counts with the time that it has waited by then.
 */

#define _GNU_SOURCE 1
#include "load.h"

#include "measure.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>

#define EVENTS 512

static struct histogram latencies;

struct schedule {
	int64_t start, counted, end;    /* messages due before counted warm the server up */
	int64_t next;                   /* the message that is due next */
};

static int64_t
due_at(const struct schedule *s, int64_t message)
{
	return s->start + (int64_t)((double)message * (double)NS_PER_S / (double)opt.rate);
}

/* Sends the connection's next line, late or not. */
static void
send_due(const struct schedule *s, struct conn *c)
{
	start_round(c, due_at(s, (int64_t)c->round * opt.connections + c->number));
}

static void
count(const struct schedule *s, int64_t due, int64_t now)
{
	if (due >= s->counted)
		histogram_add(&latencies, now - due);
}

static void
let_come_due(struct schedule *s, int64_t now)
{
	struct conn *c;

	for (; due_at(s, s->next) <= now; s->next++) {
		c = &conns[s->next % opt.connections];
		c->due++;
		if (c->answered == c->round)
			send_due(s, c);
	}
}

static void
line_ready(struct schedule *s, struct conn *c, uint32_t events)
{
	int64_t now;

	if (!ends_round(c, events))
		return;
	now = now_ns();
	count(s, c->since, now);
	c->answered++;
	if (c->round < c->due)
		send_due(s, c);
}

static void
run_schedule(struct schedule *s)
{
	struct epoll_event events[EVENTS];
	int64_t now;
	int i, n;

	while ((now = now_ns()) < s->end) {
		let_come_due(s, now);
		if ((n = epoll_wait(ep, events, EVENTS, 0)) == -1 && errno != EINTR)
			err(1, "epoll_wait");
		for (i = 0; i < n; i++)
			line_ready(s, events[i].data.ptr, events[i].events);
	}
}

/* The messages that were due and have no answer at the end. */
static int64_t
count_unanswered(const struct schedule *s)
{
	int64_t n = 0;
	unsigned line;
	int i;

	for (i = 0; i < opt.connections; i++)
		for (line = conns[i].answered; line < conns[i].due; line++, n++)
			count(s, due_at(s, (int64_t)line * opt.connections + i), s->end);
	return n;
}

void
load_rate(void)
{
	struct schedule s = { 0 };
	int64_t unanswered;

	open_conns();
	if (opt.pid != 0)
		settle(opt.pid);
	s.start = now_ns();
	s.end = s.start + (int64_t)(opt.seconds * (double)NS_PER_S);
	s.counted = s.start + (s.end - s.start) / 10;
	run_schedule(&s);
	unanswered = count_unanswered(&s);
	printf("due=%" PRId64 "\nunanswered=%" PRId64 "\n", s.next, unanswered);
	printf("kept_up=%s\n", unanswered * 100 <= s.next ? "yes" : "no");
	printf("p50_ns=%" PRId64 "\np99_ns=%" PRId64 "\np999_ns=%" PRId64 "\nerrors=0\n",
	    histogram_permille(&latencies, 500), histogram_permille(&latencies, 990),
	    histogram_permille(&latencies, 999));
}
