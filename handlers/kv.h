/* SPDX-License-Identifier: MIT */
/*
 * kv.h - what kv.c keeps: its options, and what all its clients share. For its
 * tests too.
 */
#ifndef HANDLERS_KV_H
#define HANDLERS_KV_H

#include "kv_store.h"
#include "resp.h"

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

#endif
