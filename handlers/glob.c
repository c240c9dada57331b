/* SPDX-License-Identifier: MIT */
/*
 * The pattern is an automaton, and all of its states are tried at once. An element of the
 * pattern is a byte, "?" or a set; state i is reached when the text so far fits the first
 * i elements. Each state has a bit. One byte of the text moves all bits, with a few
 * operations for each 64 elements, however many stars there are.
 *
 * The alternative is to try the last star again, one byte further each time. It needs
 * less code, but for "*aaa...ab" it takes as many steps as the lengths of pattern and
 * text multiplied: 80 ms for one key of 8 KiB.
 */
#include "glob.h"

#include <string.h>

/*
 * Returns 1 when the set at *p, behind its bracket, has the byte c, or 0. Moves *p behind the set.
 */
static int
in_set(const char **p, const char *end, unsigned int c)
{
	const char *s = *p;
	int found = 0, not = s < end && *s == '^';

	for (s += not; s < end && *s != ']'; s++) {
		unsigned int low, high;

		if (*s == '\\' && s + 1 < end)
			s++;
		low = high = (unsigned char)*s;
		if (end - s > 2 && s[1] == '-' && s[2] != ']') {
			s += 2;
			high = (unsigned char)*s;
		}
		found |= (low <= c && c <= high) || (high <= c && c <= low);
	}
	*p = s < end ? s + 1 : end;
	return found != not;
}

/*
 * Returns 1 when the element at *p, which is no star, takes the byte c, or 0. Moves *p behind the
 * element.
 */
static int
fits(const char **p, const char *end, unsigned int c)
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
		yes = (unsigned char)s[-1] == c;
		break;
	default:
		yes = (unsigned char)s[-1] == c;
	}
	*p = s;
	return yes;
}

static void
set_bit(uint64_t *bits, size_t i)
{
	bits[i / 64] |= (uint64_t)1 << i % 64;
}

static int
has_bit(const uint64_t *bits, size_t i)
{
	return (int)(bits[i / 64] >> i % 64 & 1);
}

void
glob_compile(struct glob *g, const char *pattern, size_t n)
{
	const char *p = pattern, *end = pattern + n, *next;
	unsigned int c;

	memset(g, 0, sizeof(*g));
	while (p < end) {
		if (*p == '*') {
			set_bit(g->stays, g->last);
			p++;
			continue;
		}
		for (c = 0; c < 256; c++) {
			next = p;
			if (fits(&next, end, c))
				set_bit(g->takes[c], g->last);
		}
		p = next;
		g->last++;
	}
	g->words = g->last / 64 + 1;
}

void
glob_begin(struct glob *g)
{
	memset(g->reached, 0, sizeof(g->reached));
	set_bit(g->reached, 0);
}

int
glob_feed(struct glob *g, const char *text, size_t n)
{
	uint64_t some = 1;
	size_t i, w;

	for (i = 0; i < n && some != 0; i++) {
		const uint64_t *takes = g->takes[(unsigned char)text[i]];
		uint64_t carry = 0;

		for (some = 0, w = 0; w < g->words; w++) {
			uint64_t on = g->reached[w] & takes[w];

			g->reached[w] = on << 1 | carry | (g->reached[w] & g->stays[w]);
			carry = on >> 63;
			some |= g->reached[w];
		}
	}
	return some != 0;
}

int
glob_end(const struct glob *g)
{
	return has_bit(g->reached, g->last);
}
