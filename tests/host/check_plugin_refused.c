/* SPDX-License-Identifier: MIT */
/*
 * check_plugin_refused.c - files that are no plugin, or that others could have written, are refused.
 */
#include "plugin_files.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
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
	refused(at("folder.so"), EPERM, "folder.so: not a regular file");
	ck_assert_int_eq(mkfifo(at("fifo.so"), 0600), 0);
	refused(at("fifo.so"), EPERM, "fifo.so: not a regular file");
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
	{ "undefined", ENOEXEC, "undefined.so: undefined symbol: sks_from_the_future" },
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
/* This program has no C++ runtime until it loads the plugin, whose own it may be. */
TEST(a_plugin_in_cxx_has_exceptions_for_each_request, TIMES(2))
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

TEST(what_others_may_write_is_refused)
{
	static const char *const why = "may be written by others";
	const char *path;

	mkdir(at("folder"), 0755);
	path = copy_as("hooks", "folder/hooks.so");
	chmod(path, 0666);
	refused(path, EPERM, why);
	chmod(path, 0664);
	refused(path, EPERM, why);
	chmod(path, 0644);
	chmod(at("folder"), 0777);
	refused(path, EPERM, why);
	chmod(at("folder"), 01777); /* others may add files there, the next plugin's dependencies */
	refused(path, EPERM, why);
	chmod(at("folder"), 0775);
	refused(path, EPERM, why);
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
