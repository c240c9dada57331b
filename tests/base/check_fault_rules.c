/* SPDX-License-Identifier: MIT */
/*
 * check_fault_rules.c - the texts by which a test makes system calls fail: which are right, and
 * when a rule strikes.
 */
#include "faults.h"
#include "suite.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

FIXTURE(sks_fault_clear, sks_fault_clear);

static void
rules(const char *text)
{
	ck_assert_msg(sks_fault(text) == 0, "sks_fault(\"%s\"): %s", text, strerror(errno));
}

/* One use of "shutdown", which has nothing to do here: 0 or its error. */
static int
use(void)
{
	errno = 0;
	ck_assert_int_eq(sks_sys_shutdown(-1, SHUT_RD), -1);
	return errno == EBADF ? 0 : errno;
}

/* Which of the next uses fail: "..x." is the third of four. */
static const char *
pattern(char *to, int n)
{
	int i;

	for (i = 0; i < n; i++)
		to[i] = use() != 0 ? 'x' : '.';
	to[n] = '\0';
	return to;
}

TEST(good_rules_are_taken)
{
	static const char *const good[] = {
		"accept4:EMFILE", "accept4:EMFILE:3", "accept4:EMFILE:3+", "accept4:EMFILE:%2",
		"recv:short=1", "recv:short=65535:2+", "malloc:ENOMEM:7", "event_add:ENOMEM",
		"getaddrinfo:EAI_AGAIN", "getnameinfo:EAI_FAIL:2", "getaddrinfo:ENOMEM",
		"recv:EINTR:%2,send:EAGAIN:%2,recv:short=1", "open:ENOENT", "fcntl:EBADF",
		"poll:EINTR:4294967295", "sendmsg:short=3:%4", "pthread_create:EAGAIN",
	};
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(good); i++) {
		rules(good[i]);
		sks_fault_clear();
	}
}

TEST(bad_rules_are_einval_and_add_nothing)
{
	static const char *const bad[] = {
		"", "accept4", "accept4:", ":EMFILE", "accept4:EWHAT", "accept5:EMFILE",
		"accept4:EMFILE:", "accept4:EMFILE:0", "accept4:EMFILE:-1", "accept4:EMFILE:+",
		"accept4:EMFILE:%", "accept4:EMFILE:%0", "accept4:EMFILE:x", "accept4:EMFILE:1+2",
		"accept4:EMFILE:4294967296", "accept4:EMFILE:%2+", "accept4:EMFILE:1:2",
		"accept4:EMFILE ", " accept4:EMFILE", "accept4:short=1", "recv:short=",
		"recv:short=0", "recv:short=65536", "recv:short=1x", "recv:short", "recv:EAI_AGAIN",
		"free:ENOMEM", "calloc:ENOMEM", "shutdown:EIO,", ",shutdown:EIO",
		"shutdown:EIO:1+,accept4", "accept4:emfile",
	};
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(bad); i++) {
		errno = 0;
		ck_assert_msg(sks_fault(bad[i]) == -1, "\"%s\" was taken", bad[i]);
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_int_eq(use(), 0);
	}
	ck_assert_uint_eq(sks_fault_hits(), 0);
}

TEST(rules_strike_when_they_say)
{
	static const struct {
		const char *rules, *pattern;
	} table[] = {
		{ "shutdown:EIO", "x......." },
		{ "shutdown:EIO:1", "x......." },
		{ "shutdown:EIO:3", "..x....." },
		{ "shutdown:EIO:3+", "..xxxxxx" },
		{ "shutdown:EIO:%3", "..x..x.." },
		{ "shutdown:EIO:%1", "xxxxxxxx" },
		{ "shutdown:EIO:2,shutdown:EIO:5+", ".x..xxxx" },
		{ "listen:EIO:1+", "........" },
	};
	char got[16];
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		sks_fault_clear();
		rules(table[i].rules);
		ck_assert_str_eq(pattern(got, 8), table[i].pattern);
		ck_assert_uint_eq(sks_fault_calls("shutdown"), 8);
	}
}

TEST(a_rule_counts_from_when_it_was_added)
{
	char got[16];

	pattern(got, 5);
	rules("shutdown:EIO:2");
	ck_assert_str_eq(pattern(got, 3), ".x.");
	rules("shutdown:EPERM:2");
	ck_assert_str_eq(pattern(got, 3), ".x.");
	ck_assert_uint_eq(sks_fault_calls("shutdown"), 11);
	ck_assert_uint_eq(sks_fault_hits(), 2);
}

TEST(the_oldest_rule_wins_and_all_of_them_count)
{
	rules("shutdown:EIO:%2,shutdown:EPERM:2+");
	ck_assert_int_eq(use(), 0);
	ck_assert_int_eq(use(), EIO);
	ck_assert_int_eq(use(), EPERM);
	ck_assert_int_eq(use(), EIO);
	ck_assert_uint_eq(sks_fault_hits(), 3);
}

TEST(clear_forgets_rules_and_counts)
{
	rules("shutdown:EIO:1+");
	ck_assert_int_eq(use(), EIO);
	sks_fault_clear();
	ck_assert_int_eq(use(), 0);
	ck_assert_uint_eq(sks_fault_calls("shutdown"), 1);
	ck_assert_uint_eq(sks_fault_hits(), 0);
	ck_assert_uint_eq(sks_fault_calls("no such call"), 0);
}

TEST(more_rules_than_fit_is_enospc_and_adds_nothing)
{
	char many[65 * 20] = "";
	char got[4];
	int i;

	for (i = 0; i < 63; i++)
		rules("listen:EIO:9");
	ck_assert_int_eq(sks_fault("shutdown:EIO,shutdown:EIO:2"), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_str_eq(pattern(got, 2), "..");
	rules("shutdown:EIO");
	ck_assert_int_eq(sks_fault("shutdown:EIO"), -1);
	ck_assert_int_eq(errno, ENOSPC);
	sks_fault_clear();
	for (i = 0; i < 64; i++)
		strcat(many, i == 0 ? "shutdown:EIO:9" : ",shutdown:EIO:9");
	rules(many);
}
