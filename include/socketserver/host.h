/* SPDX-License-Identifier: MIT */
/*
 * socketserver/host.h - for programs that host plugins (socketserver/plugin.h),
 * or that are daemons in other ways: loading, options, inherited sockets.
 *
 *     struct sks_module *module = sks_module_load("echo");
 *     struct sks_server *server = NULL;
 *
 *     if (module != NULL && sks_module_set(module, "limit=64k") == 0 &&
 *         (server = sks_module_server_new(module, NULL)) != NULL &&
 *         sks_module_listen(module, server, "localhost:7007") == 0)
 *     	sks_serve_forever(server);
 *     sks_server_free(server);
 *     sks_module_free(module);
 *
 * Whatever fails here has told why in one line of the log, with the file or
 * the option, beside -1 or NULL and errno. All calls are made on one thread.
 */
#ifndef SOCKETSERVER_HOST_H
#define SOCKETSERVER_HOST_H

#include <socketserver/export.h>
#include <socketserver/plugin.h>
#include <socketserver/server.h>
#include <stddef.h>

SKS_BEGIN_DECLS

struct sks_module; /* a plugin that was loaded, with the values of its options */

/*
 * Loads a plugin: by path when name has a slash, else name.so ("echo" or
 * "echo.so") from the folders of the environment variable
 * SOCKETSERVER_HANDLERS, colon separated, then from the folder that the stock
 * handlers are installed in. Its options have their defaults. Runs the
 * plugin's constructors, nothing else of it.
 *
 * A plugin is code that runs with the rights of its host. So its file and its
 * folder must belong to root or to the effective user and be writable by the
 * owner alone, and the folders above must not let others replace it; symbolic
 * links are followed first. A program with more rights than its caller
 * (set-user-ID) ignores the environment variable.
 *
 * The file is never unloaded. When it is replaced while a host runs, replace
 * it by renaming: writing into a mapped file changes code that runs. The same
 * file loaded again is the same code and data, with options of their own.
 *
 * NULL: ENOENT (the line says where it was looked for), EPERM (others may
 * write), ENOEXEC (no ELF file, of another architecture, cut short, a symbol
 * is undefined, no plugin, of another version), EINVAL (its descriptor is
 * wrong), ENOMEM, or what open(2) said.
 */
SKS_API struct sks_module *sks_module_load(const char *name);

/*
 * Frees the options, after the plugin's exit when its init held. The servers
 * of the module must have been freed before. NULL is fine.
 */
SKS_API void sks_module_free(struct sks_module *module);

/*
 * Sets an option, from "name=value"; the last one of a name holds. -1: EINVAL
 * for an option that does not exist (the line names those that do) or a value
 * that is not of its type or out of its bounds, EBUSY after init, ENOMEM.
 */
SKS_API int sks_module_set(struct sks_module *module, const char *assignment);

/*
 * Says that all options are set and calls the plugin's init, once;
 * sks_module_server_new() does so when it was not done. A program that forks
 * calls it after the fork. -1: EINVAL when a required option is missing, or
 * what init said.
 */
SKS_API int sks_module_init(struct sks_module *module);

/* See sks_module_server_new(). */
SKS_API struct sks_server *sks_module_server_new_abi(struct sks_module *module,
    const struct sks_options *options, size_t options_size);

/*
 * As sks_server_listen(), and -1, EINVAL, and nothing listened on for a socket
 * of a kind that the plugin does not serve. Takes also "systemd:" and
 * "systemd:NAME", as sks_server_listen_inherited().
 */
SKS_API int sks_module_listen(struct sks_module *module, struct sks_server *server,
    const char *address);

/* What the plugin says of itself; strings live as long as the module. */
SKS_API const char *sks_module_name(const struct sks_module *module);
SKS_API const char *sks_module_summary(const struct sks_module *module);
SKS_API const char *sks_module_file(const struct sks_module *module); /* its absolute path */
SKS_API int sks_module_mode(const struct sks_module *module);   /* the suggested one */
SKS_API int sks_module_serves(const struct sks_module *module); /* SKS_STREAMS | SKS_DATAGRAMS */
SKS_API int sks_module_port(const struct sks_module *module);   /* the default one, or 0 */

