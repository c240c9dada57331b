/* SPDX-License-Identifier: MIT */
/*
 * Reading RESP.
 *
 * A command is read where it lies, in the rfile's buffer: sixteen commands that came at
 * once need one look at the buffer and no copy. Only a command that is larger than what
 * sks_peek() shows is gathered in memory of its own. The alternative is to read line by
 * line. It needs less code, but three calls and a copy for each argument.
 *
 * One parser reads both. It can stop anywhere and says how many bytes it needs to go on,
 * so a command takes the same work in one piece and in many.
 */
#include "resp.h"

#include "number.h"
#include "resp_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_FIRST 65536
#define LENGTH_MAX (1 + NUMBER_MOST + 2) /* "$", a length, and the line's end */

static int
bad(struct resp_reader *r, const char *problem)
{
	snprintf(r->problem, sizeof(r->problem), "%s", problem);
	errno = EPROTO;
	return -1;
}

/* -- the parser: 1: it is done; 0: it needs more bytes; -1: an error -- */

/* Reads the line of a length, "*3\r\n", at r->at. *next is where the next line begins. */
static int
parse_length(struct resp_reader *r, const char *bytes, size_t n, int64_t max, int64_t *length,
    size_t *next)
{
	const char *problem = bytes[r->at] == '*' ? "invalid multibulk length" :
	    "invalid bulk length";
	size_t first = r->at + 1, end = first;

	while (end < n && bytes[end] != '\r' && end - first <= NUMBER_MOST)
		end++;
	if (end - first > NUMBER_MOST)
		return bad(r, problem);
	if (end + 1 >= n) {
		r->need = 0;
		return 0;
	}
	if (bytes[end + 1] != '\n' || parse_number(bytes + first, end - first, length) == -1 ||
	    *length > max)
		return bad(r, problem);
	*next = end + 2;
	return 1;
}

/* Makes room for one more argument. */
static int
reserve_args(struct resp_reader *r)
{
	size_t old = r->args == r->few ? 0 : r->args_room * sizeof(*r->args);
	size_t new = 2 * r->args_room * sizeof(*r->args);
	struct resp_span *args;

	if (r->nargs < r->args_room)
		return 0;
	if (budget_take(r->limits->budget, new - old) == -1)
		return -1;
	args = realloc(old == 0 ? NULL : r->args, new);
	if (args == NULL) {
		budget_give(r->limits->budget, new - old);
		return -1;
	}
	if (old == 0)
		memcpy(args, r->few, sizeof(r->few));
	r->args = args;
	r->args_room *= 2;
	return 0;
}

static int
add_arg(struct resp_reader *r, size_t start, size_t len)
{
	if (reserve_args(r) == -1)
		return -1;
	r->args[r->nargs++] = (struct resp_span){ (uint32_t)start, (uint32_t)len };
	return 0;
}

/* Reads a bulk string, "$3\r\nfoo\r\n", at r->at. */
static int
parse_bulk(struct resp_reader *r, const char *bytes, size_t n)
{
	size_t start, end;
	int64_t len;
	int rc;

	if (r->at == n) {
		r->need = 0;
		return 0;
	}
	if (bytes[r->at] != '$') {
		char c = bytes[r->at];

		snprintf(r->problem, sizeof(r->problem), "expected '$', got '%c'",
		    c >= ' ' && c <= '~' ? c : '?');
		errno = EPROTO;
		return -1;
	}
	rc = parse_length(r, bytes, n, (int64_t)r->limits->max_bulk, &len, &start);
	if (rc != 1)
		return rc;
	if (len < 0)
		return bad(r, "invalid bulk length");
	end = start + (size_t)len;
	if (end + 2 > r->limits->max_command)
		return bad(r, "command is too large");
	if (end + 2 > n) {
		r->need = end + 2;
		return 0;
	}
	if (bytes[end] != '\r' || bytes[end + 1] != '\n')
		return bad(r, "bulk string without its end");
	if (add_arg(r, start, (size_t)len) == -1)
		return -1;
	r->at = end + 2;
	return 1;
}

static int
parse(struct resp_reader *r, const char *bytes, size_t n)
{
	int rc;

	if (!r->begun) {
		rc = parse_length(r, bytes, n, RESP_MAX_ARGS, &r->left, &r->at);
		if (rc != 1)
			return rc;
		r->begun = 1;
	}
	/* "*-1" is an array that is not there, so nothing is asked, as by "*0". */
	for (; r->left > 0; r->left--) {
		rc = parse_bulk(r, bytes, n);
		if (rc != 1)
			return rc;
	}
	return 1;
}

/* -- where the bytes come from: 1: they are there; 0: the input has ended; -1: an error -- */

/*
 * Consumes the commands that were read. sks_readn() does it, as rfile has no call that
 * only skips.
 */
static int
take_off(struct resp_reader *r)
{
	char gone[1024];

	while (r->taken > 0) {
		size_t n = r->taken < sizeof(gone) ? r->taken : sizeof(gone);

		if (sks_readn(r->rfile, gone, n) == -1)
			return -1;
		r->taken -= n;
	}
	r->shown = NULL;
	r->shown_len = 0;
	return 0;
}

/* Looks at the rfile for at least n bytes; when n is 0, for those that are there. */
static int
look(struct resp_reader *r, size_t n)
{
	ssize_t got;

	if (take_off(r) == -1)
		return -1;
	got = sks_peek(r->rfile, n, &r->shown);
	if (got == -1) {
		r->shown = NULL;
		return -1;
	}
	r->shown_len = (size_t)got;
	return r->shown_len > 0 && r->shown_len >= n;
}

