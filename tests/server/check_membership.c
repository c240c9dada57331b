/* SPDX-License-Identifier: MIT */
/*
 * check_membership.c - the entries of a group against a model of them, also when memory runs out.
 */
#include "harness.h"

#include "server/membership.h"

#include <errno.h>
#include <socketserver/group.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define MOST 300

static struct sks_memberships of[MOST];
static struct sks_request requests[MOST]; /* nothing looks at them */
static int order[MOST], members;          /* in the order of joining */

static void
join(struct sks_group *group, int i)
{
	ck_assert_int_eq(sks_membership_begin(group, &of[i], &requests[i]), 0);
	order[members++] = i;
}

static void
leave(struct sks_group *group, int at)
{
	ck_assert_int_eq(sks_membership_end(group, &of[order[at]]), 0);
	members--;
	memmove(&order[at], &order[at + 1], (size_t)(members - at) * sizeof(order[0]));
}

static int
count(struct sks_request *member, void *arg)
{
	int *n = arg;

	ck_assert_ptr_eq(member, &requests[order[*n]]);
	++*n;
	return *n % 7 == 0; /* it stops now and then, and goes on */
}

static void
expect_members(struct sks_group *group)
{
	uint64_t position = 0;
	int n = 0;

	while (sks_group_each(group, &position, count, &n) != 0)
		;
	ck_assert_int_eq(n, members);
	ck_assert_uint_eq(sks_group_count(group), (size_t)members);
	ck_assert_uint_le(group->n, (size_t)(2 * members + 40));
}

TEST(a_group_holds_who_has_joined_in_that_order)
{
	struct sks_group *group = sks_group_new();
	int k, i;

	srand(1);
	members = 0;
	memset(of, 0, sizeof(of));
	for (k = 0; k < 4000; k++) {
		/* It grows, and shrinks to nothing. */
		if (members == 0 || (members < MOST && rand() % 100 < (k / 500 % 2 == 0 ? 70 : 30))) {
			for (i = rand() % MOST; of[i].first != NULL;)
				i = (i + 1) % MOST;
			join(group, i);
		} else
			leave(group, rand() % members);
		if (k % 50 == 0)
			expect_members(group);
	}
	while (members > 0)
		leave(group, members - 1);
	expect_members(group);
	sks_group_free(group);
}

TEST(a_request_is_in_several_groups)
{
	struct sks_group *groups[3];
	int i;

	members = 0;
	memset(of, 0, sizeof(of));
	for (i = 0; i < 3; i++) {
		groups[i] = sks_group_new();
		ck_assert_int_eq(sks_membership_begin(groups[i], &of[0], &requests[0]), 0);
	}
	ck_assert_int_eq(sks_membership_end(groups[1], &of[0]), 0);
	ck_fails(sks_membership_end(groups[1], &of[0]), ENOENT);
	sks_memberships_end(&of[0]);
	ck_assert_ptr_null(of[0].first);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(sks_group_count(groups[i]), 0);
		sks_group_free(groups[i]);
	}
	sks_group_free(NULL);
}

/* The group's memory goes with the last one, be it the group or a member. */
TEST(group_and_members_end_in_any_order)
{
	int first;

	for (first = 0; first < 2; first++) {
		struct sks_group *group = sks_group_new();

		ck_assert_int_eq(sks_membership_begin(group, &of[0], &requests[0]), 0);
		ck_assert_int_eq(sks_membership_begin(group, &of[1], &requests[1]), 0);
		sks_memberships_end(&of[first]);
		sks_group_free(group);
		sks_memberships_end(&of[1 - first]);
	}
}

TEST(without_memory_nobody_joins)
{
	struct sks_group *group;
	int i;

	fault("malloc:ENOMEM:1");
	ck_assert_ptr_null(sks_group_new());
	group = sks_group_new();
	members = 0;
	memset(of, 0, sizeof(of));
	fault("malloc:ENOMEM:1");
	ck_fails(sks_membership_begin(group, &of[0], &requests[0]), ENOMEM);
	fault("malloc:ENOMEM:2");
	ck_fails(sks_membership_begin(group, &of[0], &requests[0]), ENOMEM);
	for (i = 0; i < 16; i++)
		join(group, i);
	fault("malloc:ENOMEM:2"); /* there is no room for a seventeenth */
	ck_fails(sks_membership_begin(group, &of[16], &requests[16]), ENOMEM);
	expect_members(group);
	fault("malloc:ENOMEM:1");
	ck_fails(sks_group_post(group, "x", 1, NULL), ENOMEM);
	for (i = 0; i < 16; i++)
		sks_memberships_end(&of[i]);
	sks_group_free(group);
}
