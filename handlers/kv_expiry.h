/* SPDX-License-Identifier: MIT */
/*
 * kv_expiry.h - which entries expire, the next one first.
 *
 * A binary heap, so that what is due is found without looking at what is not,
 * and its memory comes back with any command. The alternative, looking at a
 * few random keys now and then as redis does, finds most of them some time.
 */
#ifndef HANDLERS_KV_EXPIRY_H
#define HANDLERS_KV_EXPIRY_H

#include "kv_table.h"

struct kv_due {
	int64_t at; /* milliseconds of the store's clock */
	struct kv_entry *entry;
};

struct kv_expiry {
	struct budget *budget;
	struct kv_due *heap; /* from 1 on */
	size_t count;
	size_t room;
};

void kv_expiry_init(struct kv_expiry *expiry, struct budget *budget);
void kv_expiry_end(struct kv_expiry *expiry);

/* Makes room for one more, so that the next kv_expiry_set() holds. 0, or -1: ENOSPC, ENOMEM. */
int kv_expiry_reserve(struct kv_expiry *expiry);

/* e expires at this time. There must be room. */
void kv_expiry_set(struct kv_expiry *expiry, struct kv_entry *e, int64_t at);

/* e does not expire; fine for one that does not anyway. */
void kv_expiry_clear(struct kv_expiry *expiry, struct kv_entry *e);

/* e is in the place of old, and expires when that would have. */
void kv_expiry_move(struct kv_expiry *expiry, struct kv_entry *old, struct kv_entry *e);

/* The entry that is due first; NULL: none expires. */
static inline const struct kv_due *
kv_expiry_first(const struct kv_expiry *expiry)
{
	return expiry->count > 0 ? &expiry->heap[1] : NULL;
}

static inline int
kv_expiry_is_due(const struct kv_expiry *expiry, const struct kv_entry *e, int64_t now)
{
	return e->due != 0 && expiry->heap[e->due].at <= now;
}

#endif
