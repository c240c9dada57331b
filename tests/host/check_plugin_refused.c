/* SPDX-License-Identifier: MIT */
/*
 * check_plugin_refused.c - files that are no plugin, or that others could have written, are
 * refused.
 */
#include "child.h"
#include "plugin_files.h"
#include "tools.h"

#include <dlfcn.h>
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <grp.h>
#include <link.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER_USER 65534

/* -- files that are none -- */

FIXTURE(plugin_setup, plugin_teardown);

TEST(what_is_no_shared_object_is_refused)
{
	static const char text[] = "#!/bin/sh\necho hello, I am a script and no ELF file at all\n";

	write_file(at("text.so"), text, sizeof(text));
	refused(at("text.so"), ENOEXEC, "text.so: not an ELF file");
	write_file(at("empty.so"), "", 0);
	refused(at("empty.so"), ENOEXEC, "empty.so: not an ELF file");
	write_file(at("magic.so"), ELFMAG, SELFMAG);
	refused(at("magic.so"), ENOEXEC, "magic.so: cut short");
	ck_assert_int_eq(mkdir(at("folder.so"), 0755), 0);
	refused(at("folder.so"), EPERM, "folder.so: it is not a regular file");
	ck_assert_int_eq(mkfifo(at("fifo.so"), 0600), 0);
	refused(at("fifo.so"), EPERM, "fifo.so: it is not a regular file");
}

TEST(a_file_for_another_machine_is_refused)
{
	ElfW(Ehdr) header;
	char *bytes;
	size_t n;

	bytes = built("hooks", &n);
	memcpy(&header, bytes, sizeof(header));
	header.e_machine = header.e_machine == EM_S390 ? EM_X86_64 : EM_S390;
	memcpy(bytes, &header, sizeof(header));
	write_file(at("machine.so"), bytes, n);
	refused(at("machine.so"), ENOEXEC, "machine.so: built for another architecture");
	free(bytes);

	bytes = built("hooks", &n);
	bytes[EI_CLASS] = bytes[EI_CLASS] == ELFCLASS32 ? ELFCLASS64 : ELFCLASS32;
	write_file(at("class.so"), bytes, n);
	refused(at("class.so"), ENOEXEC, "class.so: built for another architecture");
	free(bytes);

	bytes = built("hooks", &n);
	memcpy(&header, bytes, sizeof(header));
	header.e_type = ET_EXEC;
	memcpy(bytes, &header, sizeof(header));
	write_file(at("program.so"), bytes, n);
	refused(at("program.so"), ENOEXEC, "program.so: not a shared object");
	free(bytes);
}

/* Where the last byte is that gets mapped. */
static size_t
mapped_end(const char *bytes)
{
	ElfW(Ehdr) header;
	ElfW(Phdr) segment;
	size_t end = 0;
	int i;

	memcpy(&header, bytes, sizeof(header));
	for (i = 0; i < header.e_phnum; i++) {
		memcpy(&segment, bytes + header.e_phoff + (size_t)i * sizeof(segment),
		    sizeof(segment));
		if (segment.p_type == PT_LOAD && segment.p_offset + segment.p_filesz > end)
			end = segment.p_offset + segment.p_filesz;
	}
	return end;
}

/* The first use of a page that is not there would be a SIGBUS. */
TEST(a_file_that_was_cut_anywhere_is_refused)
{
	struct sks_module *module;
	size_t n, end, cut;
	char *bytes;

	bytes = built("hooks", &n);
	end = mapped_end(bytes);
	for (cut = SELFMAG; cut < end; cut += cut < 1024 ? 31 : 509) {
		write_file(at("cut.so"), bytes, cut);
		refused(at("cut.so"), ENOEXEC, "cut.so: cut short");
		log_forget();
	}
	write_file(at("cut.so"), bytes, end - 1);
	refused(at("cut.so"), ENOEXEC, "cut.so: cut short");
	unlink(at("cut.so"));
	write_file(at("whole.so"), bytes, end);
	module = must_load(at("whole.so"));
	sks_module_free(module);
	free(bytes);
}

/* -- shared objects that are no plugin, or not ours -- */

static const struct {
	const char *name;
	int error;
	const char *words;
} wrong[] = {
	{ "undefined", ENOEXEC, "sks_from_the_future" },
	{ "none", ENOEXEC, "none.so: it is no plugin: it has no sks_plugin_descriptor" },
	{ "bad_magic", ENOEXEC, "bad_magic.so: its descriptor is none (wrong magic number)" },
	{ "too_new", ENOEXEC, "too_new.so: too new: built for version 1.9999 of plugins" },
	{ "too_new_major", ENOEXEC, "too_new_major.so: too new: built for version 9999.0" },
	{ "too_old", ENOEXEC, "too_old.so: too old: built for version 0.0" },
	{ "too_small", EINVAL, "too_small.so: its descriptor has a wrong size" },
	{ "bad_type", EINVAL, "bad_type.so: its option number: its type is unknown" },
	{ "bad_size", EINVAL, "bad_size.so: its option number: its member has the wrong size" },
	{ "bad_default", EINVAL, "frozen: option number: its default 5x: not a number" },
	{ "bad_bounds", EINVAL, "frozen: option number: its default 101: must be 1 to 100" },
};

