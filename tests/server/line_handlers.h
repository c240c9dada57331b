/* SPDX-License-Identifier: MIT */
/*
 * line_handlers.h - handlers that send lines back, stay for the next one, and say "bye" at the end,
 * with a server and without.
 */
#ifndef SKS_TEST_LINE_HANDLERS_H
#define SKS_TEST_LINE_HANDLERS_H

#include "acceptance.h"

/* Looks at its input, and takes only a whole line of it: it does not wait for one. */
extern const struct sks_handler looking;

/* Waits for a line. It counts the calls that have no server in seen->note. */
extern const struct sks_handler keeping;

#endif
