/* SPDX-License-Identifier: MIT */
/*
 * kv_talk.h - the kv handler without a server: what it says to bytes that come in
 * steps, with a clock of the test's own.
 */
#ifndef SKS_TEST_KV_TALK_H
#define SKS_TEST_KV_TALK_H

#include "../../handlers/kv.h"

extern const struct sks_plugin sks_plugin_descriptor;

/* -- a store -- */

/* Milliseconds of the stores below; the test moves it. */
extern int64_t kv_now;

struct kv_store *kv_new_store(size_t max_memory);

/* With keys and values that are strings. */
int kv_put(struct kv_store *store, const char *key, const char *value, int64_t ttl_ms,
    int condition);

/* The key has this value; NULL: it is not there. */
void kv_expect(struct kv_store *store, const char *key, const char *value);

struct kv_store_stats kv_stats_of(struct kv_store *store);

/* Stores key:0, key:1, ... until that is refused. How many there are. */
int kv_fill(struct kv_store *store, int64_t ttl_ms);

/* -- the handler -- */

extern struct kv *kv;

/* As the plugin's init and exit do it in a server; keys have 64 bytes at most. */
void kv_open(size_t max_memory, size_t max_value);
void kv_close(void);

/*
 * What kv says to these bytes, which come in steps of so many; freed by the caller.
 * *rc is what handle returned last, and errno is its.
 */
char *kv_say_bytes(const char *in, size_t n, size_t step, size_t *out_len, int *rc);
char *kv_say(const char *in, size_t step, int *rc);

/* It says this, and goes on or ends without an error. */
void kv_expect_reply(const char *in, size_t step, const char *reply);

/* A command of so many arguments of so many bytes. Freed by the caller. */
char *kv_make_command(const char *name, size_t nargs, size_t size, size_t *n);

#endif
