/* SPDX-License-Identifier: MIT */
/*
 * Is a line HTTP? For protocols of lines, which a web page can reach: it may have
 * its visitor's browser POST any text to any port of localhost, and the lines of
 * that text stand behind lines that only HTTP has. So the first of these gives the
 * browser away, and nothing behind it must be run.
 *
 * A request line is recognized by its last word and by what its target begins with, not
 * by a list of methods, since a page may name a method of its own.
 */
#include <socketserver/stream.h>

#include <string.h>
#include <strings.h>

#define VERSION "HTTP/"
#define VERSION_LEN (sizeof(VERSION) - 1)
#define HOST "host:"
#define HOST_LEN (sizeof(HOST) - 1)

static int
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "HTTP/1.1" and the like are the line's last word; n is the length of what stands before. */
static int
ends_with_version(const char *line, size_t *n)
{
	size_t end = *n, at;

	while (end > 0 && is_blank(line[end - 1]))
		end--;
	for (at = end; at > 0 && !is_blank(line[at - 1]);)
		at--;
	*n = at;
	return end - at > VERSION_LEN && strncasecmp(line + at, VERSION, VERSION_LEN) == 0 &&
	    line[at + VERSION_LEN] >= '0' && line[at + VERSION_LEN] <= '9';
}

/* "/path", "*", "http://host/path" or "host:port". */
static int
has_target(const char *line, size_t n)
{
	size_t method = 0, at;

	while (method < n && !is_blank(line[method]))
		method++;
	for (at = method; at < n && is_blank(line[at]);)
		at++;
	return method > 0 && at < n &&
	    (line[at] == '/' || line[at] == '*' || memchr(line + at, ':', n - at) != NULL);
}

int
sks_is_http(const char *line, size_t n)
{
	if (n >= HOST_LEN && strncasecmp(line, HOST, HOST_LEN) == 0)
		return 1;
	return ends_with_version(line, &n) && has_target(line, n);
}
