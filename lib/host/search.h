/* SPDX-License-Identifier: MIT */
/*
 * search.h - where plugins are found. sks_module_each() in socketserver/host.h lists them.
 */
#ifndef SKS_HOST_SEARCH_H
#define SKS_HOST_SEARCH_H

/*
 * Finds the file that a name means, as sks_module_load() explains. Returns its absolute path
 * without symbolic links, which the caller frees with free(3), or NULL after one line in the
 * log: ENOENT, EINVAL for an empty name, ENOMEM, or as realpath(3) says.
 */
char *sks_search_plugin(const char *name);

#endif
