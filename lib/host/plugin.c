/* SPDX-License-Identifier: MIT */
/*
 * The life of a plugin in its host: it is loaded, its options are set, it is initialised,
 * it serves, it ends.
 *
 * It is loaded with RTLD_NOW: a missing symbol is an error at the start, and not the end of
 * the daemon when a client first needs it. And with RTLD_LOCAL: two plugins may use the
 * same names. dlclose(3) is never called, since a plugin may have threads, atexit functions
 * and pointers in the libraries that it uses; it would save a few pages, once in the life
 * of a daemon.
 */
#include "host/elf.h"
#include "host/module.h"
#include "host/search.h"
#include "host/trust.h"

#include "base/clock.h"
#include "base/known.h"
#include "base/log.h"
#include "base/sys.h"
#include "fiber/cxx.h"
#include "server/options.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INIT_WARN_MS 100
#define WHY 900 /* all that is wrong, as far as a line of the log takes it */

static int
complain(const char *path, const char *why)
{
	return sks_fail(NULL, errno, "plugin %s: %s", path, why);
}

static int
check_open_file(int fd, const char *path)
{
	char text[WHY];
	const char *why;

	if (sks_trust_file(fd, path, text, sizeof(text)) == -1)
		return complain(path, text);
	if (sks_elf_check(fd, &why) == -1)
		return complain(path, why != NULL ? why : strerror(errno));
	return 0;
}

static int
check_file(const char *path)
{
	int fd, rc, error;

	/* O_NONBLOCK: do not wait for the writer of a FIFO. */
	fd = sks_sys_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return complain(path, strerror(errno));
	rc = check_open_file(fd, path);
	error = errno;
	sks_sys_close(fd);
	errno = error;
	return rc;
}

/* dlerror(3) often begins with the path, which our line has already. */
static const char *
loader_error(const char *path)
{
	const char *text = dlerror();
	size_t n = strlen(path);

	if (text == NULL)
		return "it can not be loaded";
	return strncmp(text, path, n) == 0 && text[n] == ':' ? text + n + 1 + (text[n + 1] == ' ')
							     : text;
}

/* Loads the file at path and finds its descriptor. */
static const void *
open_library(const char *path)
{
	const void *descriptor;
	void *library;

	library = sks_sys_fault_point("dlopen") == -1 ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		errno = ENOEXEC;
		complain(path, loader_error(path));
		return NULL;
	}
	sks_cxx_look_in(library);
	descriptor = sks_sys_fault_point("dlsym") == -1 ? NULL : dlsym(library, SKS_PLUGIN_SYMBOL);
	if (descriptor == NULL) {
		errno = ENOEXEC;
		complain(path, "it is no plugin: it has no " SKS_PLUGIN_SYMBOL " (see SKS_PLUGIN)");
	}
	return descriptor;
}

static int
read_descriptor(struct sks_module *m)
{
	const void *descriptor = open_library(m->path);
	char why[WHY];

	if (descriptor == NULL)
		return -1;
	if (sks_descriptor_read(descriptor, &m->plugin, &m->noptions, why, sizeof(why)) == -1)
		return complain(m->path, why);
	m->options = (struct sks_plugin_option *)m->plugin.options;
	return 0;
}

static int
make_config(struct sks_module *m)
{
	m->kept = sks_sys_calloc(m->noptions + 1, sizeof(*m->kept));
	m->given = sks_sys_calloc(m->noptions + 1, sizeof(*m->given));
	if (m->plugin.config_size > 0)
		m->config = sks_sys_calloc(1, m->plugin.config_size);
	if (m->kept == NULL || m->given == NULL || (m->plugin.config_size > 0 && m->config == NULL))
		return complain(m->path, strerror(errno));
	return sks_module_set_defaults(m);
}

struct sks_module *
sks_module_load(const char *name)
{
	char *path = sks_search_plugin(name);
	struct sks_module *m;
	int error;

	if (path == NULL)
		return NULL;
	m = sks_sys_calloc(1, sizeof(*m));
	if (m == NULL) {
		complain(path, strerror(errno));
		free(path);
		errno = ENOMEM;
		return NULL;
	}
	m->path = path;
	if (check_file(path) == 0 && read_descriptor(m) == 0 && make_config(m) == 0)
		return m;
	error = errno;
	sks_module_free(m);
	errno = error;
	return NULL;
}

void
sks_module_free(struct sks_module *m)
{
	size_t i;

	if (m == NULL)
		return;
	if (m->is_ready && m->plugin.exit != NULL)
		m->plugin.exit(m->data);
	for (i = 0; m->kept != NULL && i < m->noptions; i++)
		free(m->kept[i]);
	sks_sys_free(m->kept);
	sks_sys_free(m->given);
	sks_sys_free(m->config);
	sks_sys_free(m->options);
	free(m->path);
	sks_sys_free(m);
}

/*
 * An init that takes long is logged: nothing else on this thread, such as a loop, has run
 * meanwhile.
 */
static int
call_init(struct sks_module *m)
{
	int64_t begun = sks_clock_ms(), ms;
	int rc, error;

	errno = 0;
	rc = m->plugin.init(m->config, &m->data);
	error = errno;
	ms = sks_clock_ms() - begun;
	if (ms >= INIT_WARN_MS)
		sks_log_about(SKS_LOG_HANDLER(m->plugin.name), SKS_LOG_WARN, 0,
		    "init kept its thread for %lld ms", (long long)ms);
	errno = error;
	return rc;
}

int
sks_module_init(struct sks_module *m)
{
	if (m->is_ready)
		return 0;
	if (sks_module_check_options(m) == -1)
		return -1;
	m->data = m->config;
	if (m->plugin.init != NULL && call_init(m) == -1)
		return sks_fail(SKS_LOG_HANDLER(m->plugin.name), errno, "init: %s",
		    errno != 0 ? strerror(errno) : "failed");
	m->is_ready = 1;
	return 0;
}

/* -- servers -- */

struct sks_server *
sks_module_server_new_abi(
    struct sks_module *m, const struct sks_options *options, size_t options_size)
{
	struct sks_options o;

	if (sks_copy_known(&o, sizeof(o), options, options_size, "options") == -1 ||
	    sks_mode_check(m->plugin.name, o.mode, m->plugin.refuses,
		m->plugin.refuses_why) == -1 ||
	    sks_module_init(m) == -1)
		return NULL;
	o.data = m->data;
	if (o.idle_ms == 0)
		o.idle_ms = m->plugin.idle_ms;
	if (o.timeout_ms == 0)
		o.timeout_ms = m->plugin.timeout_ms;
	return sks_server_new_abi(&m->plugin.handler, sizeof(m->plugin.handler), &o, sizeof(o));
}

const char *
sks_module_name(const struct sks_module *m)
{
	return m->plugin.name;
}

const char *
sks_module_summary(const struct sks_module *m)
{
	return m->plugin.summary;
}

const char *
sks_module_file(const struct sks_module *m)
{
	return m->path;
}

int
sks_module_mode(const struct sks_module *m)
{
	return m->plugin.mode;
}

int
sks_module_serves(const struct sks_module *m)
{
	return m->plugin.serves;
}

int
sks_module_port(const struct sks_module *m)
{
	return m->plugin.port;
}
