/* SPDX-License-Identifier: MIT */
/*
 * plugin_files.h - what the suites of plugins share: plugins of tests/plugins, copied into the
 * test's own folder, so that it does not matter who owns the build.
 */
#ifndef SKS_TEST_PLUGIN_FILES_H
#define SKS_TEST_PLUGIN_FILES_H

#include "acceptance.h"

#include <socketserver/host.h>

/* NAME in the test's folder: one of many buffers, as many as a test uses. */
const char *at(const char *name);

/* A whole file; the caller frees it. */
char *read_file(const char *path, size_t *n);
void write_file(const char *path, const void *bytes, size_t n);

/* The plugin as it was built; the caller frees it. */
char *built(const char *name, size_t *n);

/* A copy of it, under its name with ".so", or another. Returns the path, as at() does. */
const char *copy(const char *name);
const char *copy_as(const char *name, const char *as);

/* sks_module_load(): it succeeds; or it fails with errno and one line that has these words. */
struct sks_module *must_load(const char *name);
void refused(const char *name, int error, const char *words);

/*
 * The fixture: that of acceptance.h, without SOCKETSERVER_HANDLERS; files in the folder are
 * removed.
 */
void plugin_setup(void);
void plugin_teardown(void);

#endif
