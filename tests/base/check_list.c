/* SPDX-License-Identifier: MIT */
/*
 * check_list.c - the intrusive list.
 */
#include "suite.h"
#include "base/list.h"

#include <stdlib.h>

struct item {
	int value;
	struct sks_list link;
};

static struct item items[5];

static void
fill(struct sks_list *head, int from, int to)
{
	int i;

	sks_list_init(head);
	for (i = from; i < to; i++) {
		items[i].value = i;
		sks_list_init(&items[i].link);
		sks_list_append(head, &items[i].link);
	}
}

/*
 * The values in order as one decimal number, 1 in front: 1234 is 2, 3, 4. Also walks it backwards.
 */
static int
digits(const struct sks_list *head)
{
	const struct sks_list *l;
	int n = 1, count = 0;

	for (l = head->next; l != head; l = l->next, count++)
		n = n * 10 + sks_list_entry(l, struct item, link)->value;
	for (l = head->prev; l != head; l = l->prev)
		count--;
	ck_assert_int_eq(count, 0);
	return n;
}

TEST(new_list_is_empty)
{
	struct sks_list head;

	sks_list_init(&head);
	ck_assert(sks_list_empty(&head));
	ck_assert_ptr_null(sks_list_pop(&head));
}

TEST(append_keeps_order_and_push_goes_first)
{
	struct sks_list head;

	fill(&head, 0, 3);
	ck_assert_int_eq(digits(&head), 1012);
	items[4].value = 4;
	sks_list_push(&head, &items[4].link);
	ck_assert_int_eq(digits(&head), 14012);
}

TEST(pop_takes_the_first_and_leaves_it_on_no_list)
{
	struct sks_list head, *l;

	fill(&head, 1, 4);
	l = sks_list_pop(&head);
	ck_assert_int_eq(sks_list_entry(l, struct item, link)->value, 1);
	ck_assert(sks_list_empty(l));
	ck_assert_int_eq(digits(&head), 123);
}

TEST(removing_twice_is_harmless)
{
	struct sks_list head;

	fill(&head, 0, 3);
	sks_list_remove(&items[1].link);
	sks_list_remove(&items[1].link);
	ck_assert(sks_list_empty(&items[1].link));
	ck_assert_int_eq(digits(&head), 102);
}

TEST(walk_may_remove_the_entry_it_is_at)
{
	struct sks_list head;
	int seen = 0;

	fill(&head, 0, 5);
	sks_list_each (l, &head) {
		seen++;
		if (sks_list_entry(l, struct item, link)->value % 2 == 0)
			sks_list_remove(l);
	}
	ck_assert_int_eq(seen, 5);
	ck_assert_int_eq(digits(&head), 113);
}

TEST(walk_of_an_empty_list_has_no_steps)
{
	struct sks_list head;

	sks_list_init(&head);
	sks_list_each (l, &head)
		ck_abort_msg("an entry in an empty list");
}

TEST(move_all_appends_and_empties)
{
	struct sks_list to, from;

	fill(&to, 0, 2);
	fill(&from, 2, 5);
	sks_list_move_all(&to, &from);
	ck_assert_int_eq(digits(&to), 101234);
	ck_assert(sks_list_empty(&from));
	sks_list_move_all(&to, &from);
	ck_assert_int_eq(digits(&to), 101234);
	sks_list_move_all(&from, &to);
	ck_assert_int_eq(digits(&from), 101234);
	ck_assert(sks_list_empty(&to));
}
