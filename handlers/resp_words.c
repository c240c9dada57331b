/* SPDX-License-Identifier: MIT */
/*
 * A command as a line of words, with quotes, as a person types it.
 */
#include "resp_words.h"

#include <string.h>

static int
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* The byte that an escape such as \n or \x41 means. *p is behind the backslash, and moves on. */
static char
escaped(const char **p, const char *end)
{
	static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
	const char *c = *p, *known;

	if (end - c >= 3 && c[0] == 'x' && hex(c[1]) >= 0 && hex(c[2]) >= 0) {
		*p += 3;
		return (char)(hex(c[1]) * 16 + hex(c[2]));
	}
	*p += 1;
	known = *c != '\0' ? strchr(from, *c) : NULL;
	return known != NULL ? to[known - from] : *c;
}

/*
 * Copies the inside of quotes at *p to *to. 0, or -1: they have no end, or a word goes on
 * behind it.
 */
static int
unquote(const char **p, const char *end, char quote, char **to)
{
	const char *c = *p;

	for (;;) {
		if (c == end)
			return -1;
		if (*c == quote)
			break;
		if (*c == '\\' && quote == '"' && end - c > 1) {
			c++;
			*(*to)++ = escaped(&c, end);
		} else if (*c == '\\' && quote == '\'' && end - c > 1 && c[1] == '\'') {
			*(*to)++ = '\'';
			c += 2;
		} else
			*(*to)++ = *c++;
	}
	*p = c + 1;
	return *p == end || is_blank(**p) ? 0 : -1;
}

int
resp_next_word(char **at, const char *end, char **word, size_t *len)
{
	const char *p = *at;
	char *to;

	while (p < end && is_blank(*p))
		p++;
	*word = to = *at + (p - *at);
	while (p < end && !is_blank(*p)) {
		char c = *p++;

		if (c != '"' && c != '\'')
			*to++ = c;
		else if (unquote(&p, end, c, &to) == -1)
			return -1;
	}
	*len = (size_t)(to - *word);
	*at += p - *at;
	return p > *word;
}
