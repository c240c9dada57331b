/* SPDX-License-Identifier: MIT */
/*
 * resp.h - the protocol of redis: commands from an rfile, replies to a wfile.
 * Which forms of a reply version 3 has is its caller's to know.
 *
 * A command is an array of bulk strings, or a line of words. No length is
 * believed before it is bounded, and memory grows only with bytes that came.
 */
#ifndef HANDLERS_RESP_H
#define HANDLERS_RESP_H

#include "budget.h"

#include <socketserver.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_MAX_ARGS (1024 * 1024)
#define RESP_FEW_ARGS 16

struct resp_limits {
	size_t max_shown;      /* bytes of a line of words, and of a command that is read where it
	                          lies in the rfile's buffer; at most 64 KiB */
	size_t max_bulk;       /* bytes of one argument; at most 1 GiB */
	size_t max_command;    /* bytes of a command as it is sent; at most 2 GiB */
	struct budget *budget; /* for larger ones */
};

/* An argument; it may hold any byte, and no NUL stands behind it. */
struct resp_arg {
	const char *at;
	size_t len;
};

/* Where an argument lies, from the first byte of its command on. */
struct resp_span {
	uint32_t start;
	uint32_t len;
};

/* One for each run of handle. Its members are resp.c's, but for nargs and problem. */
struct resp_reader {
	struct sks_rfile *rfile;
	const struct resp_limits *limits;

	/* the command */
	const char *base;
	struct resp_span *args;
	size_t nargs;
	size_t args_room;
	struct resp_span few[RESP_FEW_ARGS];

	/* its bytes: in the rfile's buffer, as sks_peek() showed them */
	char *shown;            /* NULL: not looked */
	size_t shown_len;
	size_t taken;           /* of that, commands that were read */

	/* or, when they do not fit in there, here */
	char *own;
	size_t own_len;
	size_t own_room;

	/* where reading it stands */
	size_t at;
	int64_t left;           /* arguments to come */
	size_t need;            /* bytes the command must have to go on; 0: the end of a line */
	int begun;              /* its first line was read */
	char problem[48];
};

void resp_open(struct resp_reader *r, struct sks_rfile *rfile, const struct resp_limits *limits);

/* What was read is taken off the rfile, and memory given back. */
void resp_close(struct resp_reader *r);

/*
 * Reads the next command. 1: nargs is at least 1, and see resp_arg(). 0: no byte
 * of another one is here (or ever will be): never waits for a command to begin,
 * only for one that did. -1: EPROTO, and r->problem says which, as redis
 * words it: nothing behind it can be understood; EPROTONOSUPPORT: a line of words is HTTP, and
 * what is behind it is not the client's own; ENOSPC: the budget does not suffice; ENOMEM, or the
 * rfile's errors.
 */
int resp_read(struct resp_reader *r);

/* The first of all waits: until input, or its end, is here. 0, or -1 as the rfile. */
int resp_wait(struct resp_reader *r);

/* Argument i, 0 to nargs - 1; good until the next resp_read(). */
static inline struct resp_arg
resp_arg(const struct resp_reader *r, size_t i)
{
	return (struct resp_arg){ r->base + r->args[i].start, r->args[i].len };
}

/* Replies. 0, or -1 as sks_write(). */

/* One line of at most 510 bytes: "+text" for a status, "-ERR text" for an error; its end is added. */
int resp_line(struct sks_wfile *w, const char *text);
int resp_number(struct sks_wfile *w, int64_t number);
int resp_bulk(struct sks_wfile *w, const void *bytes, size_t n);
/* The head of an aggregate of n elements, "*3" for an array, which follow as replies. */
int resp_head(struct sks_wfile *w, char type, size_t n);

static inline int
resp_array(struct sks_wfile *w, size_t n)
{
	return resp_head(w, '*', n);
}

/* Between resp.c and resp_words.c. */

/* One more argument. 0, or -1: ENOSPC, ENOMEM. */
int resp_add_arg(struct resp_reader *r, size_t start, size_t len);

/*
 * The words of a line, unquoted, as arguments. Words become shorter only, so they are
 * put where they stand. 1, or -1: EPROTO for quotes without their end, ENOSPC, ENOMEM.
 */
int resp_split(struct resp_reader *r, char *line, size_t n);

#endif
