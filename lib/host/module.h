/* SPDX-License-Identifier: MIT */
/*
 * module.h - the inside of struct sks_module: a plugin that was loaded.
 */
#ifndef SKS_HOST_MODULE_H
#define SKS_HOST_MODULE_H

#include <socketserver/host.h>

struct sks_module {
	struct sks_plugin plugin; /* in this version of the struct; its options are those below */
	struct sks_plugin_option *options;
	size_t noptions;
	char **kept;              /* for each option: the memory of its string, or NULL */
	char *given;              /* for each option: 1 when the host has set it */
	void *config;
	void *data;               /* what the plugin's init has made; else the config */
	char *path;
	int is_ready;             /* init has succeeded */
};

/* Gives each option its default. 0, or -1 after a line in the log: EINVAL, ENOMEM. */
int sks_module_set_defaults(struct sks_module *module);

/* Checks that each required option is set. 0, or -1 after a line in the log: EINVAL. */
int sks_module_check_options(const struct sks_module *module);

/*
 * Copies the descriptor that a file exports to *plugin, with the sizes that it tells, and
 * its table of options to plugin->options, which the caller frees with sks_sys_free(). 0,
 * or -1, with the reason in the `size` bytes at why: ENOEXEC for another version, EINVAL
 * for a wrong descriptor, ENOMEM.
 */
int sks_descriptor_read(const void *descriptor, struct sks_plugin *plugin, size_t *noptions,
    char *why, size_t size);

#endif
