/* SPDX-License-Identifier: MIT */
/*
 * A star first takes nothing, and one byte more each time what follows does not
 * fit. Only the last star is ever tried again: what an earlier one would take
 * more, the last one can. Trying each, as the obvious recursion does, takes
 * exponential time for "*a*a*a*a".
 */
#include "glob.h"

/* Does a set, whose bytes begin at *p, behind the bracket, have c? *p is behind the set then. */
static int
in_set(const char **p, const char *end, char c)
{
	const char *s = *p;
	int found = 0, not = s < end && *s == '^';

	for (s += not; s < end && *s != ']'; s++) {
		unsigned char low, high, is = (unsigned char)c;

		if (*s == '\\' && s + 1 < end)
			s++;
		low = high = (unsigned char)*s;
		if (end - s > 2 && s[1] == '-' && s[2] != ']') {
			s += 2;
			high = (unsigned char)*s;
		}
		found |= (low <= is && is <= high) || (high <= is && is <= low);
	}
	*p = s < end ? s + 1 : end;
	return found != not;
}

/* Is c what the pattern wants at *p, which is no star? Then *p is behind that. */
static int
fits(const char **p, const char *end, char c)
{
	const char *s = *p;
	int yes;

	switch (*s++) {
	case '?':
		yes = 1;
		break;
	case '[':
		yes = in_set(&s, end, c);
		break;
	case '\\':
		s += s < end; /* the pattern's last byte stands for itself */
		yes = s[-1] == c;
		break;
	default:
		yes = s[-1] == c;
	}
	*p = s;
	return yes;
}

int
glob(const char *pattern, size_t pattern_len, const char *text, size_t n)
{
	const char *p = pattern, *end = pattern + pattern_len;
	const char *t = text, *text_end = text + n;
	const char *star = NULL, *from = NULL; /* behind the last star; where its bytes end */

	while (t < text_end) {
		if (p < end && *p == '*') {
			star = ++p;
			from = t;
		} else if (p < end && fits(&p, end, *t)) {
			t++;
		} else if (star != NULL) {
			p = star;
			t = ++from;
		} else
			return 0;
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}
