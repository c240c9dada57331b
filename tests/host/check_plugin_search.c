/* SPDX-License-Identifier: MIT */
/*
 * check_plugin_search.c - plugins are found: by path, by name in folder after folder, or all
 * that there are.
 */
#include "plugin_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FIXTURE(plugin_setup, plugin_teardown);

TEST(a_path_is_loaded_and_tells_what_it_is)
{
	struct sks_module *module = must_load(copy("hooks"));

	ck_assert_str_eq(sks_module_name(module), "hooks");
	ck_assert_str_eq(sks_module_summary(module), "counts its hooks");
	ck_assert_str_eq(sks_module_file(module), at("hooks.so"));
	ck_assert_int_eq(sks_module_mode(module), SKS_THREADS);
	ck_assert_int_eq(sks_module_serves(module), SKS_DATAGRAMS);
	ck_assert_int_eq(sks_module_port(module), 0);
	sks_module_free(module);
	ck_assert_int_eq(log_lines(), 0);
}

/*
 * For the variable: two in the test's folder, with one that is not there and an empty name
 * between.
 */
static const char *
folders(void)
{
	static char text[200];

	snprintf(text, sizeof(text), "%s/first:%s/nowhere::%s/second", acc_dir, acc_dir, acc_dir);
	return text;
}

TEST(a_name_is_looked_for_in_folder_after_folder)
{
	struct sks_module *module;

	mkdir(at("first"), 0755);
	mkdir(at("second"), 0755);
	copy_as("hooks", "second/both.so");
	copy_as("frozen", "first/both.so");
	copy_as("hooks", "second/hooks.so");
	setenv("SOCKETSERVER_HANDLERS", folders(), 1);
	module = must_load("both");
	ck_assert_str_eq(sks_module_name(module), "frozen");
	sks_module_free(module);
	module = must_load("hooks.so");
	ck_assert_str_eq(sks_module_file(module), at("second/hooks.so"));
	sks_module_free(module);
}

static int
keep_name(const char *name, const char *path, void *arg)
{
	char *names = arg;

	ck_assert_ptr_nonnull(strstr(path, name));
	strcat(strcat(names, name), " ");
	return 0;
}

static int
stop_at_once(const char *name, const char *path, void *arg)
{
	(void)name;
	(void)path;
	++*(int *)arg;
	return 7;
}

TEST(all_that_can_be_found_are_listed_once)
{
	char names[1000] = "";
	int calls = 0;

	mkdir(at("first"), 0755);
	mkdir(at("second"), 0755);
	copy_as("hooks", "first/b.so");
	copy_as("hooks", "first/a.so");
	copy_as("hooks", "second/b.so");
	copy_as("hooks", "second/c.so");
	copy_as("hooks", "second/not_a_plugin.txt");
	copy_as("hooks", "second/.so");
	setenv("SOCKETSERVER_HANDLERS", folders(), 1);
	ck_assert_int_eq(sks_module_each(keep_name, names), 0);
	ck_assert_msg(strncmp(names, "a b c ", 6) == 0, "%s", names);
	ck_assert_int_eq(sks_module_each(stop_at_once, &calls), 7);
	ck_assert_int_eq(calls, 1);
}

TEST(what_is_not_there_is_said_with_where_it_was_looked_for)
{
	refused(at("nothing.so"), ENOENT, "/nothing.so: not found");
	refused("nothing", ENOENT, "plugin nothing: not found in /");
	setenv("SOCKETSERVER_HANDLERS", folders(), 1);
	refused("nothing", ENOENT, folders());
	refused("", EINVAL, "no name");
	mkdir(at("first"), 0755);
	copy_as("hooks", "first/hooks.so");
	copy_as("hooks", "first/kv.so");
	refused("hoosk", ENOENT, "; did you mean hooks?");
	refused("hook", ENOENT, "; did you mean hooks?");
	refused("ks", ENOENT, "; did you mean kv?");
	refused("hammock", ENOENT, "plugin hammock: not found in ");
	ck_assert_int_eq(log_count("did you mean"), 3);
	write_file(at("file"), "", 0);
	refused(at("file/x.so"), ENOENT, "not found");
}

TEST(a_symbolic_link_is_followed)
{
	struct sks_module *module;

	copy("hooks");
	ck_assert_int_eq(symlink("hooks.so", at("link.so")), 0);
	module = must_load(at("link.so"));
	ck_assert_str_eq(sks_module_file(module), at("hooks.so"));
	sks_module_free(module);
	ck_assert_int_eq(symlink("loop.so", at("loop.so")), 0);
	refused(at("loop.so"), ELOOP, "loop.so: ");
}
