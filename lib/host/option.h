/* SPDX-License-Identifier: MIT */
/*
 * option.h - the text of one option, and what it becomes; see sks_option_parse() in
 * socketserver/host.h.
 */
#ifndef SKS_HOST_OPTION_H
#define SKS_HOST_OPTION_H

#include <socketserver/plugin.h>
#include <stdint.h>

#define SKS_OPTION_WHY 160 /* room for what is wrong with a value */

/*
 * Checks an entry of a plugin's table, for a struct of config_size bytes. NULL: it is
 * right. Else the text says what is wrong.
 */
const char *sks_option_check(const struct sks_plugin_option *option, size_t config_size);

/* Return the word for the type of an option, and 1 when it is a number with bounds. */
const char *sks_option_type(const struct sks_plugin_option *option);
int sks_option_is_number(const struct sks_plugin_option *option);

/* The bounds of a number, as the option, its type and the size of its member have it. */
void sks_option_bounds(const struct sks_plugin_option *option, int64_t *min, int64_t *max);

/* Writes a number as the option is written: 64k, 30s. Returns buf. */
char *sks_option_format(const struct sks_plugin_option *option, int64_t n, char *buf, size_t size);

#endif