TEST(a_wrong_plugin_is_refused_by_name, EACH_OF(wrong))
{
	refused(copy(wrong[_i].name), wrong[_i].error, wrong[_i].words);
}

TEST(a_plugin_of_the_first_version_serves_for_ever)
{
	struct sks_module *module = must_load(copy("frozen"));
	struct sks_server *server;
	char address[64];
	int fd;

	ck_assert_str_eq(sks_module_name(module), "frozen");
	ck_assert_int_eq(sks_module_port(module), 4242);
	ck_assert_int_eq(sks_module_serves(module), SKS_STREAMS);
	ck_assert_int_eq(sks_module_set(module, "text=new"), 0);
	server = sks_module_server_new(module, NULL);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_module_listen(module, server, "127.0.0.1:0"), 0);
	fd = peer_connect(sks_server_address(server, 0, address, sizeof(address)));
	peer_half_close(fd); /* no lingering */
	ck_assert_int_eq(sks_handle_request(server, 10000), 0);
	peer_expect(fd, "new 42\n");
	peer_expect_eof(fd);
	sks_server_free(server);
	sks_module_free(module);
}

#if WITH_CXX
/*
 * This program has no C++ runtime until it loads the plugin, whose own it may be. The list of
 * objects that dlopen(3) replaces then stays with the dynamic linker, which valgrind reports.
 */
TEST(a_plugin_in_cxx_has_exceptions_for_each_request, TIMES(2),
    .left_out = RUNNING_ON_VALGRIND ? "valgrind takes memory of ld.so for lost" : NULL)
{
	struct sks_module *module = must_load(copy(_i == 0 ? "throws" : "throws_alone"));
	struct acc acc = { .mode = &acc_modes[0] };
	int a, b;

	acc.server = sks_module_server_new(module, NULL);
	ck_assert_ptr_nonnull(acc.server);
	ck_assert_int_eq(sks_module_listen(module, acc.server, "127.0.0.1:0"), 0);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 0, acc.address, sizeof(acc.address)));
	acc_start(&acc);
	a = acc_client(&acc);
	b = acc_client(&acc);
	peer_puts(a, "throw A\n");
	peer_expect(a, "caught\n");
	peer_puts(b, "throw B\n");
	peer_expect(b, "caught\n");
	peer_puts(a, "again\n");
	peer_expect(a, "A\n");
	close(a);
	close(b);
	acc_free(&acc);
	sks_module_free(module);
}
#endif

/* -- files that others could have written -- */

static const char *
not_root(void)
{
	return geteuid() == 0 ? NULL : "only root gives files away";
}

/* Some systems have others in the group of root; and a user's own may be one of many. */
static const char *
no_group_of_roots_own(void)
{
	const struct passwd *user;
	const struct group *group = getgrgid(getegid());
	int others = group == NULL || group->gr_mem[0] != NULL;

	setpwent();
	while ((user = getpwent()) != NULL)
		others |= user->pw_gid == getegid() && user->pw_uid != geteuid();
	endpwent();
	return others ? "others are in this user's group" : NULL;
}

/* A group of this file's owner that has others in it, or none: only root can give one away. */
#define OTHER_GROUP 12345

TEST(what_others_may_write_is_refused)
{
	static const char *const why = "may be written by others";
	const char *path;

	mkdir(at("folder"), 0755);
	path = copy_as("hooks", "folder/hooks.so");
	chmod(path, 0666);
	refused(path, EPERM, why);
	chmod(path, 0644);
	chmod(at("folder"), 0777);
	refused(path, EPERM, why);
	chmod(at("folder"), 01777); /* others may add files there, the next plugin's dependencies */
	refused(path, EPERM, why);
	chmod(at("folder"), 0755);
	sks_module_free(must_load(path));
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(path, (uid_t)-1, OTHER_GROUP), 0);
	ck_assert_int_eq(chown(at("folder"), (uid_t)-1, OTHER_GROUP), 0);
	chmod(path, 0664);
	refused(path, EPERM, "hooks.so: it may be written by others (chmod go-w");
	chmod(path, 0644);
	chmod(at("folder"), 0775);
	refused(path, EPERM, "hooks.so: its folder");
	chmod(at("folder"), 0755);
	sks_module_free(must_load(path));
}

TEST(folders_above_must_not_let_others_replace_it)
{
	const char *path;

	mkdir(at("above"), 0755);
	mkdir(at("above/folder"), 0755);
	path = copy_as("hooks", "above/folder/hooks.so");
	chmod(at("above"), 0777);
	refused(path, EPERM, "above may be written by others");
	chmod(at("above"), 01777); /* as /tmp: nobody renames what is not his */
	sks_module_free(must_load(path));
}

