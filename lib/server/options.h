/* SPDX-License-Identifier: MIT */
/*
 * options.h - the options of a server, and what is known of each.
 *
 * All that is a number in struct sks_options is a row of the table in options.c.
 * A server's defaults and bounds come from it, and so do the command line and the
 * help of a daemon (lib/host): a new option is a member of the struct and a row.
 */
#ifndef SKS_SERVER_OPTIONS_H
#define SKS_SERVER_OPTIONS_H

#include <socketserver/server.h>
#include <stddef.h>
#include <stdint.h>

enum sks_option_kind {
	SKS_KIND_MODE,  /* its text is one of sks_mode_names */
	SKS_KIND_COUNT,
	SKS_KIND_TIME,  /* milliseconds; SKS_OFF is allowed */
	SKS_KIND_SIZE,  /* bytes */
	SKS_KIND_FLAG   /* 0, or anything else */
};

struct sks_option_rule {
	const char *member;   /* of struct sks_options */
	size_t offset, size;  /* where it is in there: an int or a size_t */
	enum sks_option_kind kind;
	const char *name;     /* on a command line; NULL: it is not for one */
	const char *help;     /* a few words for it */
	int64_t fallback;     /* what 0 stands for; 0: it depends, see options.c */
	int64_t least, most;
};

/* Returns the table, of *n rows. */
const struct sks_option_rule *sks_option_rules(size_t *n);

#define SKS_MODES 4
extern const char *const sks_mode_names[SKS_MODES]; /* by SKS_FIBERS and so on */

/*
 * Checks that a handler of that name may run in a mode. refuses has a bit for each mode that it
 * may not run in, as SKS_REFUSES() says; why may be NULL. 0, also for a number that is no mode; or
 * -1: EINVAL, after one line in the log.
 */
int sks_mode_check(const char *name, int mode, int refuses, const char *why);

/*
 * Puts the default in the place of each 0, and checks the bounds. 0, or -1:
 * EINVAL, after one line in the log that names the member.
 */
int sks_options_fill(struct sks_options *options);

#endif
