/* SPDX-License-Identifier: MIT */
/*
 * spare.h - memory of what is gone, for what comes next, the last one first.
 *
 * For a loop that forks: each page that it writes is copied once for each fork,
 * and malloc(3) neither keeps many pieces in one place nor itself out of it.
 */
#ifndef SKS_SERVER_SPARE_H
#define SKS_SERVER_SPARE_H

#include <stddef.h>

/* Pieces of one size. All zeroes is empty. */
struct sks_spares {
	struct sks_spare *first;
	size_t size;
	int count;
	int most; /* to keep */
};

/* NULL: ENOMEM. */
void *sks_spare_get(struct sks_spares *spares, size_t size);

/* size: as it was got. */
void sks_spare_put(struct sks_spares *spares, void *memory, size_t size);

void sks_spare_drain(struct sks_spares *spares);

#endif
