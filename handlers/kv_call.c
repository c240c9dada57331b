/* SPDX-License-Identifier: MIT */
/*
 * The parts that the commands of kv share.
 *
 * Any client may ask for work that takes seconds: KEYS of a full store, DEL of a million
 * keys. So a command counts its steps, and yields after a number of them: then the other
 * fibers of the loop run, and a signal to stop is heard.
 */
#include "kv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define STEPS_A_TURN 200000 /* between two yields: 0.1 to 0.4 ms */

const char kv_oom[] = "-OOM command not allowed when used memory > 'maxmemory'.";
const char kv_not_a_number[] = "-ERR value is not an integer or out of range";

int
kv_is_word(struct resp_arg arg, const char *word)
{
	return arg.len == strlen(word) && strncasecmp(arg.at, word, arg.len) == 0;
}

char *
kv_show(struct resp_arg arg, char *text, size_t size)
{
	size_t i;

	for (i = 0; i < arg.len && i < size - 1 && arg.at[i] != '\0'; i++)
		text[i] = (unsigned char)arg.at[i] < ' ' || arg.at[i] == 0x7f ? ' ' : arg.at[i];
	text[i] = '\0';
	return text;
}

int
kv_reply_text(struct kv_call *c, const char *text)
{
	return resp_bulk(c->w, text, strlen(text));
}

int
kv_reply_null(struct kv_call *c)
{
	return sks_puts(c->w, c->client->resp3 ? "_\r\n" : "$-1\r\n");
}

int
kv_reply_map(struct kv_call *c, size_t n)
{
	return c->client->resp3 ? resp_head(c->w, '%', n) : resp_head(c->w, '*', 2 * n);
}

int
kv_reply_set(struct kv_call *c, size_t n)
{
	return resp_head(c->w, c->client->resp3 ? '~' : '*', n);
}

int
kv_refuse_subcommand(struct kv_call *c, const char *command)
{
	char word[KV_WORD_SHOWN + 1], line[2 * KV_WORD_SHOWN];

	snprintf(line, sizeof(line), "-ERR unknown subcommand '%s'. Try %s HELP.",
	    kv_show(resp_arg(c->r, 1), word, sizeof(word)), command);
	return resp_line(c->w, line);
}

int
kv_refuse_arity(struct kv_call *c, const char *command)
{
	char line[96];

	snprintf(line, sizeof(line), "-ERR wrong number of arguments for '%s' command", command);
	return resp_line(c->w, line);
}

int
kv_refuse_memory(struct kv_call *c)
{
	return resp_line(c->w, errno == ENOSPC ? kv_oom : "-ERR out of memory");
}

int
kv_work(struct kv_call *c, size_t n)
{
	c->steps += n;
	if (c->steps < STEPS_A_TURN)
		return 0;
	c->steps = 0;
	return sks_sleep(0);
}
