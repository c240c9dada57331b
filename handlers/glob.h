/* SPDX-License-Identifier: MIT */
/*
 * glob.h - patterns as KEYS has them: * ? [a-z] [^a] and \ before any of these.
 *
 * fnmatch(3) takes strings that end with a NUL, and follows the locale.
 *
 * A pattern is compiled once and then run over any number of texts. A text may come in
 * pieces, so that the caller can yield in between.
 */
#ifndef HANDLERS_GLOB_H
#define HANDLERS_GLOB_H

#include <stddef.h>
#include <stdint.h>

#define GLOB_MOST 1024 /* bytes of a pattern */
#define GLOB_WORDS (GLOB_MOST / 64 + 1)

struct glob {
	size_t words;                   /* machine words for all states; each byte of a text takes
	                                   so many steps */
	size_t last;                    /* the state of a text that fits the whole pattern */
	uint64_t stays[GLOB_WORDS];     /* states behind a star, which any byte keeps */
	uint64_t reached[GLOB_WORDS];   /* states of the text so far */
	uint64_t takes[256][GLOB_WORDS]; /* for each byte: states whose next element takes it */
};

/* Compiles a pattern of n bytes, at most GLOB_MOST. */
void glob_compile(struct glob *g, const char *pattern, size_t n);

/* Begins a text. */
void glob_begin(struct glob *g);

/* Reads n more bytes of the text. 1: it may still fit; 0: it does not, whatever follows. */
int glob_feed(struct glob *g, const char *text, size_t n);

/* Ends the text. 1: it fits the pattern; 0: it does not. */
int glob_end(const struct glob *g);

#endif
