/* SPDX-License-Identifier: MIT */
#include "kv_talk.h"

#include "harness.h"
#include "stream/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int64_t kv_now;
struct kv *kv;

static int64_t
kv_clock(void *arg)
{
	(void)arg;
	return kv_now;
}

/* -- a store -- */

struct kv_store *
kv_new_store(size_t max_memory)
{
	struct kv_store *store = kv_store_new(max_memory);

	ck_assert_ptr_nonnull(store);
	kv_now = 1000;
	kv_store_set_clock(store, kv_clock, NULL);
	return store;
}

int
kv_put(struct kv_store *store, const char *key, const char *value, int64_t ttl_ms, int condition)
{
	return kv_store_set(store, key, strlen(key), value, strlen(value), ttl_ms, condition);
}

void
kv_expect(struct kv_store *store, const char *key, const char *value)
{
	struct kv_entry *e = kv_store_get(store, key, strlen(key));

	ck_assert_int_eq(kv_store_exists(store, key, strlen(key)), value != NULL);
	if (value == NULL) {
		ck_assert_ptr_null(e);
		return;
	}
	ck_assert_ptr_nonnull(e);
	ck_assert_uint_eq(e->value_len, strlen(value));
	ck_assert_mem_eq(kv_entry_value(e), value, strlen(value));
	kv_store_release(store, e);
}

struct kv_store_stats
kv_stats_of(struct kv_store *store)
{
	struct kv_store_stats stats;

	kv_store_stats(store, &stats);
	return stats;
}

int
kv_fill(struct kv_store *store, int64_t ttl_ms)
{
	char key[32];
	int i, rc;

	for (i = 0;; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		rc = kv_put(store, key, "some bytes that are a value", ttl_ms, KV_IF_NEW);
		ck_assert_uint_le(kv_stats_of(store).used_memory, kv_stats_of(store).max_memory);
		if (rc != 1)
			break;
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(kv_store_exists(store, key, strlen(key)), 0);
	return i;
}

/* -- the handler -- */

static struct kv_config config;

void
kv_open(size_t max_memory, size_t max_value)
{
	void *data;

	config = (struct kv_config){ .max_memory = max_memory, .max_value = max_value,
		.max_key = 64 };
	ck_assert_uint_eq(sks_plugin_descriptor.config_size, sizeof(config));
	ck_assert_int_eq(sks_plugin_descriptor.init(&config, &data), 0);
	kv = data;
	kv_now = 1000;
	kv_store_set_clock(kv->store, kv_clock, NULL);
}

void
kv_close(void)
{
	sks_plugin_descriptor.exit(kv);
	kv = NULL;
}

/* A client whose bytes come in steps of so many, and one that stops when they are at their end. */
struct steps {
	struct sks_transport tr;
	const char *in;
	size_t left;
	size_t step;
};

static ssize_t
read_step(struct sks_transport *tr, void *buf, size_t n)
{
	struct steps *s = (struct steps *)tr;

	if (n > s->step)
		n = s->step;
	if (n > s->left)
		n = s->left;
	memcpy(buf, s->in, n);
	s->in += n;
	s->left -= n;
	return (ssize_t)n;
}

static const struct sks_transport_ops steps_ops = { .read = read_step };

char *
kv_say_bytes(const char *in, size_t n, size_t step, size_t *out_len, int *rc)
{
	static const struct sks_times times = { .idle_ms = 1000, .read_ms = 1000,
		.write_ms = 1000 };
	int fd = eventfd(1, EFD_CLOEXEC); /* there is always something to read */
	struct steps steps = { .tr = { .ops = &steps_ops, .fd = fd }, .in = in, .left = n,
		.step = step };
	struct sks_rfile r;
	struct sks_wfile w;
	struct kv_client client = { 0 };
	struct sks_request req = { .rfile = &r, .wfile = &w, .data = kv, .state = &client,
		.fd = -1 };
	char *out;

	sks_rfile_init(&r, &steps.tr, &times, &times, 8192);
	sks_wfile_init(&w, NULL, &times, &times, 1 << 30);
	do
		*rc = sks_plugin_descriptor.handler.handle(&req);
	while (*rc == SKS_KEEP && !sks_eof(&r));
	*out_len = sks_buf_length(&w.buf);
	out = malloc(*out_len + 1);
	ck_assert_ptr_nonnull(out);
	if (*out_len > 0)
		memcpy(out, w.buf.base + w.buf.start, *out_len);
	out[*out_len] = '\0';
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	close(fd);
	return out;
}

char *
kv_say(const char *in, size_t step, int *rc)
{
	size_t len;

	return kv_say_bytes(in, strlen(in), step, &len, rc);
}

void
kv_expect_reply(const char *in, size_t step, const char *reply)
{
	int rc;
	char *out = kv_say(in, step, &rc);

	ck_assert_msg(strcmp(out, reply) == 0, "'%s' in steps of %zu: '%s', not '%s'", in, step,
	    out, reply);
	ck_assert_int_ne(rc, -1);
	free(out);
}

char *
kv_make_command(const char *name, size_t nargs, size_t size, size_t *n)
{
	char *text = malloc(64 + nargs * (size + 16)), *at = text;
	size_t i;

	ck_assert_ptr_nonnull(text);
	at += sprintf(at, "*%zu\r\n$%zu\r\n%s\r\n", nargs + 1, strlen(name), name);
	for (i = 0; i < nargs; i++) {
		at += sprintf(at, "$%zu\r\n", size);
		memset(at, 'a' + (int)(i % 26), size);
		at += size;
		at += sprintf(at, "\r\n");
	}
	*n = (size_t)(at - text);
	return text;
}
