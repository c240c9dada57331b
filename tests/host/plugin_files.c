/* SPDX-License-Identifier: MIT */
#include "plugin_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
at(const char *name)
{
	static char paths[16][160];
	static int next;

	next = (next + 1) % 16;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", acc_dir, name);
	return paths[next];
}

char *
read_file(const char *path, size_t *n)
{
	FILE *from = fopen(path, "re");
	struct stat st;
	char *bytes;

	ck_assert_msg(from != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fstat(fileno(from), &st), 0);
	bytes = malloc((size_t)st.st_size);
	ck_assert_ptr_nonnull(bytes);
	*n = fread(bytes, 1, (size_t)st.st_size, from);
	fclose(from);
	return bytes;
}

void
write_file(const char *path, const void *bytes, size_t n)
{
	FILE *to = fopen(path, "we");

	ck_assert_msg(to != NULL, "%s: %s", path, strerror(errno));
	ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
	fclose(to);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

char *
built(const char *name, size_t *n)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s.so", PLUGINS, name);
	return read_file(path, n);
}

const char *
copy_as(const char *name, const char *as)
{
	const char *path = at(as);
	char *bytes;
	size_t n;

	bytes = built(name, &n);
	write_file(path, bytes, n);
	free(bytes);
	return path;
}

const char *
copy(const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.so", name);
	return copy_as(name, file);
}

struct sks_module *
must_load(const char *name)
{
	struct sks_module *module = sks_module_load(name);

	ck_assert_msg(module != NULL, "%s: %s", name, strerror(errno));
	return module;
}

void
refused(const char *name, int error, const char *words)
{
	struct sks_module *module;
	int lines = log_lines(), fds = open_descriptors(), said = log_count(words);

	errno = 0;
	module = sks_module_load(name);
	ck_assert_msg(module == NULL, "%s was loaded", name);
	ck_assert_msg(errno == error, "%s: %s", name, strerror(errno));
	ck_assert_msg(log_lines() == lines + 1, "%s: %d lines", name, log_lines() - lines);
	ck_assert_msg(log_count(words) == said + 1, "%s: nothing of: %s", name, words);
	ck_assert_int_eq(open_descriptors(), fds);
}

void
plugin_setup(void)
{
	acc_setup();
	unsetenv("SOCKETSERVER_HANDLERS");
}

void
plugin_teardown(void)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf %s/*", acc_dir);
	ck_assert_int_eq(system(command), 0);
	acc_teardown();
}
