/* SPDX-License-Identifier: MIT */
/*
 * resp.h - the protocol of redis: commands from an rfile, replies to a wfile.
 * The caller knows which forms of a reply version 3 of the protocol has.
 *
 * A command is an array of bulk strings, or a line of words. Each length is bounded, and
 * memory grows only with the bytes that have come.
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
	struct budget *budget; /* for the memory of larger commands */
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

/* A reader, for one run of handle. Others than resp.c use nargs and problem only. */
struct resp_reader {
	struct sks_rfile *rfile;
	const struct resp_limits *limits;

	/* the command */
	const char *base;
	struct resp_span *args;
	size_t nargs;
	size_t args_room;
	struct resp_span few[RESP_FEW_ARGS];

	/* the bytes of the command: in the rfile's buffer, as sks_peek() showed them */
	char *shown;            /* NULL: sks_peek() was not called */
	size_t shown_len;
	size_t taken;           /* bytes of these that are commands which were read */

	/* or here, when they are too many for that */
	char *own;
	size_t own_len;
	size_t own_room;

	/* how far the command was read */
	size_t at;
	int64_t left;           /* arguments that are still to come */
	size_t need;            /* bytes of the command that the parser needs; 0: the line */
	int begun;              /* the first line was read */
	char problem[48];
};

void resp_open(struct resp_reader *r, struct sks_rfile *rfile, const struct resp_limits *limits);

/* Consumes the commands that were read, and frees memory. */
void resp_close(struct resp_reader *r);

/*
 * Reads the next command. It waits for the rest of a command, but not for one to begin.
 * Returns 1: there is a command, with nargs arguments, at least one. 0: no byte of another
 * command is there. -1:
 *   EPROTO           the bytes are no command, and r->problem says why, as redis words it
 *   EPROTONOSUPPORT  a line of words is HTTP, so what follows is not the client's own
 *   ENOSPC           the budget does not suffice
 *   ENOMEM, and the errors of the rfile
 */
int resp_read(struct resp_reader *r);

/* Waits for input, or its end, before the first command. 0, or -1: an error of the rfile. */
int resp_wait(struct resp_reader *r);

/* Argument i, from 0 to nargs - 1. Valid until the next resp_read(). */
static inline struct resp_arg
resp_arg(const struct resp_reader *r, size_t i)
{
	return (struct resp_arg){ r->base + r->args[i].start, r->args[i].len };
}

/* These write replies. Each returns 0, or -1 as sks_write(). */

/*
 * One line of at most 510 bytes: "+text" for a status, "-ERR text" for an error; its end
 * is added.
 */
int resp_line(struct sks_wfile *w, const char *text);
int resp_number(struct sks_wfile *w, int64_t number);
int resp_bulk(struct sks_wfile *w, const void *bytes, size_t n);
/* The head of an aggregate, such as "*3" for an array. n replies follow. */
int resp_head(struct sks_wfile *w, char type, size_t n);

static inline int
resp_array(struct sks_wfile *w, size_t n)
{
	return resp_head(w, '*', n);
}

#endif