/*
 * All of that and its options, as lines for people: --describe. The caller
 * frees it with free(3). NULL: ENOMEM.
 */
SKS_API char *sks_module_describe(const struct sks_module *module);

/*
 * Calls found for each plugin's file in the folders of sks_module_load(), in
 * the order of the folders and, in each, of names; a name that an earlier
 * folder has is left out. Stops when found returns other than 0, and returns
 * that; else 0, or -1 and ENOMEM. A folder that is not there is skipped.
 */
SKS_API int sks_module_each(int (*found)(const char *name, const char *path, void *arg), void *arg);

/*
 * Reads the text of an option of that kind into the struct at config, for
 * programs with options of the same types. *kept is what a string points to
 * then, freed by the caller with free(3); NULL for other types. -1: EINVAL, and
 * why in the `size` bytes at why ("5x: not a number"), or ENOMEM. Logs nothing.
 */
SKS_API int sks_option_parse(const struct sks_plugin_option *option, const char *text, void *config,
    char **kept, char *why, size_t size);

/*
 * The options of a server that a program may take from its command line, by the
 * names that they have there: "timeout" for timeout_ms. Of the i-th (0, 1, ...) the
 * name; NULL: there are no more.
 */
SKS_API const char *sks_options_name(unsigned int i);

/*
 * A line for each of them with its help and its default: "  --idle TIME ...". The
 * caller frees it with free(3). NULL: ENOMEM.
 */
SKS_API char *sks_options_describe(void);

/* See sks_options_set(). */
SKS_API int sks_options_set_abi(struct sks_options *options, size_t options_size,
    const char *name, const char *text, char *why, size_t size);

/*
 * Sockets that a service manager opened (LISTEN_FDS, LISTEN_PID and
 * LISTEN_FDNAMES, see sd_listen_fds(3)): the server listens on those of that
 * name, or on all when name is "" or NULL. It owns them from here on; none is
 * inherited by programs that this one starts. The environment stays as it is: a
 * program that has no further use for the variables unsets them, as
 * socketserverd does.
 * -1, and no socket is taken: ENOENT when none (of that name) was passed, or
 * they are for another process; EINVAL when the variables are wrong; else as
 * sks_server_listen() for a descriptor that can not be listened on.
 */
SKS_API int sks_server_listen_inherited(struct sks_server *server, const char *name);

/*
 * Opens /dev/null as standard input, output and error where they are closed:
 * a socket would get that number, and output would go to a client. First
 * thing in main(). 0, or -1 and what open(2) said.
 */
SKS_API int sks_process_fill_standard_files(void);

/*
 * Raises the limit of open files, so that so many connections fit; a privileged
 * process raises the hard limit too. Returns how many fit, and logs one line
 * when those are fewer.
 */
SKS_API int sks_process_raise_open_files(int connections);

/* A line in the log for each address: "echo: listening on tcp:127.0.0.1:7007". */
SKS_API void sks_server_log_addresses(const struct sks_server *server);

/* A line in the log: what the server has done since it was made. */
SKS_API void sks_server_log_statistics(const struct sks_server *server);

/*
 * Sets the option of that name from its text: a mode by its name, a time as "30s",
 * a size as "64k", yes or no; 0 of a time is SKS_OFF, of "workers" SKS_AUTO. 0, or
 * -1: EINVAL, and why in the `size` bytes at why ("5x: not a number"). Logs nothing.
 */
static inline int
sks_options_set(struct sks_options *options, const char *name, const char *text, char *why,
    size_t size)
{
	return sks_options_set_abi(options, sizeof(*options), name, text, why, size);
}

#ifndef __cplusplus
/*
 * A server with the plugin's handler and data; options may be NULL, its data is
 * not used. NULL: EINVAL also for a mode that the plugin refuses, and as
 * sks_module_init() and sks_server_new(). options.mode is taken as it is:
 * sks_module_mode() tells which one the plugin suggests.
 */
static inline struct sks_server *
sks_module_server_new(struct sks_module *module, const struct sks_options *options)
{
	return sks_module_server_new_abi(module, options, sizeof(*options));
}
#endif

SKS_END_DECLS

#endif
