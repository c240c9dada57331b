/* SPDX-License-Identifier: MIT */
/*
 * log_line.c - a line of a log while it is made.
 *
 * The date is computed here: gmtime_r(3) of glibc takes a lock, which a child that was forked while
 * another thread held it never gets.
 */
#include "base/log_line.h"

#include "base/util.h"

#include <socketserver/request.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define END_SIZE 6 /* a closing, a newline and a NUL */
#define ESCAPED 4  /* bytes that sks_escape() makes of one, as "\x1b" */

/* How many bytes more, beside a NUL. */
static size_t
room(const struct sks_log_line *line)
{
	return sizeof(line->text) - END_SIZE - line->used;
}

void
sks_log_line_printf(struct sks_log_line *line, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->used, room(line) + 1, format, args);
	va_end(args);
	if (n > 0)
		line->used += sks_min((size_t)n, room(line));
}

void
sks_log_line_escaped(struct sks_log_line *line, const char *text, size_t n)
{
	line->used += sks_escape(text, n, line->text + line->used, room(line) + 1);
}

/* Returns how many bytes a character has in UTF-8 that begins with this byte. */
static size_t
character_size(unsigned char first)
{
	return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Adds one character, made printable. 0, or -1: there is no room for it and a quote. */
static int
put_json(struct sks_log_line *line, const char *text, size_t n)
{
	char plain[4 * ESCAPED + 1], quoted[8 * ESCAPED];
	size_t i, used = 0, length = sks_escape(text, n, plain, sizeof(plain));

	for (i = 0; i < length; i++) {
		if (plain[i] == '"' || plain[i] == '\\')
			quoted[used++] = '\\';
		quoted[used++] = plain[i];
	}
	if (room(line) < used + 1)
		return -1;
	memcpy(line->text + line->used, quoted, used);
	line->used += used;
	return 0;
}

void
sks_log_line_json(struct sks_log_line *line, const char *text, size_t n)
{
	const char *end = text + n;

	if (room(line) < 2)
		return;
	line->text[line->used++] = '"';
	for (; text < end; text += n) {
		n = sks_min(character_size((unsigned char)*text), (size_t)(end - text));
		if (put_json(line, text, n) == -1)
			break;
	}
	line->text[line->used++] = '"';
}

/*
 * Finds the date that is so many days after 1970-01-01. Years are counted from March, so that a
 * leap day is the last.
 */
static void
date(int64_t days, int *year, int *month, int *day)
{
	int64_t since = days + 719468; /* days since 0000-03-01 */
	int64_t era = since / 146097, of_era = since % 146097;
	int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
	int64_t from_march = (5 * of_year + 2) / 153;

	*day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
	*month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
	*year = (int)(era * 400 + years + (*month <= 2));
}

void
sks_log_line_time(struct sks_log_line *line, const struct timespec *wall)
{
	int64_t days = wall->tv_sec / 86400;
	int second = (int)(wall->tv_sec % 86400), year, month, day;

	date(days, &year, &month, &day);
	sks_log_line_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day,
	    second / 3600, second / 60 % 60, second % 60, (int)(wall->tv_nsec / 1000));
}

void
sks_log_line_end(struct sks_log_line *line, const char *closing)
{
	line->used += (size_t)snprintf(line->text + line->used, sizeof(line->text) - line->used,
	    "%s\n", closing);
}
