/* SPDX-License-Identifier: MIT */
/*
 * Replies. A short one is put together and written in one call.
 */
#include "resp.h"

#include <string.h>

#define HEAD_MAX 24
#define AT_ONCE 256
#define LINE_MOST 512

/* Writes a head such as "$12\r\n". Returns its length. */
static size_t
head(char *to, char type, uint64_t n)
{
	char digits[20], *first = digits + sizeof(digits);
	size_t len;

	do
		*--first = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	len = (size_t)(digits + sizeof(digits) - first);
	to[0] = type;
	memcpy(to + 1, first, len);
	to[1 + len] = '\r';
	to[2 + len] = '\n';
	return len + 3;
}

int
resp_line(struct sks_wfile *w, const char *text)
{
	char line[LINE_MOST];
	size_t n = strlen(text);

	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	memcpy(line, text, n);
	line[n] = '\r';
	line[n + 1] = '\n';
	return sks_write(w, line, n + 2);
}

int
resp_number(struct sks_wfile *w, int64_t number)
{
	char line[HEAD_MAX + 1];
	size_t n;

	if (number >= 0)
		return sks_write(w, line, head(line, ':', (uint64_t)number));
	n = head(line + 1, '-', 0 - (uint64_t)number);
	line[0] = ':';
	return sks_write(w, line, n + 1);
}

int
resp_bulk(struct sks_wfile *w, const void *bytes, size_t n)
{
	char all[AT_ONCE];
	size_t len = head(all, '$', n);

	if (len + n + 2 <= sizeof(all)) {
		memcpy(all + len, bytes, n);
		memcpy(all + len + n, "\r\n", 2);
		return sks_write(w, all, len + n + 2);
	}
	if (sks_write(w, all, len) == -1 || sks_write(w, bytes, n) == -1)
		return -1;
	return sks_write(w, "\r\n", 2);
}

int
resp_head(struct sks_wfile *w, char type, size_t n)
{
	char line[HEAD_MAX];

	return sks_write(w, line, head(line, type, n));
}
