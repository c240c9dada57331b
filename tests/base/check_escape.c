/* SPDX-License-Identifier: MIT */
/*
 * check_escape.c - sks_escape(): what peers chose, for logs and terminals.
 */
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *text;
	size_t n;
	const char *escaped;
} cases[] = {
	{ BYTES(""), "" },
	{ BYTES(" ~az\\\"'"), " ~az\\\"'" },
	{ BYTES("a\tb\nc\r\0d\x1b[2J\x7f"), "a\\x09b\\x0ac\\x0d\\x00d\\x1b[2J\\x7f" },
	/* letters of two, three and four bytes */
	{ BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0" },
	/* C1 controls: CSI, and the first and last ones */
	{ BYTES("\xc2\x9b" "31m\xc2\x80\xc2\x9f"), "\\xc2\\x9b31m\\xc2\\x80\\xc2\\x9f" },
	/* C1 as it is in Latin 1, and other bytes that begin or go on with nothing */
	{ BYTES("\x9b" "31m\xff\xfe\xc3"), "\\x9b31m\\xff\\xfe\\xc3" },
	{ BYTES("\xe2\x82" "a\xf0\x9f\x98"), "\\xe2\\x82a\\xf0\\x9f\\x98" },
	/* overlong, a surrogate, beyond the last */
	{ BYTES("\xc0\x8a\xe0\x80\x8a\xf0\x80\x80\x8a"), "\\xc0\\x8a\\xe0\\x80\\x8a\\xf0\\x80\\x80\\x8a" },
	{ BYTES("\xed\xa0\x80\xf4\x90\x80\x80\xf5\x80\x80\x80"),
	    "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xf5\\x80\\x80\\x80" },
	/* the direction of writing: RLO, RLM, LRI, ALM */
	{ BYTES("\xe2\x80\xae\xe2\x80\x8f\xe2\x81\xa6\xd8\x9c"),
	    "\\xe2\\x80\\xae\\xe2\\x80\\x8f\\xe2\\x81\\xa6\\xd8\\x9c" },
	/* no width: a soft hyphen, a zero width space, a byte order mark, a tag */
	{ BYTES("\xc2\xad\xe2\x80\x8b\xef\xbb\xbf\xf3\xa0\x81\xa1"),
	    "\\xc2\\xad\\xe2\\x80\\x8b\\xef\\xbb\\xbf\\xf3\\xa0\\x81\\xa1" },
	/* the end of a line or paragraph; private use; no characters */
	{ BYTES("\xe2\x80\xa8\xe2\x80\xa9\xee\x80\x80\xef\xbf\xbf\xef\xb7\x90"),
	    "\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xee\\x80\\x80\\xef\\xbf\\xbf\\xef\\xb7\\x90" },
};

TEST(what_is_not_printable_is_escaped, EACH_OF(cases))
{
	char got[200];
	size_t n = sks_escape(cases[_i].text, cases[_i].n, got, sizeof(got));

	ck_assert_str_eq(got, cases[_i].escaped);
	ck_assert_uint_eq(n, strlen(got));
}

/* At any size: a part of what fits whole, up to a character's end. */
TEST(no_character_is_cut, EACH_OF(cases))
{
	size_t all = strlen(cases[_i].escaped), size, last = 0;
	char got[200];

	for (size = 1; size <= all + 1; size++) {
		size_t n;

		memset(got, '!', sizeof(got));
		n = sks_escape(cases[_i].text, cases[_i].n, got, size);
		ck_assert_uint_lt(n, size);
		ck_assert_uint_eq(n, strlen(got));
		ck_assert_int_eq(strncmp(got, cases[_i].escaped, n), 0);
		ck_assert_uint_ge(n, last);
		ck_assert(n == all || ((unsigned char)cases[_i].escaped[n] & 0xc0) != 0x80);
		ck_assert_int_eq(got[size], '!');
		last = n;
	}
	ck_assert_uint_eq(last, all);
	ck_assert_uint_eq(sks_escape("x", 1, NULL, 0), 0);
}

/* Each character by itself; what comes out of it once is printable. */
TEST(what_was_escaped_is_printable)
{
	unsigned int c;

	for (c = 0x80; c < 0x110000; c += is_slow() ? 17 : 1) {
		char text[4], once[20], twice[20];
		size_t n;

		if (c < 0x800) {
			n = 2;
			text[0] = (char)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			n = 3;
			text[0] = (char)(0xe0 | c >> 12);
			text[1] = (char)(0x80 | (c >> 6 & 0x3f));
		} else {
			n = 4;
			text[0] = (char)(0xf0 | c >> 18);
			text[1] = (char)(0x80 | (c >> 12 & 0x3f));
			text[2] = (char)(0x80 | (c >> 6 & 0x3f));
		}
		text[n - 1] = (char)(0x80 | (c & 0x3f));
		n = sks_escape(text, n, once, sizeof(once));
		sks_escape(once, n, twice, sizeof(twice));
		if (strcmp(once, twice) != 0)
			ck_abort_msg("%s becomes %s", once, twice);
	}
}
