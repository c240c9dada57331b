/* SPDX-License-Identifier: MIT */
/*
 * check_exceptions.c - handlers in C++, each with the exceptions that it threw
 * itself: what one handles while it waits is not the business of any other.
 * The handler is in plugins/throws.cc.
 */
#include "acceptance.h"

#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

extern const struct sks_handler throws_handler;

/* Both are served at once, so not where requests run one after the other. */
#define AT_ONCE(acc)                                                  \
	do {                                                          \
		if ((acc).mode->one_at_a_time) {                      \
			acc_free(&(acc));                             \
			return;                                       \
		}                                                     \
	} while (0)

static void
ask(int fd, const char *command, const char *answer)
{
	peer_puts(fd, command);
	peer_expect(fd, answer);
}

TEST(each_throws_its_own_again, EACH_STREAM)
{
	struct acc acc;
	int a, b;

	acc_streams(&acc, _i, &throws_handler, NULL);
	AT_ONCE(acc);
	acc_start(&acc);
	a = acc_client(&acc);
	b = acc_client(&acc);
	ask(a, "throw A\n", "caught\n");
	ask(b, "throw B\n", "caught\n");
	ask(a, "again\n", "A\n");
	ask(b, "throw C\n", "caught\n");
	ask(a, "current\n", "A\n");
	ask(b, "again\n", "C\n");
	ask(b, "end\n", "C\n");
	ask(b, "again\n", "B\n");
	ask(a, "current\n", "A\n");
	ask(a, "end\n", "A\n");
	ask(b, "current\n", "B\n");
	ask(b, "end\n", "B\n");
	ask(a, "current\n", "none\n");
	ask(b, "current\n", "none\n");
	close(a);
	close(b);
	acc_free(&acc);
}

TEST(who_leaves_first_frees_its_own, EACH_STREAM)
{
	struct acc acc;
	int a, b;

	acc_streams(&acc, _i, &throws_handler, NULL);
	AT_ONCE(acc);
	acc_start(&acc);
	a = acc_client(&acc);
	b = acc_client(&acc);
	ask(a, "throw what went wrong for A\n", "caught\n");
	ask(b, "throw what went wrong for B\n", "caught\n");
	ask(a, "end\n", "what went wrong for A\n");
	close(a);
	ask(b, "end\n", "what went wrong for B\n");
	close(b);
	acc_free(&acc);
}

TEST(who_threw_nothing_has_none, EACH_STREAM)
{
	struct acc acc;
	int a, b, c;

	acc_streams(&acc, _i, &throws_handler, NULL);
	AT_ONCE(acc);
	acc_start(&acc);
	a = acc_client(&acc);
	b = acc_client(&acc);
	ask(a, "throw A\n", "caught\n");
	ask(b, "current\n", "none\n");
	c = acc_client(&acc);
	ask(c, "current\n", "none\n");
	ask(c, "uncaught\n", "0\n");
	close(a);
	close(b);
	close(c);
	acc_free(&acc);
}

TEST(who_waits_in_a_destructor_is_alone_with_it, EACH_STREAM)
{
	struct acc acc;
	int a, b;

	acc_streams(&acc, _i, &throws_handler, NULL);
	AT_ONCE(acc);
	acc_start(&acc);
	a = acc_client(&acc);
	b = acc_client(&acc);
	peer_puts(a, "unwind A\n");
	ask(a, "uncaught\n", "1\n");
	ask(b, "uncaught\n", "0\n");
	peer_puts(b, "unwind B\n");
	ask(b, "uncaught\n", "1\n");
	ask(a, "uncaught\n", "1\n");
	ask(a, "end\n", "A\n");
	ask(b, "uncaught\n", "1\n");
	ask(a, "uncaught\n", "0\n");
	ask(b, "end\n", "B\n");
	close(a);
	close(b);
	acc_free(&acc);
}

TEST(children_have_their_own, EACH_STREAM)
{
	struct acc acc;
	int a;

	acc_streams(&acc, _i, &throws_handler, NULL);
	acc_start(&acc);
	a = acc_client(&acc);
	ask(a, "throw A\n", "caught\n");
	ask(a, "children\n", "5 6 7\n");
	ask(a, "again\n", "A\n");
	ask(a, "end\n", "A\n");
	close(a);
	acc_free(&acc);
}
