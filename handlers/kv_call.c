/* SPDX-License-Identifier: MIT */
/*
 * What the commands of kv have in common.
 *
 * Each client may ask for work that takes seconds: KEYS of a full store, DEL of a
 * million keys. So a command counts its steps, and after so many of them it lets the
 * others of its loop, and a signal to stop, go first.
 */
#include "kv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define STEPS_A_TURN 200000 /* 0.1 to 0.4 ms */
#define NAME_SHOWN 128      /* of a client's word in an error */

const char kv_oom[] = "-OOM command not allowed when used memory > 'maxmemory'.";
const char kv_not_a_number[] = "-ERR value is not an integer or out of range";

int
kv_is_word(struct resp_arg arg, const char *word)
{
	return arg.len == strlen(word) && strncasecmp(arg.at, word, arg.len) == 0;
}

/* What a client said, for one line of text. */
static void
show(struct resp_arg arg, char text[NAME_SHOWN + 1])
{
	size_t i, n = arg.len < NAME_SHOWN ? arg.len : NAME_SHOWN;

	for (i = 0; i < n; i++)
		text[i] = (unsigned char)arg.at[i] < ' ' || arg.at[i] == 0x7f ? ' ' : arg.at[i];
	text[n] = '\0';
}

int
kv_refuse_word(struct kv_call *c, const char *what, struct resp_arg word)
{
	char text[NAME_SHOWN + 1], line[NAME_SHOWN + 64];

	show(word, text);
	snprintf(line, sizeof(line), "-ERR %s '%s'", what, text);
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
