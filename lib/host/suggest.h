/* SPDX-License-Identifier: MIT */
/*
 * suggest.h - which one of some names somebody may have meant who wrote another one.
 */
#ifndef SKS_HOST_SUGGEST_H
#define SKS_HOST_SUGGEST_H

#include <stddef.h>

struct sks_suggestion {
	const char *wrong; /* the name that there is none of */
	char name[64];     /* the nearest so far; "": none is near */
	size_t changes;    /* how many changes make `wrong` of it; one more is too many */
};

/* Begins to look for a name that is near to a wrong one, which is borrowed. */
void sks_suggest_begin(struct sks_suggestion *suggestion, const char *wrong);

/* Takes the name if it is nearer than those before. */
void sks_suggest_offer(struct sks_suggestion *suggestion, const char *name);

#endif
