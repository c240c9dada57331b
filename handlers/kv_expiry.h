/* SPDX-License-Identifier: MIT */
/*
 * kv_expiry.h - which entries expire, the next one first.
 *
 * It is a binary heap: an entry that is due is found without a look at those that are
 * not, so any command frees the memory of some. The alternative, which redis has, is to
 * look at a few random keys now and then; that finds most of them at some time.
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
	struct kv_due *heap; /* from index 1 on */
	size_t count;
	size_t room;
};

void kv_expiry_init(struct kv_expiry *expiry, struct budget *budget);
void kv_expiry_end(struct kv_expiry *expiry);

/* Makes room for one more entry, which kv_expiry_set() needs. 0, or -1: ENOSPC, ENOMEM. */
int kv_expiry_reserve(struct kv_expiry *expiry);

/* From now on e expires at this time. There must be room. */
void kv_expiry_set(struct kv_expiry *expiry, struct kv_entry *e, int64_t at);

/* From now on e does not expire. It may be one that did not expire before. */
void kv_expiry_clear(struct kv_expiry *expiry, struct kv_entry *e);

/* Puts e, which expires when old would have expired, in the place of old. */
void kv_expiry_move(struct kv_expiry *expiry, struct kv_entry *old, struct kv_entry *e);

/* The entry that is due first; NULL: no entry expires. */
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
