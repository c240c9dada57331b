/* SPDX-License-Identifier: MIT */
/*
 * check_wheel.c - the wheel of a loop's time limits: no limit is met early, each is met, and one that
 * has moved on is met there.
 */
#include "base/clock.h"
#include "faults.h"
#include "harness.h"
#include "loop/wheel.h"

#include <event2/event.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define LIMITS 5

struct limit {
	struct sks_due due;
	int64_t deadline;
	int asked, met;
};

static struct event_base *base;
static struct sks_wheel wheel;
static struct limit limits[LIMITS];
static int fail_to_go_on; /* the timer cannot be set anew when the limits that have come are done */

static int64_t
on_due(struct sks_due *due, int64_t now)
{
	struct limit *limit = sks_list_entry(due, struct limit, due);

	limit->asked++;
	if (fail_to_go_on) {
		fail_to_go_on = 0;
		fault("event_add:ENOMEM");
	}
	if (limit->deadline > now)
		return limit->deadline;
	limit->met++;
	return 0;
}

static void
open_wheel(void)
{
	int i;

	base = event_base_new();
	memset(&wheel, 0, sizeof(wheel));
	sks_wheel_init(&wheel, base, on_due);
	for (i = 0; i < LIMITS; i++) {
		limits[i] = (struct limit){ 0 };
		sks_due_init(&limits[i].due);
	}
}

static void
set(struct limit *limit, int64_t ms)
{
	limit->deadline = sks_clock_ms() + ms;
	ck_assert_int_eq(sks_wheel_set(&wheel, &limit->due, limit->deadline), 0);
}

static void
close_wheel(void)
{
	sks_wheel_end(&wheel);
	event_base_free(base);
}

TEST(each_limit_is_met_once_and_none_early)
{
	int i;

	open_wheel();
	for (i = 0; i < LIMITS; i++)
		set(&limits[i], (LIMITS - i) * 20);
	event_base_dispatch(base);
	for (i = 0; i < LIMITS; i++)
		ck_assert_int_eq(limits[i].met, 1);
	ck_assert_uint_eq(wheel.entries, 0);
	close_wheel();
}

/* On a machine that pauses, both times may have come when the loop looks: then it is tried again. */
TEST(a_later_limit_is_met_where_it_has_moved_to)
{
	int tries = 0;

	do {
		ck_assert_int_lt(tries++, 50);
		open_wheel();
		set(&limits[0], 1);
		set(&limits[0], 100); /* its entry stays where it is */
		event_base_dispatch(base);
		ck_assert_int_eq(limits[0].met, 1);
		close_wheel();
	} while (limits[0].asked < 2);
}

TEST(an_earlier_limit_is_met_before_the_timer_of_a_later_one)
{
	open_wheel();
	set(&limits[0], 3600000);
	set(&limits[1], 1);
	while (limits[1].met == 0)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	ck_assert_int_eq(limits[0].asked, 0);
	sks_wheel_remove(&wheel, &limits[0].due);
	ck_assert_int_eq(event_base_dispatch(base), 1); /* there is no timer any more */
	close_wheel();
}

/* Two limits wait, and there is no memory for the timer. Returns how many are met nevertheless. */
static int
lose_timer(void)
{
	int met;

	open_wheel();
	set(&limits[0], 1);
	set(&limits[1], 1);
	limits[0].deadline = limits[1].deadline = sks_clock_ms() + 200;
	fail_to_go_on = 1;
	ck_assert_int_eq(event_base_dispatch(base), 1);
	met = limits[0].met + limits[1].met;
	if (met == 0)
		ck_assert_uint_eq(sks_fault_hits(), 1);
	sks_fault_clear();
	return met;
}

/* The next entry sets it for all. As above, it is tried again after a pause of the machine. */
TEST(a_timer_that_could_not_be_set_is_set_with_the_next_limit)
{
	int tries = 0;

	while (lose_timer() > 0) {
		ck_assert_int_lt(tries++, 50);
		close_wheel();
	}
	set(&limits[2], 300);
	event_base_dispatch(base);
	ck_assert_int_eq(limits[0].met, 1);
	ck_assert_int_eq(limits[1].met, 1);
	ck_assert_int_eq(limits[2].met, 1);
	close_wheel();
}
