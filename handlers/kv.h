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
#include <stdatomic.h>

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
	atomic_int_fast64_t last_id; /* of a client */
};

/* Whose answers clients may expect. */
#define KV_REDIS_VERSION "7.0.15"

#define KV_NAME_MOST 63 /* bytes of a client's name */

/* req->state: what a client has said of itself. */
struct kv_client {
	int64_t id;                  /* 0: it has not asked for it */
	int resp3;                   /* it takes replies of version 3 of the protocol */
	char name[KV_NAME_MOST + 1]; /* "": none */
};

/* A command that is being run. */
struct kv_call {
	struct sks_wfile *w;
	struct kv *kv;
	struct kv_client *client;
	const struct resp_reader *r;
	size_t steps; /* of work since others of the loop had their turn */
	int quit;     /* the connection ends behind this command */
};

/* -- kv_command.c: which commands there are -- */

struct kv_command {
	const char *name;     /* in small letters */
	size_t min, max;      /* words, with the name; max 0: any number */
	int (*run)(struct kv_call *c); /* with such a number of words. 0, or -1 and errno: the
	                                  connection ends */
	const char *flags;    /* for COMMAND INFO */
	int first, last;      /* the words that are keys; last -1: up to the end; first 0: none */
};

/* Runs the command that was read. 0, or -1 and errno: the connection ends. */
int kv_run(struct kv_call *c);

int kv_command(struct kv_call *c);

/* -- the commands -- */

/* kv_commands.c: of one key, or of a few */
int kv_get(struct kv_call *c);
int kv_set(struct kv_call *c);
int kv_incr(struct kv_call *c);
int kv_del(struct kv_call *c);
int kv_exists(struct kv_call *c);
int kv_dbsize(struct kv_call *c);

/* kv_keys.c: of all keys */
int kv_keys(struct kv_call *c);

/* kv_connection.c: of the connection */
int kv_ping(struct kv_call *c);
int kv_echo(struct kv_call *c);
int kv_quit(struct kv_call *c);
int kv_reset(struct kv_call *c);
int kv_select(struct kv_call *c);
int kv_auth(struct kv_call *c);
int kv_hello(struct kv_call *c);
int kv_client(struct kv_call *c);

/* kv_info.c: of the server */
int kv_info(struct kv_call *c);
int kv_config(struct kv_call *c);

/* -- kv_call.c: what they have in common -- */

int kv_is_word(struct resp_arg arg, const char *word);

/* What is short and the same in each command. */
int kv_reply_text(struct kv_call *c, const char *text);
int kv_reply_null(struct kv_call *c);
/* The head of n pairs, or of a set of n, which follow. */
int kv_reply_map(struct kv_call *c, size_t n);
int kv_reply_set(struct kv_call *c, size_t n);

/* "-ERR unknown subcommand 'WORD'. Try COMMAND HELP." for the second word. */
int kv_refuse_subcommand(struct kv_call *c, const char *command);
int kv_refuse_arity(struct kv_call *c, const char *command);

/* What a client said, fit for a line of a reply, and cut to size - 1 bytes. Returns text. */
char *kv_show(struct resp_arg arg, char *text, size_t size);

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
