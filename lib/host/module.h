/* SPDX-License-Identifier: MIT */
/*
 * module.h - a plugin that was loaded (socketserver/host.h).
 */
#ifndef SKS_HOST_MODULE_H
#define SKS_HOST_MODULE_H

#include <socketserver/host.h>

struct sks_module {
	struct sks_plugin plugin; /* as this library knows it; .options are those below */
	struct sks_plugin_option *options;
	size_t noptions;
	char **kept;              /* of each option: what its string points to, or NULL */
	char *given;              /* of each option: was it set? */
	void *config;
	void *data;               /* of the plugin's init */
	char *path;
	int is_ready;             /* init held */
};

/* Gives each option its default. -1: EINVAL or ENOMEM, after a line in the log. */
int sks_module_set_defaults(struct sks_module *module);

/* Is each required option set? 0, or -1 and EINVAL after a line in the log. */
int sks_module_check_options(const struct sks_module *module);

/*
 * The descriptor that a file exports, as this library knows it: copied with
 * the sizes that it tells, and its table of options too, which is in
 * plugin->options then and freed by the caller with sks_sys_free(). 0, or -1
 * and errno (ENOEXEC: of another version, EINVAL: wrong), and why.
 */
int sks_descriptor_read(const void *descriptor, struct sks_plugin *plugin, size_t *noptions,
    char *why, size_t size);

#endif
