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
 * A call that fails has said why in one line of the log, with the file or the
 * option, beside errno; where it has not, its comment says so. All calls are made
 * on one thread, and none of them parks a fiber.
 */
#ifndef SOCKETSERVER_HOST_H
#define SOCKETSERVER_HOST_H

#include <socketserver/export.h>
#include <socketserver/plugin.h>
#include <socketserver/server.h>
#include <stddef.h>

SKS_BEGIN_DECLS

/* ---- plugins ---- */

/*
 * A module: a plugin that was loaded, with the values of its options. (struct
 * sks_plugin is what the plugin says of itself.)
 */
struct sks_module;

/*
 * Loads a plugin. A name with a slash is a path. Any other name is looked for as
 * name.so ("echo" or "echo.so"), in the folders of the environment variable
 * SOCKETSERVER_HANDLERS, between colons, and then where the stock handlers are
 * installed. Its options have their defaults. Of the plugin's code only its
 * constructors run.
 *
 * A plugin runs with the rights of its host. So its file and its folder belong to
 * root or to the effective user, and nobody else may write to them (a group in which
 * nobody else is may); in the folders above nobody else can replace them. Symbolic
 * links are followed first.
 * A program with more rights than its caller (set-user-ID) ignores the
 * environment variable.
 *
 * The file is never unloaded. The same file loaded again is the same code and
 * data, with options of its own. While a host runs, a file is replaced by renaming
 * the new one over it, since writing to the old one would change code that runs.
 *
 * Returns the module, or NULL:
 *   ENOENT   there is no such file; the line says where it was looked for, and
 *            which name or path may have been meant
 *   EPERM    somebody else may write to it: the line says all that is wrong, and
 *            how chmod(1) mends it
 *   ENOEXEC  it is no ELF file, is cut short, is for another machine, needs a
 *            function that the host does not have, is no plugin, or is one of a
 *            version that this library does not take
 *   EINVAL   the name is empty, or its descriptor is wrong
 *   ENOMEM, EACCES, ...   as open(2) says
 */
SKS_API struct sks_module *sks_module_load(const char *name);

/*
 * Frees a module: calls the plugin's exit, if init has succeeded, and frees the
 * options. The servers of the module are freed before. NULL is fine.
 */
SKS_API void sks_module_free(struct sks_module *module);

/*
 * Sets an option from "name=value". The last value of a name counts.
 * Returns 0, or -1: EINVAL when there is no such option (the line names those that
 * there are), or the value is not of its type or within its bounds; EBUSY after
 * sks_module_init(); ENOMEM.
 */
SKS_API int sks_module_set(struct sks_module *module, const char *assignment);

/*
 * Says that all options are set, and calls the plugin's init, once. A program that
 * forks calls it after the fork; sks_module_server_new() calls it when nobody has.
 * Returns 0, or -1: EINVAL when a required option is not set, or the errno of
 * init.
 */
SKS_API int sks_module_init(struct sks_module *module);

/*
 * Makes a server with the handler and the data of a plugin. options may be NULL;
 * its data is not used, and its mode is taken as it is: sks_module_mode() tells
 * which one the plugin suggests. Where idle_ms or timeout_ms is 0 the plugin's own is
 * taken, if it suggests one.
 * Returns the server, or NULL: EINVAL also when the plugin refuses the mode, and
 * as sks_module_init() and sks_server_new().
 */
static inline struct sks_server *sks_module_server_new(struct sks_module *module,
    const struct sks_options *options);

/*
 * Adds an address to a server of this module, as sks_server_listen() does. It also
 * takes "systemd:" and "systemd:NAME", as sks_server_listen_inherited(), also behind
 * "tls:" or "proxy:".
 * Returns 0, or -1: EINVAL also for a socket of a kind that the plugin does not
 * serve; then nothing was added.
 */
SKS_API int sks_module_listen(struct sks_module *module, struct sks_server *server,
    const char *address);

/*
 * Adds an address to a server of another handler, where the plugin serves, as
 * sks_server_listen_with() does. It calls sks_module_init() when nobody has. The server is
 * freed before the module.
 * Returns 0, or -1: EINVAL also when the plugin refuses the mode of the server, for a
 * socket of a kind that it does not serve, and for "systemd:"; then nothing was added; and
 * as sks_module_init() and sks_server_listen_with().
 */
