/* SPDX-License-Identifier: MIT */
/*
 * pace.h - whether a peer keeps up with a minimum rate.
 *
 * A peer has a credit of bytes. At first, and at most, it is what the rate gives in
 * SKS_PACE_WINDOW_MS. The time that is waited for the peer takes from the credit, by the rate,
 * and each byte that the peer sends or takes goes back to it. So a peer that stands still is too
 * slow after five seconds, one at half of the rate after ten, and one that keeps the rate never is.
 *
 * A peer has taken what its machine has acknowledged. Bytes that went into the socket do not
 * count, as the kernel has room for megabytes.
 */
#ifndef SKS_STREAM_PACE_H
#define SKS_STREAM_PACE_H

#include "base/util.h"

#include <stddef.h>
#include <stdint.h>

#define SKS_PACE_WINDOW_MS 5000
#define SKS_WRITE_STEP 65536 /* so many bytes a peer takes in the time limit of a write */

struct sks_pace {
	int rate;       /* bytes a second; 0: any */
	int is_slow;    /* the peer was cut, since it had no credit left */
	int64_t credit; /* thousandths of a byte */
};

/*
 * SKS_PACE_WINDOW_MS, and how often a wait for room looks what its peer has taken. Only tests
 * change these.
 */
extern int sks_pace_window_ms, sks_pace_look_ms;

/* Gives the peer its first credit. */
static inline void
sks_pace_begin(struct sks_pace *pace)
{
	pace->credit = (int64_t)pace->rate * sks_pace_window_ms;
}

static inline void
sks_pace_init(struct sks_pace *pace, int rate)
{
	*pace = (struct sks_pace){ .rate = rate };
	sks_pace_begin(pace);
}

/* The peer was waited for so long, and n bytes have moved meanwhile. */
static inline void
sks_pace_note(struct sks_pace *pace, int64_t ms, size_t n)
{
	int64_t most = (int64_t)pace->rate * sks_pace_window_ms;

	pace->credit = sks_min64(most, pace->credit - ms * pace->rate + (int64_t)n * 1000);
}

/* Returns the moment when a wait that begins now has used up the credit; SKS_NEVER: no rate. */
int64_t sks_pace_deadline(const struct sks_pace *pace, int64_t now);

/*
 * Returns when a wait for room is to look what the peer has taken, at its deadline at the latest.
 * The peer's kernel takes much at once, at the beginning: a look at the end alone would give the
 * peer its time anew only then.
 */
static inline int64_t
sks_pace_look(int64_t now, int64_t deadline)
{
	return deadline == INT64_MAX ? deadline : sks_min64(deadline, now + sks_pace_look_ms);
}

/* Returns 1 when the peer has no credit left. */
static inline int
sks_pace_is_spent(const struct sks_pace *pace)
{
	return pace->rate != 0 && pace->credit <= 0;
}

/* Returns how many bytes of a socket's output its peer has not taken; -1: nobody knows. */
int sks_pace_untaken(int fd);

/*
 * Returns how many bytes the peer has taken since there were `before` untaken ones. Where
 * nobody knows, room in the socket (has_room) counts as `enough` of them.
 */
size_t sks_pace_taken(int fd, int before, int has_room, size_t enough);

#endif