/* -- as another user than root, which a child becomes -- */

/* Loads the plugin at arg; what the log says is the child's text. */
static void
load_as_another(void *arg)
{
	sks_set_log(NULL, NULL);
	if (setgroups(0, NULL) == -1 || setgid(OTHER_GROUP) == -1 || setuid(OTHER_USER) == -1)
		err(EXIT_FAILURE, "another user");
	if (sks_module_load(arg) != NULL)
		warnx("loaded");
}

static void
expect_as_another(const char *path, const char *words)
{
	struct child child = { .act = load_as_another, .arg = (void *)(uintptr_t)path };

	child_run(&child);
	ck_assert_msg(strstr(child_said(&child), words) != NULL, "nothing of '%s': %s", words,
	    child_said(&child));
}

static const char *
give_away(const char *name)
{
	ck_assert_int_eq(chown(at(name), OTHER_USER, OTHER_GROUP), 0);
	return at(name);
}

TEST(all_that_is_wrong_is_told_at_once_with_what_mends_it, .left_out = not_root())
{
	char command[1200], path[256];

	chmod(acc_dir, 0755);
	mkdir(at("above"), 0755);
	mkdir(at("above/between"), 0755);
	mkdir(at("above/between/folder"), 0755);
	snprintf(path, sizeof(path), "%s", copy_as("hooks", "above/between/folder/hooks.so"));
	chmod(give_away("above"), 0775);
	chmod(give_away("above/between"), 0775);
	chmod(give_away("above/between/folder"), 0775);
	chmod(give_away("above/between/folder/hooks.so"), 0775);
	snprintf(command, sizeof(command), "chmod go-w %s %s %s %s)", path, at("above/between/folder"),
	    at("above/between"), at("above"));
	expect_as_another(path, command);
	chmod(path, 0755);
	expect_as_another(path, "hooks.so: its folder");
	chmod(at("above/between/folder"), 0755);
	chmod(at("above/between"), 0755);
	/* A user who may rename the folder may put another one in its place. */
	snprintf(command, sizeof(command), "hooks.so: its folder %s may be written by others (chmod "
	    "go-w %s)", at("above"), at("above"));
	expect_as_another(path, command);
	chmod(at("above"), 0755);
	expect_as_another(path, "loaded");
}

/* A group that root and the user alone are in, as each user has one where the umask is 002. */
TEST(what_the_users_own_group_may_write_is_loaded, .left_out = no_group_of_roots_own())
{
	const char *path;

	mkdir(at("above"), 0775);
	mkdir(at("above/folder"), 0775);
	path = copy_as("hooks", "above/folder/hooks.so");
	chmod(at("above"), 0775);
	chmod(at("above/folder"), 0775);
	chmod(path, 0775);
	sks_module_free(must_load(path));
	chmod(path, 0777);
	refused(path, EPERM, "hooks.so: it may be written by others (chmod go-w");
}

/* There everybody who has no number of his own has that of "nobody", root too. */
static void
load_in_a_user_namespace(void *arg)
{
	uid_t uid = geteuid();
	FILE *map;

	sks_set_log(NULL, NULL);
	if (unshare(CLONE_NEWUSER) == -1 || (map = fopen("/proc/self/uid_map", "w")) == NULL)
		errx(77, "no user namespace");
	fprintf(map, "%u %u 1\n", (unsigned int)uid, (unsigned int)uid);
	fclose(map);
	if (sks_module_load(arg) != NULL)
		warnx("loaded");
}

TEST(a_user_namespace_is_named_as_the_reason)
{
	const char *path = copy("hooks");
	struct child child = { .act = load_in_a_user_namespace, .arg = (void *)(uintptr_t)path };

	if (geteuid() == 0) /* else it is the root of the real one whom the namespace does not know */
		ck_assert_int_eq(chown(path, OTHER_USER - 1, (gid_t)-1), 0);
	child_run(&child);
	if (child_exited_with(&child, 77))
		return;
	ck_assert_msg(strstr(child_said(&child),
	    "belongs to a user that this user namespace does not know") != NULL, "%s",
	    child_said(&child));
}

TEST(what_belongs_to_others_is_refused)
{
	const char *path = copy("hooks");

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(path, OTHER_USER, OTHER_USER), 0);
	refused(path, EPERM, "hooks.so: it belongs neither to root nor to this user");
	ck_assert_int_eq(chown(path, 0, OTHER_USER), 0);
	ck_assert_int_eq(chown(acc_dir, OTHER_USER, OTHER_USER), 0);
	refused(path, EPERM, "belongs neither to root nor to this user");
	ck_assert_int_eq(chown(acc_dir, 0, 0), 0);
	sks_module_free(must_load(path));
}
