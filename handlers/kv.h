/* SPDX-License-Identifier: MIT */
/*
 * kv.h - what the files of kv share: its options, what all clients have in
 * common, and a command that is being run. For its tests too.
 */
#ifndef HANDLERS_KV_H
#define HANDLERS_KV_H

#include "kv_store.h"
#include "resp.h"

#include <socketserver.h>

struct kv_config {
	size_t max_memory;
	size_t max_value;
	size_t max_key;
};

/* req->data */
struct kv {
	const struct kv_config *config;
	struct kv_store *store;
	struct resp_limits limits;
};

/* A command that is being run. */
struct kv_call {
	struct sks_wfile *w;
	const struct kv *kv;
	const struct resp_reader *r;
	size_t steps; /* of work since others of the loop had their turn */
	int quit;     /* the connection ends behind this command */
};

/*
 * The commands, each with a number of words that fits. 0, or -1 and errno: the
 * connection ends.
 */

/* kv_commands.c: of one key, or of a few */
int kv_get(struct kv_call *c);
int kv_set(struct kv_call *c);
int kv_incr(struct kv_call *c);
int kv_del(struct kv_call *c);
int kv_exists(struct kv_call *c);
int kv_dbsize(struct kv_call *c);

/* kv_keys.c: of all keys */
int kv_keys(struct kv_call *c);

/* kv_connection.c: of the connection, and what clients ask first */
int kv_ping(struct kv_call *c);
int kv_echo(struct kv_call *c);
int kv_quit(struct kv_call *c);
int kv_select(struct kv_call *c);
int kv_info(struct kv_call *c);
int kv_command(struct kv_call *c);
int kv_config_get(struct kv_call *c);
int kv_client(struct kv_call *c);

/* What they have in common, in kv_call.c. */

int kv_is_word(struct resp_arg arg, const char *word);

/* "-ERR unknown subcommand 'WORD'": what is for one line of text. */
int kv_refuse_word(struct kv_call *c, const char *what, struct resp_arg word);

/* The line for ENOSPC and ENOMEM of the store. */
extern const char kv_oom[];
int kv_refuse_memory(struct kv_call *c);

extern const char kv_not_a_number[];

/*
 * Counts n steps of work, of some nanoseconds each; after many of them others of the
 * loop go first. No lock may be held. 0, or -1 with ECANCELED: the command must end.
 */
int kv_work(struct kv_call *c, size_t n);

#endif
