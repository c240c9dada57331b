/* SPDX-License-Identifier: MIT */
#include "server/spare.h"

#include "base/sys.h"

struct sks_spare {
	struct sks_spare *next;
};

void *
sks_spare_get(struct sks_spares *spares, size_t size)
{
	struct sks_spare *spare = spares->first;

	if (spare == NULL || size != spares->size)
		return sks_sys_malloc(size);
	spares->first = spare->next;
	spares->count--;
	return spare;
}

void
sks_spare_put(struct sks_spares *spares, void *memory, size_t size)
{
	struct sks_spare *spare = memory;

	if (spares->count >= spares->most ||
	    (spares->count > 0 && size != spares->size)) {
		sks_sys_free(memory);
		return;
	}
	spare->next = spares->first;
	spares->first = spare;
	spares->size = size;
	spares->count++;
}

void
sks_spare_drain(struct sks_spares *spares)
{
	struct sks_spare *spare;

	while ((spare = spares->first) != NULL) {
		spares->first = spare->next;
		sks_sys_free(spare);
	}
	spares->count = 0;
}