SKS_API int sks_module_listen_with(struct sks_module *module, struct sks_server *server,
    const char *address);

/* What the plugin says of itself. The strings live as long as the module. */
SKS_API const char *sks_module_name(const struct sks_module *module);
SKS_API const char *sks_module_summary(const struct sks_module *module);
SKS_API const char *sks_module_file(const struct sks_module *module); /* its absolute path */
SKS_API int sks_module_mode(const struct sks_module *module);   /* the mode that it suggests */
SKS_API int sks_module_serves(const struct sks_module *module); /* SKS_STREAMS | SKS_DATAGRAMS */
SKS_API int sks_module_port(const struct sks_module *module);   /* its default port; 0: none */

/*
 * Returns all of that and the options, as lines for people, which the caller frees
 * with free(3); or NULL: ENOMEM.
 */
SKS_API char *sks_module_describe(const struct sks_module *module);

/*
 * Calls found() for each plugin in the folders of sks_module_load(), in the order
 * of the folders, and of names in each. A name that an earlier folder has is left
 * out, and so is a folder that is not there. It stops when found() returns another
 * value than 0.
 * Returns that value, else 0, or -1: ENOMEM.
 */
SKS_API int sks_module_each(int (*found)(const char *name, const char *path, void *arg), void *arg);

/* ---- options ---- */

/*
 * Reads the text of an option into the struct at config, for programs that have
 * options of the types that plugins have. *kept gets the memory that a string
 * points to, which the caller frees with free(3), or NULL.
 * Returns 0, or -1: EINVAL, with the reason in the `size` bytes at why ("5x: not a
 * number"); ENOMEM. Nothing is logged.
 */
SKS_API int sks_option_parse(const struct sks_plugin_option *option, const char *text, void *config,
    char **kept, char *why, size_t size);

/*
 * Returns the name of the i-th (0, 1, ...) of those options of a server that a
 * program may take from its command line, such as "timeout" for timeout_ms, as a
 * constant; NULL when there are no more.
 */
SKS_API const char *sks_options_name(unsigned int i);

/*
 * Returns a line for each of these options, with its help and its default ("  --idle
 * TIME ..."), which the caller frees with free(3); or NULL: ENOMEM.
 */
SKS_API char *sks_options_describe(void);

/*
 * Sets one of these options from its text: a mode by its name, a time as "30s", a
 * size as "64k", yes or no. 0 of a time is SKS_OFF here, and of "workers" SKS_AUTO.
 * Returns 0, or -1: EINVAL, with the reason in the `size` bytes at why ("5x: not a
 * number"). Nothing is logged.
 */
static inline int sks_options_set(struct sks_options *options, const char *name, const char *text,
    char *why, size_t size);

/* ---- daemons ---- */

/*
 * Lets the server listen on sockets that a service manager has opened (LISTEN_FDS,
 * LISTEN_PID and LISTEN_FDNAMES, see sd_listen_fds(3)): on those of that name, or
 * on all when name is "" or NULL. Before the name may stand what stands before an
 * address, for all of these sockets: "tls:web", "proxy:", "proxy:tls:web". They
 * are the server's from then on, and no
 * program that this one starts inherits them. The environment stays as it is; a
 * program that has no further use for these variables unsets them.
 * Returns 0, or -1, and no socket was taken: ENOENT when none of that name was
 * passed, or they are for another process; EINVAL when the variables are wrong, or
 * a descriptor is no socket to listen on; and as sks_server_listen().
 */
SKS_API int sks_server_listen_inherited(struct sks_server *server, const char *name);

/*
 * Opens /dev/null as standard input, output and error where they are closed. Else
 * a socket would get that number, and output would go to a client. It is the first
 * thing in main(). Returns 0, or -1: as open(2) says. Nothing is logged.
 */
SKS_API int sks_process_fill_standard_files(void);

/*
 * Undoes what a parent may have left behind: SIGCHLD that is ignored gets its default
 * action, or nobody would learn how a child ended, and no signal is blocked in the
 * calling thread, or none could stop the program. A signal that is ignored stays so, as
 * shells and nohup(1) want it: a program catches SIGINT only where it is not ignored.
 * It is called first in main().
 */
