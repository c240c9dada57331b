/* SPDX-License-Identifier: MIT */
/*
 * glob.h - patterns as KEYS has them: * ? [a-z] [^a] and \ before any of these.
 *
 * fnmatch(3) takes strings that end with a NUL, and follows the locale.
 *
 * A pattern is compiled once and then run over any number of texts. A text may
 * come in pieces, so that its reader can let others go first in between.
 */
#ifndef HANDLERS_GLOB_H
#define HANDLERS_GLOB_H

#include <stddef.h>
#include <stdint.h>

#define GLOB_MOST 1024 /* bytes of a pattern */
#define GLOB_WORDS (GLOB_MOST / 64 + 1)

struct glob {
	size_t words;                   /* machine words for a bit of each state; each byte of a
	                                   text costs one step for each */
	size_t last;                    /* the state in which the whole pattern was met */
	uint64_t stays[GLOB_WORDS];     /* states behind a star: any byte leaves them as they are */
	uint64_t reached[GLOB_WORDS];   /* by the text so far */
	uint64_t takes[256][GLOB_WORDS]; /* for each byte the states that it leads on from */
};

/* n is at most GLOB_MOST. */
void glob_compile(struct glob *g, const char *pattern, size_t n);

/* A text begins. */
void glob_begin(struct glob *g);

/* The text goes on. 0: whatever comes now, it does not fit; 1: it may. */
int glob_feed(struct glob *g, const char *text, size_t n);

/* The text has ended. 1: all of it is as the pattern says; 0. */
int glob_end(const struct glob *g);

#endif
