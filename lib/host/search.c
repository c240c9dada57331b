/* SPDX-License-Identifier: MIT */
/*
 * Finds plugins by name: in the folders of SOCKETSERVER_HANDLERS, then where the stock
 * handlers were installed. It does not look beside the program, since a copy of the program
 * or a link to it in another folder would then load other code.
 */
#include "host/search.h"
#include "host/suggest.h"

#include "base/log.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <socketserver/host.h>

#define VARIABLE "SOCKETSERVER_HANDLERS"
#define SUFFIX ".so"
#define SUFFIX_LEN (sizeof(SUFFIX) - 1)

/* The folders in their order. The names and their text are one block of memory. */
struct folders {
	char **names;
	size_t n;
};

static int
folders_init(struct folders *f)
{
	const char *first = secure_getenv(VARIABLE), *c;
	size_t len, most = 2;
	char *text, *name;

	if (first == NULL)
		first = "";
	for (c = first; *c != '\0'; c++)
		most += *c == ':';
	len = (size_t)(c - first);
	f->n = 0;
	f->names = sks_sys_malloc(most * sizeof(*f->names) + len + 1 + sizeof(SKS_HANDLERS_DIR));
	if (f->names == NULL)
		return -1;
	text = (char *)(f->names + most);
	memcpy(text, first, len);
	text[len] = ':';
	memcpy(text + len + 1, SKS_HANDLERS_DIR, sizeof(SKS_HANDLERS_DIR));
	while ((name = strsep(&text, ":")) != NULL)
		if (*name != '\0')
			f->names[f->n++] = name;
	return 0;
}

static void
folders_free(struct folders *f)
{
	sks_sys_free(f->names);
}

/* Returns the length of name without ".so". */
static size_t
stem(const char *name)
{
	size_t n = strlen(name);

	if (n > SUFFIX_LEN && strcmp(name + n - SUFFIX_LEN, SUFFIX) == 0)
		return n - SUFFIX_LEN;
	return n;
}

/* Makes a string: folder/name.so. */
static char *
file_in(const char *folder, const char *name)
{
	size_t size = strlen(folder) + strlen(name) + sizeof("/" SUFFIX);
	char *path = sks_sys_malloc(size);

	if (path != NULL)
		snprintf(path, size, "%s/%.*s" SUFFIX, folder, (int)stem(name), name);
	return path;
}

static int
is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR;
}

static char *
by_path(const char *path)
{
	char *found = sks_sys_realpath(path, NULL);

	if (found != NULL)
		return found;
	errno = is_absent(errno) ? ENOENT : errno;
	sks_fail(NULL, errno, "plugin %s: %s", path,
	    errno == ENOENT ? "not found" : strerror(errno));
	return NULL;
}

/*
 * Looks for name in the folders. NULL: ENOENT when no folder has it, or the error of the
 * first that has.
 */
static char *
in_folders(const struct folders *f, const char *name)
{
	char *path, *found;
	size_t i;

	for (i = 0; i < f->n; i++) {
		path = file_in(f->names[i], name);
		if (path == NULL)
			return NULL;
		found = sks_sys_realpath(path, NULL);
		if (found == NULL && !is_absent(errno))
			sks_fail(NULL, errno, "plugin %s: %m", path);
		sks_sys_free(path);
		if (found != NULL || !is_absent(errno))
			return found;
	}
	errno = ENOENT;
	return NULL;
}

/* -- listing -- */

static int
is_plugin_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && stem(entry->d_name) < strlen(entry->d_name);
}

/* Returns 1 when one of the first n folders has a file of that name, too. */
static int
is_hidden(const struct folders *f, size_t n, const char *name)
{
	int found = 0;

	while (n-- > 0 && !found) {
		char *path = file_in(f->names[n], name);

		found = path != NULL && access(path, F_OK) == 0;
		sks_sys_free(path);
	}
	return found;
}

/* Tells the caller of one entry of folder i. */
static int
tell(const struct folders *f, size_t i, char *name,
    int (*found)(const char *name, const char *path, void *arg), void *arg)
{
	char *path;
	int rc;

	if (is_hidden(f, i, name))
		return 0;
	path = file_in(f->names[i], name);
	if (path == NULL)
		return -1;
	name[stem(name)] = '\0';
	rc = found(name, path, arg);
	sks_sys_free(path);
	return rc;
}

static int
each_in(const struct folders *f, size_t i,
    int (*found)(const char *name, const char *path, void *arg), void *arg)
{
	struct dirent **entries;
	int k, rc = 0, n;

	n = sks_sys_scandir(f->names[i], &entries, is_plugin_file, alphasort);
	if (n == -1)
		return errno == ENOMEM ? -1 : 0;
	for (k = 0; k < n; k++) {
		if (rc == 0)
			rc = tell(f, i, entries[k]->d_name, found, arg);
		free(entries[k]);
	}
	free(entries);
	return rc;
}

int
sks_module_each(int (*found)(const char *name, const char *path, void *arg), void *arg)
{
	struct folders f;
	int rc = 0;
	size_t i;

	if (folders_init(&f) == -1)
		return -1;
	for (i = 0; i < f.n && rc == 0; i++)
		rc = each_in(&f, i, found, arg);
	folders_free(&f);
	return rc;
}

/* -- by name -- */

static int
offer(const char *name, const char *path, void *suggestion)
{
	(void)path;
	sks_suggest_offer(suggestion, name);
	return 0;
}

/* Logs that no folder has the name, with what may have been meant. */
static void
complain_of_name(const char *name)
{
	const char *variable = secure_getenv(VARIABLE);
	char *here = file_in(".", name);
	struct sks_suggestion near;
	char hint[200] = "";

	sks_suggest_begin(&near, name);
	if (here != NULL && access(here, F_OK) == 0)
		snprintf(hint, sizeof(hint), "; a path needs a slash: %s", here);
	else if (sks_module_each(offer, &near) == 0 && near.name[0] != '\0')
		snprintf(hint, sizeof(hint), "; did you mean %s?", near.name);
	sks_fail(NULL, ENOENT, "plugin %s: not found in %s%s%s%s", name,
	    variable != NULL ? variable : "", variable != NULL ? ":" : "", SKS_HANDLERS_DIR, hint);
	sks_sys_free(here);
}

static char *
by_name(const char *name)
{
	struct folders f;
	char *found;
	int error;

	if (folders_init(&f) == -1)
		return NULL;
	found = in_folders(&f, name);
	error = errno;
	folders_free(&f);
	if (found == NULL && error == ENOENT)
		complain_of_name(name);
	errno = error;
	return found;
}

char *
sks_search_plugin(const char *name)
{
	if (name == NULL || *name == '\0') {
		sks_fail(NULL, EINVAL, "plugin: no name");
		return NULL;
	}
	return strchr(name, '/') != NULL ? by_path(name) : by_name(name);
}
