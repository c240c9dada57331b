/* SPDX-License-Identifier: MIT */
/*
 * check_glob.c - patterns as KEYS has them.
 */
#include "harness.h"

#include "../../handlers/glob.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *pattern, *text;
	int yes;
} globs[] = {
	{ "", "", 1 }, { "", "a", 0 }, { "*", "", 1 }, { "*", "any", 1 }, { "**", "a", 1 },
	{ "a", "a", 1 }, { "a", "b", 0 }, { "a", "aa", 0 }, { "?", "a", 1 }, { "?", "", 0 },
	{ "a*c", "abbc", 1 }, { "a*c", "abbcd", 0 }, { "*b*", "abc", 1 }, { "a?c*", "abcdef", 1 },
	{ "*ab", "aab", 1 }, { "*a*b*c", "xaxbxc", 1 }, { "*a*b*c", "xbxaxc", 0 },
	{ "h[ae]llo", "hello", 1 }, { "h[ae]llo", "hillo", 0 }, { "h[^e]llo", "hallo", 1 },
	{ "h[^e]llo", "hello", 0 }, { "h[a-b]llo", "hbllo", 1 }, { "h[b-a]llo", "hbllo", 1 },
	{ "h[a-b]llo", "hcllo", 0 }, { "[a-]", "-", 1 }, { "[", "x", 0 }, { "[a", "a", 1 },
	{ "[^", "a", 1 }, { "[\\]]", "]", 1 }, { "\\*", "*", 1 }, { "\\*", "a", 0 },
	{ "\\", "\\", 1 }, { "a\\", "a\\", 1 }, { "*[0-9]", "key7", 1 }, { "[]", "a", 0 },
	{ "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0 },
};

static struct glob glob;

static int
match(const char *pattern, size_t pattern_len, const char *text, size_t n, size_t step)
{
	size_t at;

	glob_compile(&glob, pattern, pattern_len);
	glob_begin(&glob);
	for (at = 0; at < n; at += step)
		if (!glob_feed(&glob, text + at, n - at < step ? n - at : step))
			return 0;
	return glob_end(&glob);
}

/*
 * The definition, which tries each way: whether the text is as the pattern, of "a", "b", "?" and
 * "*".
 */
static int
is_as(const char *pattern, const char *text)
{
	if (*pattern == '\0')
		return *text == '\0';
	if (*pattern == '*')
		return is_as(pattern + 1, text) || (*text != '\0' && is_as(pattern, text + 1));
	return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
	    is_as(pattern + 1, text + 1);
}

TEST(patterns_match_as_those_of_redis, EACH_OF(globs))
{
	size_t step;

	for (step = 1; step < 100; step += 7)
		ck_assert_msg(match(globs[_i].pattern, strlen(globs[_i].pattern), globs[_i].text,
		    strlen(globs[_i].text), step) == globs[_i].yes, "'%s' and '%s'",
		    globs[_i].pattern, globs[_i].text);
}

TEST(a_nul_is_a_byte)
{
	ck_assert_int_eq(match("a\0?", 3, "a\0b", 3, 3), 1);
	ck_assert_int_eq(match("a\0?", 3, "a\0", 2, 2), 0);
}

TEST(short_patterns_match_as_defined)
{
	static const char in_pattern[] = "ab?*", in_text[] = "ab";
	char pattern[6] = "", text[7] = "";
	int i, k, n, m;

	for (i = 0; i < 1024; i++)
		for (k = 0; k < 64; k++) {
			for (n = 0; n < 5; n++)
				pattern[n] = in_pattern[i >> (2 * n) & 3];
			for (m = 0; m < 6; m++)
				text[m] = in_text[k >> m & 1];
			if (match(pattern, 5, text, 6, 6) != is_as(pattern, text))
				ck_abort_msg("'%s' and '%s'", pattern, text);
		}
}

/*
 * Of lengths so that a state is in each place of a machine word and behind its end, up to the
 * most.
 */
static size_t
next_length(size_t n)
{
	size_t place = n % 64;

	return n < 130 || place < 2 || place > 60 ? n + 1 : n + 61 - place;
}

TEST(long_patterns_match_to_their_last_byte)
{
	static char pattern[GLOB_MOST], text[GLOB_MOST + 1];
	size_t n;

	memset(pattern, 'a', sizeof(pattern));
	memset(text, 'a', sizeof(text));
	for (n = 1; n <= sizeof(pattern); n = next_length(n)) {
		pattern[n - 1] = 'b';
		text[n - 1] = 'b';
		ck_assert_int_eq(match(pattern, n, text, n, n), 1);
		ck_assert_int_eq(match(pattern, n, text, n - 1, n), 0);
		ck_assert_int_eq(match(pattern, n, text, n + 1, n), 0);
		text[n / 2] ^= 1;
		ck_assert_int_eq(match(pattern, n, text, n, n), 0);
		text[n / 2] ^= 1;
		pattern[n - 1] = '*';
		ck_assert_int_eq(match(pattern, n, text, n + 1, n), 1);
		pattern[n - 1] = 'a';
		text[n - 1] = 'a';
	}
}

/* 8 GiB of steps, if each place of the text were tried with each of the pattern. */
TEST(stars_are_not_tried_again_and_again)
{
	size_t n = is_slow() ? 1 << 20 : 8 << 20;
	static char pattern[GLOB_MOST];
	char *text = malloc(n);

	ck_assert_ptr_nonnull(text);
	memset(pattern, 'a', sizeof(pattern));
	pattern[0] = '*';
	pattern[sizeof(pattern) - 1] = 'b';
	memset(text, 'a', n);
	ck_assert_int_eq(match(pattern, sizeof(pattern), text, n, n), 0);
	ck_assert_uint_le(glob.words, GLOB_WORDS);
	free(text);
}
