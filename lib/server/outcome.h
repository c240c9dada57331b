/* SPDX-License-Identifier: MIT */
/*
 * outcome.h - what a child process tells its parent of its request, in memory that both have.
 *
 * An executor has a pool of outcomes, which grows and does not shrink. Which of them are taken is
 * noted in the parent's own memory. A child that writes wildly can spoil outcomes, but a parent
 * that hears one believes no pointer and no number that it has not looked at.
 */
#ifndef SKS_SERVER_OUTCOME_H
#define SKS_SERVER_OUTCOME_H

#include "server/call.h"

struct sks_outcome {
	atomic_int has_left; /* the child has closed its copies of the listeners */
	struct sks_peer_wait peer_wait; /* which the child notes, and the parent sees, while it runs */
	int is_told;
	int ended; /* SKS_ENDED_... */
	enum sks_stop stop;
	unsigned int exchanges;
	uint64_t in, out;
	int64_t first_ns;
	unsigned int tls; /* the number of its version; 0: plain */
	int has_note;
	char note[SKS_NOTE_MOST + 1];
};

struct sks_outcomes {
	struct sks_outcome_chunk *chunks;
};

/* Takes an outcome in which nothing was told yet. NULL: ENOMEM. */
struct sks_outcome *sks_outcome_take(struct sks_outcomes *outcomes);
void sks_outcome_give_back(struct sks_outcomes *outcomes, struct sks_outcome *outcome);

/* In the child, when the request has ended. */
void sks_outcome_tell(struct sks_outcome *outcome, const struct sks_call *call);

/*
 * In the parent, when the child is gone: its copy of the call becomes what the child's was. Where
 * the child has told nothing, it has crashed or left; is_well: by exit(3), with 0.
 */
void sks_outcome_hear(const struct sks_outcome *outcome, struct sks_call *call, int is_well);

/* Frees the memory of all outcomes. */
void sks_outcomes_free(struct sks_outcomes *outcomes);

#endif