/* Makes room for more bytes. In all there will be max bytes at most. */
static int
reserve_own(struct resp_reader *r, size_t more, size_t max)
{
	size_t room = r->own_room > 0 ? 2 * r->own_room : OWN_FIRST;
	char *own;

	if (more <= r->own_room - r->own_len)
		return 0;
	if (room > max)
		room = max;
	if (room < r->own_len + more)
		room = r->own_len + more;
	if (budget_take(r->limits->budget, room - r->own_room) == -1)
		return -1;
	own = realloc(r->own, room);
	if (own == NULL) {
		budget_give(r->limits->budget, room - r->own_room);
		return -1;
	}
	r->own = own;
	r->own_room = room;
	return 0;
}

/* Gathers n more bytes. The memory is at most twice what has come. */
static int
gather(struct resp_reader *r, size_t n)
{
	size_t max = r->own_len + n;

	while (r->own_len < max) {
		size_t step = max - r->own_len;
		ssize_t got;

		if (reserve_own(r, 1, max) == -1)
			return -1;
		if (step > r->own_room - r->own_len)
			step = r->own_room - r->own_len;
		got = sks_readn(r->rfile, r->own + r->own_len, step);
		if (got == -1)
			return -1;
		r->own_len += (size_t)got;
		if ((size_t)got < step)
			return 0;
	}
	return 1;
}

static int
gather_line(struct resp_reader *r)
{
	char *line;
	ssize_t n = sks_readuntil(r->rfile, '\n', LENGTH_MAX, &line);

	if (n == -1 && errno == EMSGSIZE) /* too long for a length: parse_length() says so */
		return gather(r, LENGTH_MAX);
	if (n <= 0)
		return (int)n;
	if (reserve_own(r, (size_t)n, SIZE_MAX) == -1)
		return -1;
	memcpy(r->own + r->own_len, line, (size_t)n);
	r->own_len += (size_t)n;
	return 1;
}

/* Gets more bytes of the command, as the n bytes so far are not enough. */
static int
more(struct resp_reader *r, size_t n)
{
	size_t want = r->need > 0 ? r->need : n + 1;

	if (r->own_len == 0) {
		if (want <= r->limits->max_shown)
			return look(r, want);
		if (take_off(r) == -1)
			return -1;
		return gather(r, n);
	}
	return r->need > 0 ? gather(r, r->need - r->own_len) : gather_line(r);
}

static int
read_array(struct resp_reader *r)
{
	for (;;) {
		const char *bytes = r->own_len > 0 ? r->own : r->shown + r->taken;
		size_t n = r->own_len > 0 ? r->own_len : r->shown_len - r->taken;
		int rc = parse(r, bytes, n);

		if (rc == 1) {
			if (r->own_len == 0)
				r->taken += r->at;
			r->base = bytes;
		}
		if (rc != 0)
			return rc;
		rc = more(r, n);
		if (rc == 0) /* the command is cut off, and must not be taken for a new one */
			r->taken = r->shown_len;
		if (rc != 1)
			return rc;
	}
}

/* -- a line of words -- */

static int
split(struct resp_reader *r, char *line, const char *end)
{
	char *at = line, *word;
	size_t len;
	int rc;

	while ((rc = resp_next_word(&at, end, &word, &len)) == 1)
		if (add_arg(r, (size_t)(word - line), len) == -1)
			return -1;
	return rc == -1 ? bad(r, "unbalanced quotes in request") : 1;
}

static int
read_words(struct resp_reader *r)
{
	char *line;
	ssize_t n;

	if (take_off(r) == -1)
		return -1;
	n = sks_readuntil(r->rfile, '\n', r->limits->max_shown, &line);
	if (n == -1 && errno == EMSGSIZE)
		return bad(r, "too big inline request");
	if (n == -1)
		return -1;
	if (n == 0 || line[n - 1] != '\n') /* the line is cut off, so it is not run */
		return 0;
	if (sks_is_http(line, (size_t)n)) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	r->base = line;
	return split(r, line, line + n);
}

/* -- commands -- */

void
resp_open(struct resp_reader *r, struct sks_rfile *rfile, const struct resp_limits *limits)
{
	r->rfile = rfile;
	r->limits = limits;
	r->args = r->few;
	r->args_room = RESP_FEW_ARGS;
	r->shown = r->own = NULL;
	r->shown_len = r->taken = r->own_len = r->own_room = 0;
}

/* Frees what belongs to the command that was read last. */
static void
forget(struct resp_reader *r)
{
	r->nargs = 0;
	r->at = 0;
	r->begun = 0;
	if (r->args != r->few) {
		free(r->args);
		budget_give(r->limits->budget, r->args_room * sizeof(*r->args));
		r->args = r->few;
		r->args_room = RESP_FEW_ARGS;
	}
	if (r->own != NULL) {
		free(r->own);
		budget_give(r->limits->budget, r->own_room);
		r->own = NULL;
		r->own_len = r->own_room = 0;
	}
}

void
resp_close(struct resp_reader *r)
{
	forget(r);
	(void)take_off(r);
}

int
resp_wait(struct resp_reader *r)
{
	return look(r, 1) == -1 ? -1 : 0;
}

int
resp_read(struct resp_reader *r)
{
	int rc;

	do { /* an empty line or array is no command */
		forget(r);
		if (r->taken == r->shown_len) {
			rc = look(r, 0);
			if (rc != 1)
				return rc;
		}
		rc = r->shown[r->taken] == '*' ? read_array(r) : read_words(r);
	} while (rc == 1 && r->nargs == 0);
	return rc;
}
