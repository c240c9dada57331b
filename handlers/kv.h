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

/* The state that all clients share: req->data. */
struct kv {
	const struct kv_config *config;
	struct kv_store *store;
	struct resp_limits limits;
	atomic_int_fast64_t last_id; /* the number of the last client that asked for one */
};

/* The version of redis whose answers clients may expect. */
#define KV_REDIS_VERSION "7.0.15"

#define KV_NAME_MOST 63   /* bytes of a client's name */
#define KV_WORD_SHOWN 128 /* bytes of a client's word that an error repeats */

/* The state of one client, as it has asked for: req->state. */
struct kv_client {
	int64_t id;                  /* 0: the client has not asked for it */
	int resp3;                   /* the client takes replies of version 3 of the protocol */
	char name[KV_NAME_MOST + 1]; /* "": none */
};

/* A command that is being run. */
struct kv_call {
	struct sks_wfile *w;
	struct kv *kv;
	struct kv_client *client;
	const struct resp_reader *r;
	size_t steps; /* of work since this command yielded last */
	int quit;     /* the connection ends after this command */
};

/* -- kv_command.c: which commands there are -- */

struct kv_command {
	const char *name;     /* in small letters */
	size_t min, max;      /* words, with the name; max 0: any number */
	int (*run)(struct kv_call *c); /* runs it, when the number of words is right. 0, or -1
	                                  and errno: the connection ends */
	const char *flags;    /* for COMMAND INFO */
	int first, last;      /* which words are keys; last -1: up to the end; first 0: none */
};

/* Runs the command that was read. 0, or -1 and errno: the connection ends. */
int kv_run(struct kv_call *c);

int kv_command(struct kv_call *c);

/* -- the commands -- */

/* kv_commands.c: commands of one key, or of a few */
int kv_get(struct kv_call *c);
int kv_set(struct kv_call *c);
int kv_incr(struct kv_call *c);
int kv_del(struct kv_call *c);
int kv_exists(struct kv_call *c);
int kv_dbsize(struct kv_call *c);

/* kv_keys.c: the command that looks at all keys */
int kv_keys(struct kv_call *c);

/* kv_connection.c: commands about the connection */
int kv_ping(struct kv_call *c);
int kv_echo(struct kv_call *c);
int kv_quit(struct kv_call *c);
int kv_reset(struct kv_call *c);
int kv_select(struct kv_call *c);
int kv_auth(struct kv_call *c);
int kv_hello(struct kv_call *c);
int kv_client(struct kv_call *c);

/* kv_info.c: commands about the server */
int kv_info(struct kv_call *c);
int kv_config(struct kv_call *c);

/* -- kv_call.c: what the commands have in common -- */

/* Returns 1 when the argument is this word, in any case of letters, or 0. */
int kv_is_word(struct resp_arg arg, const char *word);

/* Write replies of the forms that all commands use. Each returns 0, or -1 as sks_write(). */
int kv_reply_text(struct kv_call *c, const char *text);
int kv_reply_null(struct kv_call *c);
/* The head of a map of n pairs, or of a set of n elements. Their replies follow. */
int kv_reply_map(struct kv_call *c, size_t n);
int kv_reply_set(struct kv_call *c, size_t n);

/* Replies that the second word is no subcommand, or that the number of words is wrong. */
int kv_refuse_subcommand(struct kv_call *c, const char *command);
int kv_refuse_arity(struct kv_call *c, const char *command);

/* Copies an argument for use in one line of a reply, cut to size - 1 bytes. Returns text. */
char *kv_show(struct resp_arg arg, char *text, size_t size);

/* Replies that there is no memory, when errno is ENOSPC or ENOMEM; and the line for ENOSPC. */
extern const char kv_oom[];
int kv_refuse_memory(struct kv_call *c);

extern const char kv_not_a_number[];

/*
 * Counts n steps of work, of some nanoseconds each, and yields after many of them. The
 * caller holds no lock. 0, or -1: ECANCELED, and the command must end.
 */
int kv_work(struct kv_call *c, size_t n);

#endif
