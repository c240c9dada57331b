/* SPDX-License-Identifier: MIT */
/*
 * hall.h - what the suites of groups share: a handler whose connections are members of one group.
 */
#ifndef SKS_TEST_HALL_H
#define SKS_TEST_HALL_H

#include "acceptance.h"

/* The group of all connections; the fixture makes it. */
extern struct sks_group *group;

/*
 * A connection joins the group, is parked, and does what its lines say:
 *     e...  writes the line back
 *     j     joins again, l leaves, and the answer is the result
 *     w     waits for the next line in the handler, not parked
 *     d     ends
 *     other lines are posted to the other members, and the answer is how many get them
 */
extern const struct sks_handler hall;
extern const struct sks_handler hall_with_finish; /* has acc_finish, too */

/* Writes what a call of group.h has returned, and errno's name if it was -1. */
int answer_result(struct sks_request *req, int rc);

/* Connects n clients. Each second one waits in its handler, where several may run at once. */
void come(struct acc *acc, int *fd, int n);

/* The fixture: that of acceptance.h, and an empty group. */
void hall_setup(void);
void hall_teardown(void);

#endif
