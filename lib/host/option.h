/* SPDX-License-Identifier: MIT */
/*
 * option.h - the text of one option and what it becomes (sks_option_parse in
 * socketserver/host.h).
 */
#ifndef SKS_HOST_OPTION_H
#define SKS_HOST_OPTION_H

#include <socketserver/plugin.h>
#include <stdint.h>

#define SKS_OPTION_WHY 160 /* room for what is wrong with a value */

/*
 * Is this a good entry of a plugin's table, for a struct of config_size bytes?
 * NULL, or what is wrong with it.
 */
const char *sks_option_check(const struct sks_plugin_option *option, size_t config_size);

/* A word for the type, and 1 when it is a number with bounds. */
const char *sks_option_type(const struct sks_plugin_option *option);
int sks_option_is_number(const struct sks_plugin_option *option);

/* The bounds of a number: those asked for, the type's and the member's. */
void sks_option_bounds(const struct sks_plugin_option *option, int64_t *min, int64_t *max);

/* A number as its option is written: 64k, 30s. Returns buf. */
char *sks_option_format(const struct sks_plugin_option *option, int64_t n, char *buf, size_t size);

#endif
