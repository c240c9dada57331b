/* SPDX-License-Identifier: MIT */
/*
 * resp_words.h - the words of a line, with quotes, as a person types a command.
 */
#ifndef HANDLERS_RESP_WORDS_H
#define HANDLERS_RESP_WORDS_H

#include <stddef.h>

/*
 * Takes the next word from *at, which moves on, up to end. *word is the word without its
 * quotes, *len its length, which may be 0. A word can only become shorter, so it is changed in
 * place. 1, or 0: there is no further word; -1: quotes have no end, or a word goes on behind it.
 */
int resp_next_word(char **at, const char *end, char **word, size_t *len);

#endif
