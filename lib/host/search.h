/* SPDX-License-Identifier: MIT */
/*
 * search.h - where plugins lie. Listing them is sks_module_each() in
 * socketserver/host.h.
 */
#ifndef SKS_HOST_SEARCH_H
#define SKS_HOST_SEARCH_H

/*
 * The file that is meant by name, as sks_module_load() explains: an absolute
 * path without symbolic links, which the caller frees with free(3). NULL after
 * one line in the log: ENOENT, EINVAL for a name that can be none, ENOMEM, or what
 * realpath(3) said.
 */
char *sks_search_plugin(const char *name);

#endif
