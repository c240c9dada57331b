/* SPDX-License-Identifier: MIT */
/*
 * Text that others chose, made fit for a line of a log or a terminal.
 *
 * iswprint(3) asks the locale, which in most programs is "C" and knows ASCII alone; a
 * terminal takes UTF-8 all the same. So what a terminal would obey or hide stands in a
 * table here: controls, C1 (which UTF-8 has as two bytes) among them; what turns the
 * direction of writing; what has no width; and what nobody has given a shape. Bytes
 * that are no UTF-8 are escaped too, since a terminal of another character set may
 * take them for controls.
 *
 * Called by signal handlers, too: no locale, no memory, no stdio.
 */
#include <socketserver/request.h>

#include <stdint.h>

static const struct {
	uint32_t first, last;
} unprintable[] = {
	{ 0x80, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x600, 0x605 }, { 0x61c, 0x61c },
	{ 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 }, { 0x8e2, 0x8e2 },
	{ 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xe000, 0xf8ff },
	{ 0xfdd0, 0xfdef }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb },
	{ 0xfffe, 0xffff }, { 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x1343f },
	{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0x1fffe, 0x1ffff }, { 0x2fffe, 0x2ffff },
	{ 0x3fffe, 0x10ffff }, /* from there on only tags and private use */
};

static int
is_printable(uint32_t c)
{
	size_t i;

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	for (i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++)
		if (c >= unprintable[i].first && c <= unprintable[i].last)
			return 0;
	return 1;
}

/* Returns how many bytes the character at p has, up to n of them; 0: that is no UTF-8. */
static size_t
decode(const unsigned char *p, size_t n, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4, i;

	if (len == 0 || len > n || p[0] > 0xf4)
		return 0;
	*c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3fu);
	}
	return *c < least[len] || (*c >= 0xd800 && *c <= 0xdfff) || *c > 0x10ffff ? 0 : len;
}

/* Writes a byte as "\x1b". Returns the length. */
static size_t
put_hex(char *to, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	to[0] = '\\';
	to[1] = 'x';
	to[2] = hex[c >> 4];
	to[3] = hex[c & 15];
	return 4;
}

size_t
sks_escape(const char *text, size_t n, char *buf, size_t size)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + n;
	size_t used = 0, len, i;
	uint32_t c;

	if (size == 0)
		return 0;
	for (; p < end; p += len) {
		int plain;

		len = decode(p, (size_t)(end - p), &c);
		plain = len > 0 && is_printable(c);
		if (len == 0)
			len = 1;
		if (used + (plain ? len : 4 * len) >= size)
			break;
		for (i = 0; i < len; i++) {
			if (plain)
				buf[used++] = (char)p[i];
			else
				used += put_hex(buf + used, p[i]);
		}
	}
	buf[used] = '\0';
	return used;
}
