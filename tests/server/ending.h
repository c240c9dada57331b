/* SPDX-License-Identifier: MIT */
/*
 * ending.h - what the suites of the end of a request share: what finish has seen of it, and the
 * hook on_end.
 */
#ifndef SKS_TEST_ENDING_H
#define SKS_TEST_ENDING_H

#include "acceptance.h"

/* What finish has seen, also in a child process. */
struct ending {
	int reason;
	struct sks_info info;
	char handler[64], listener[160], note[300];
	atomic_int has_note, told;
};
extern struct ending *ending;

/* finish of a handler: notes all of it. */
void ending_finish(struct sks_request *req);

/* The options with the hook on_end, which notes what it sees; NULL: only the hook. */
struct sks_options ending_options(const struct sks_options *options);

/* finish has told this reason. */
void ending_expect_finish(int reason);

/* finish has told this reason, and on_end the same, once, and no less of the rest. */
void ending_expect(int reason);

/* The fixture: that of acceptance.h, and nothing seen so far. */
void ending_setup(void);
void ending_teardown(void);

#endif
