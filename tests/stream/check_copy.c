/* SPDX-License-Identifier: MIT */
/*
 * check_copy.c - sks_copy() and sks_pass(), from one stream to another.
 */
#include "streams.h"

#include <errno.h>
#include <string.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

TEST_ON_BOTH(copy_copies_so_many_or_all)
{
	struct rig_link from, to;
	char got[64];

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("one line\nhead:body:tail"));
	expect_line(&from, TEXT("one line\n"));
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 0), 0);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 5), 0);
	ck_assert_uint_eq(sks_tell(&from.r), 14);
	ck_assert_int_eq(sks_flush(&to.w), 0);
	ck_assert_uint_eq(rig_hear(&to, got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "head:", 5);
	shutdown(from.peer, SHUT_WR);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 100), -1);
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_int_eq(sks_error(&from.r), 0);
	ck_assert_int_eq(sks_error(&to.w), 0);
	ck_assert_int_eq(sks_flush(&to.w), 0);
	ck_assert_uint_eq(rig_hear(&to, got, sizeof(got)), 9);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 1), -1);
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, -1), 0);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 0), 0);
	rig_link_close(&from);
	rig_link_close(&to);
}

static void
expect_passed(struct rig_link *to, const char *want, size_t n)
{
	char got[64];

	ck_assert_int_eq(sks_flush(&to->w), 0);
	ck_assert_uint_eq(rig_hear(to, got, sizeof(got)), n);
	ck_assert_mem_eq(got, want, n);
}

TEST_ON_BOTH(pass_passes_on_what_there_is)
{
	struct rig_link from, to;

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("one line\nrest"));
	expect_line(&from, TEXT("one line\n"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4); /* what was buffered */
	ck_assert_uint_eq(sks_tell(&from.r), 13);
	expect_passed(&to, TEXT("rest"));
	ck_assert_int_eq(sks_puts(&to.w, "head:"), 0);
	rig_say(&from, TEXT("body:"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 5); /* behind what was written */
	ck_assert_int_eq(sks_puts(&to.w, "tail"), 0);
	expect_passed(&to, TEXT("head:body:tail"));
	rig_say(&from, TEXT("more"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4); /* before what is written */
	ck_assert_int_eq(sks_puts(&to.w, "and more"), 0);
	expect_passed(&to, TEXT("moreand more"));
	shutdown(from.peer, SHUT_WR);
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 0);
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 0);
	ck_assert_uint_eq(sks_tell(&from.r), 22);
	rig_link_close(&from);
	rig_link_close(&to);
}

/* More than to's buffer may hold, into a socket, and into memory that is too small for it. */
TEST_ON_BOTH(pass_keeps_to_the_bounds_of_what_it_writes_to)
{
	struct sks_wfile memory;
	struct rig_link from, to;

	rig_link_open(&from);
	rig_link_open(&to);
	to.w.max_output = 3;
	rig_say(&from, TEXT("body"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4);
	expect_passed(&to, TEXT("body"));
	sks_wfile_init(&memory, NULL, &to.times, &to.times, 5);
	rig_say(&from, TEXT("four"));
	ck_assert_int_eq(sks_pass(&from.r, &memory), 4);
	rig_say(&from, TEXT("more"));
	ck_assert_int_eq(sks_pass(&from.r, &memory), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	shutdown(from.peer, SHUT_WR);
	expect_line(&from, TEXT("more")); /* it was not consumed; then comes the end */
	sks_wfile_close(&memory);
	rig_link_close(&from);
	rig_link_close(&to);
}

TEST_ON_BOTH(pass_tells_what_broke_either_side)
{
	struct rig_link from, to;

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("lost"));
	close(to.peer);
	to.peer = -1;
	ck_assert_int_eq(sks_puts(&to.w, "x"), 0);
	ck_assert_int_eq(sks_flush(&to.w), -1);
	ck_assert_int_eq(sks_pass(&from.r, &to.w), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_error(&from.r), 0);
	rig_link_close(&from);
	rig_link_close(&to);
}

/* A pass or a copy binds its rfile to no other wfile than the one to the same peer. */
TEST_ON_BOTH(a_read_behind_a_pass_ends_with_its_own_wfile_alone)
{
	struct rig_link from, to;
	char *line;

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("pass"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4);
	rig_say(&from, TEXT("copy"));
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 4), 0);
	close(to.peer);
	to.peer = -1;
	ck_assert_int_eq(sks_flush(&to.w), -1);
	rig_say(&from, TEXT("line\n"));
	expect_line(&from, TEXT("line\n")); /* this one goes on */
	ck_assert_int_eq(sks_puts(&from.w, "question"), 0);
	fault("send:EPIPE");
	ck_fails(sks_readline(&from.r, &line), EPIPE); /* to which there is no answer */
	rig_link_close(&from);
	rig_link_close(&to);
}
