/* SPDX-License-Identifier: MIT */
/*
 * check_outcome.c - what a child process tells its parent of its request, and what a child tells
 * that has written over it.
 */
#include "harness.h"

#include "server/outcome.h"

#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

static struct sks_outcomes outcomes;
static struct sks_flow flows[2];

static struct sks_call
new_call(struct sks_flow *flow)
{
	*flow = (struct sks_flow){ 0 };
	return (struct sks_call){ .flow = flow };
}

TEST(what_a_child_tells_is_what_its_parent_hears)
{
	struct sks_outcome *outcome = sks_outcome_take(&outcomes);
	struct sks_call child = new_call(&flows[0]), parent = new_call(&flows[1]);

	sks_call_end(&child, SKS_ENDED_CLOSED);
	child.exchanges = 3;
	child.tls = "TLSv1.3";
	flows[0].in = 100;
	flows[0].out = 200;
	ck_assert_int_eq(sks_set_note(&child.req, "a note"), 0);
	sks_outcome_tell(outcome, &child);
	sks_outcome_hear(outcome, &parent, 1);
	ck_assert_int_eq(parent.ended, SKS_ENDED_CLOSED);
	ck_assert_uint_eq(parent.exchanges, 3);
	ck_assert_str_eq(parent.tls, "TLSv1.3");
	ck_assert_uint_eq(flows[1].in, 100);
	ck_assert_uint_eq(flows[1].out, 200);
	ck_assert_str_eq(parent.note, "a note");
	sks_call_free_parts(&child);
	sks_call_free_parts(&parent);
	sks_outcome_give_back(&outcomes, outcome);
	sks_outcomes_free(&outcomes);
}

/* Each byte of it is the same one. */
TEST(what_a_mad_child_tells_harms_nobody)
{
	struct sks_outcome *outcome = sks_outcome_take(&outcomes);
	int byte;

	for (byte = 1; byte < 256; byte++) {
		struct sks_call parent = new_call(&flows[0]);

		memset(outcome, byte, sizeof(*outcome));
		sks_outcome_hear(outcome, &parent, 1);
		ck_assert_int_eq(parent.ended, SKS_ENDED_ERROR);
		ck_assert_int_eq(parent.stop, SKS_STOP_NOTHING);
		ck_assert_ptr_null(parent.tls);
		ck_assert_uint_eq(strlen(parent.note), SKS_NOTE_MOST);
		sks_call_free_parts(&parent);
	}
	sks_outcome_give_back(&outcomes, outcome);
	sks_outcomes_free(&outcomes);
}

TEST(a_child_that_tells_nothing_has_left_or_crashed)
{
	struct sks_outcome *outcome = sks_outcome_take(&outcomes);
	struct sks_call left = new_call(&flows[0]), crashed = new_call(&flows[1]);

	sks_outcome_hear(outcome, &left, 1);
	sks_outcome_hear(outcome, &crashed, 0);
	ck_assert_int_eq(left.ended, SKS_ENDED_DONE);
	ck_assert_int_eq(crashed.ended, SKS_ENDED_ERROR);
	sks_outcome_give_back(&outcomes, outcome);
	sks_outcomes_free(&outcomes);
}