SKS_API void sks_process_reset_signals(void);

/*
 * Raises the limit of open files of the process, so that so many connections fit;
 * with privileges the hard limit too. Returns how many fit, after one line in the
 * log when those are fewer.
 */
SKS_API int sks_process_raise_open_files(int connections);

/*
 * Opens the access log of the process, a file that is appended to and made with mode 0640, or a
 * FIFO, which needs no reader. Where another one is open this one takes its place. Servers whose
 * options.on_end is sks_access_log() write to it. format is "text" or "json", NULL is "text";
 * socketserverd(8) has the members of a line. Call it while no server runs.
 * Returns 0, or -1 after one line in the log: EINVAL for another format or an empty path; as
 * open(2); ENOMEM. Then all is as it was.
 */
SKS_API int sks_access_log_open(const char *path, const char *format);

/*
 * Opens the file again, by its name, because it was renamed: for SIGHUP, but not in a signal
 * handler. No line is lost. Without an access log it does nothing. Any thread may call it.
 * Returns 0, or -1 as open(2), after one line in the log; then the old file goes on.
 */
SKS_API int sks_access_log_reopen(void);

/* Closes the access log, if one is open. No server may run. */
SKS_API void sks_access_log_close(void);

/*
 * Writes a line about a request that has ended, by one write(2), which never waits: lines that
 * a full pipe or disk does not take are dropped and counted, and the count is written when
 * lines are taken again. What peers and handlers chose is escaped. It is a hook for
 * options.on_end, or is called by one, on any thread. Without an access log it does nothing.
 */
SKS_API void sks_access_log(struct sks_request *req, const struct sks_info *info);

/*
 * Tells the service manager lines of "NAME=VALUE" with newlines between, as sd_notify(3) has them:
 * "READY=1\nSTATUS=listening". They go to the Unix socket that NOTIFY_SOCKET names, in one
 * datagram. It never waits, and raises no signal. The environment stays as it is. Any thread may
 * call it.
 * Returns 1, or 0: no service manager asks for it (NOTIFY_SOCKET is not set, or empty); or -1,
 * without a line in the log: EINVAL when NOTIFY_SOCKET is neither a path nor an abstract name of
 * at most 107 bytes; EAGAIN when the manager does not read; ECONNREFUSED when it is gone; EMFILE,
 * ENFILE, ENOENT, EACCES, ... as socket(2) and sendto(2) say.
 */
SKS_API int sks_notify(const char *lines);

/*
 * Returns how often, in milliseconds, the service manager wants to be told "WATCHDOG=1": half of
 * WATCHDOG_USEC, and at least 1; 0: it does not ask this process for it (WATCHDOG_PID). Any thread
 * may call it.
 */
SKS_API int sks_notify_interval_ms(void);

/*
 * Returns 1 when a handler or a hook has kept one of the server's loops for ms milliseconds or
 * longer without waiting, and still does, else 0. Any thread may call it. The hook on_tick, which
 * runs only while the first loop turns, asks it before it tells "WATCHDOG=1". Handlers on threads
 * and in processes keep no loop; where options.block_warn_ms is SKS_OFF nothing is measured.
 */
SKS_API int sks_server_is_stuck(const struct sks_server *server, int ms);

/* Logs a line for each address, with its handler: "echo: listening on tcp:127.0.0.1:7007". */
SKS_API void sks_server_log_addresses(const struct sks_server *server);

/* Logs a line with what the server has done since it was made. */
SKS_API void sks_server_log_statistics(const struct sks_server *server);

/* ---- what the inline functions call, with the size of the struct; see server.h ---- */

SKS_API struct sks_server *sks_module_server_new_abi(struct sks_module *module,
    const struct sks_options *options, size_t options_size);
SKS_API int sks_options_set_abi(struct sks_options *options, size_t options_size,
    const char *name, const char *text, char *why, size_t size);

static inline struct sks_server *
sks_module_server_new(struct sks_module *module, const struct sks_options *options)
{
	return sks_module_server_new_abi(module, options, sizeof(*options));
}

static inline int
sks_options_set(struct sks_options *options, const char *name, const char *text, char *why,
    size_t size)
{
	return sks_options_set_abi(options, sizeof(*options), name, text, why, size);
}

SKS_END_DECLS

#endif
