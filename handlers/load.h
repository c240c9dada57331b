/* SPDX-License-Identifier: MIT */
/* load.h - loads plugins for socketserverd. */
#ifndef LOAD_H
#define LOAD_H

#include <socketserver/host.h>

/*
 * Loads a plugin as sks_module_load() does. Its constructors run meanwhile, and a plugin that
 * crashes in them is named before the program exits. NULL: a line in the log has said why.
 */
struct sks_module *load_plugin(const char *handler);

#define USAGE 2 /* the exit code of a wrong use */

/*
 * Returns the exit code after listening on an address has failed, with errno as it left that: USAGE
 * where the text is at fault, and not what stands behind it.
 */
int listen_code(const char *address);

#endif
