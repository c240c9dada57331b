/* SPDX-License-Identifier: MIT */
/*
 * A near miss is recognized by the number of changes between two names: a letter too many, one
 * that is missing or another one, or two neighbours that are exchanged. A third of the
 * letters may be wrong; with more than that a suggestion would be a guess.
 */
#include "host/suggest.h"

#include "base/util.h"

#include <string.h>

#define MOST 63 /* letters of a name that is looked at */

void
sks_suggest_begin(struct sks_suggestion *s, const char *wrong)
{
	size_t third = strlen(wrong) / 3;

	s->wrong = wrong;
	s->name[0] = '\0';
	s->changes = (third > 1 ? sks_min(third, MOST) : 1) + 1;
}

/*
 * Returns the changes that make the first i + 1 letters of a of the first j + 1 of b, from
 * the rows of the table for i - 1 and i - 2 letters; before[0] is for no letter of b.
 */
static size_t
cheapest(const char *a, size_t i, const char *b, size_t j, const size_t *row,
    const size_t *before, const size_t *before_that)
{
	size_t least = before[j] + (a[i] != b[j]);

	least = sks_min(least, before[j + 1] + 1);
	least = sks_min(least, row[j] + 1);
	if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
		least = sks_min(least, before_that[j - 1] + 1);
	return least;
}

/* Returns the number of changes between two names of at most MOST letters. */
static size_t
count_changes(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][MOST + 1];
	size_t i, j;

	for (j = 0; j <= m; j++)
		rows[0][j] = j;
	for (i = 0; i < n; i++) {
		size_t *row = rows[(i + 1) % 3];

		row[0] = i + 1;
		for (j = 0; j < m; j++)
			row[j + 1] = cheapest(a, i, b, j, row, rows[i % 3], rows[(i + 2) % 3]);
	}
	return rows[n % 3][m];
}

void
sks_suggest_offer(struct sks_suggestion *s, const char *name)
{
	size_t n = strlen(s->wrong), m = strlen(name), changes;

	if (n > MOST || m > MOST)
		return;
	changes = count_changes(s->wrong, n, name, m);
	if (changes >= s->changes)
		return;
	s->changes = changes;
	memcpy(s->name, name, m + 1);
}
