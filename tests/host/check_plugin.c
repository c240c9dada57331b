/* SPDX-License-Identifier: MIT */
/*
 * check_plugin.c - loading plugins, and refusing files that are none, or that
 * others could have written. The plugins of tests/plugins are copied into the
 * test's own folder, so that it does not matter who owns the build.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <socketserver/host.h>

#define OTHER_USER 65534

static char variable[200];

/* NAME in the test's folder: one of many buffers, as many as a test uses. */
static const char *
at(const char *name)
{
	static char paths[16][160];
	static int next;

	next = (next + 1) % 16;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", acc_dir, name);
	return paths[next];
}

static char *
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

static void
write_file(const char *path, const void *bytes, size_t n)
{
	FILE *to = fopen(path, "we");

	ck_assert_msg(to != NULL, "%s: %s", path, strerror(errno));
	ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
	fclose(to);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

/* The built plugin, as it was built. */
static char *
built(const char *name, size_t *n)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s.so", PLUGINS, name);
	return read_file(path, n);
}

/* A copy of it under another name. */
static const char *
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

static const char *
copy(const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.so", name);
	return copy_as(name, file);
}

static struct sks_module *
must_load(const char *name)
{
	struct sks_module *module = sks_module_load(name);

	ck_assert_msg(module != NULL, "%s: %s", name, strerror(errno));
	return module;
}

static void
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

static void
set_up(void)
{
	acc_setup();
	snprintf(variable, sizeof(variable), "%s/first:%s/nowhere::%s/second", acc_dir, acc_dir,
	    acc_dir);
	unsetenv("SOCKETSERVER_HANDLERS");
}

static void
tear_down(void)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf %s/*", acc_dir);
	ck_assert_int_eq(system(command), 0);
	acc_teardown();
}

FIXTURE(set_up, tear_down);

/* -- finding -- */

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

TEST(a_name_is_looked_for_in_folder_after_folder)
{
	struct sks_module *module;

	mkdir(at("first"), 0755);
	mkdir(at("second"), 0755);
	copy_as("hooks", "second/both.so");
	copy_as("frozen", "first/both.so");
	copy_as("hooks", "second/hooks.so");
	setenv("SOCKETSERVER_HANDLERS", variable, 1);
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
	setenv("SOCKETSERVER_HANDLERS", variable, 1);
	ck_assert_int_eq(sks_module_each(keep_name, names), 0);
	ck_assert_msg(strncmp(names, "a b c ", 6) == 0, "%s", names);
	ck_assert_int_eq(sks_module_each(stop_at_once, &calls), 7);
	ck_assert_int_eq(calls, 1);
}

TEST(what_is_not_there_is_said_with_where_it_was_looked_for)
{
	refused(at("nothing.so"), ENOENT, "/nothing.so: not found");
	refused("nothing", ENOENT, "plugin nothing: not found in /");
	setenv("SOCKETSERVER_HANDLERS", variable, 1);
	refused("nothing", ENOENT, variable);
	refused("", EINVAL, "no name");
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

/* -- files that are none -- */

FIXTURE(set_up, tear_down);

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

/* -- options and hooks -- */

FIXTURE(set_up, tear_down);

static int *
counter(const struct sks_module *module, const char *name)
{
	void *library = dlopen(sks_module_file(module), RTLD_NOW | RTLD_NOLOAD);
	int *found;

	ck_assert_ptr_nonnull(library);
	found = dlsym(library, name);
	ck_assert_ptr_nonnull(found);
	return found;
}

static void
said(const char *words)
{
	ck_assert_msg(log_count(words) == 1, "nothing of: %s", words);
	log_forget();
}

TEST(a_wrong_option_is_refused_in_one_line)
{
	struct sks_module *module = must_load(copy("hooks"));

	ck_assert_int_eq(sks_module_set(module, "times=5x"), -1);
	ck_assert_int_eq(errno, EINVAL);
	said("hooks: option times: 5x: not a number");
	ck_assert_int_eq(sks_module_set(module, "times=10"), -1);
	said("hooks: option times: 10: must be 1 to 9");
	ck_assert_int_eq(sks_module_set(module, "tim=5"), -1);
	ck_assert_int_eq(errno, EINVAL);
	said("hooks: option tim: there is none (but word, fail, times)");
	ck_assert_int_eq(sks_module_set(module, "timesandmore=5"), -1);
	said("hooks: option timesandmore: there is none");
	ck_assert_int_eq(sks_module_set(module, "times"), -1);
	said("hooks: option times: no value (times=...)");
	ck_assert_int_eq(sks_module_set(module, ""), -1);
	said("hooks: option : there is none");
	ck_assert_int_eq(sks_module_set(module, "word="), -1);
	said("hooks: option word: (nothing): must be 1 to 31 bytes long");
	sks_module_free(module);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(a_required_option_must_be_set)
{
	struct sks_module *module = must_load(copy("hooks"));

	ck_assert_int_eq(sks_module_init(module), -1);
	ck_assert_int_eq(errno, EINVAL);
	said("hooks: option times: must be set");
	ck_assert_ptr_null(sks_module_server_new(module, NULL));
	ck_assert_int_eq(*counter(module, "hooks_inits"), 0);
	sks_module_free(module);
}

TEST(init_and_exit_run_once)
{
	struct sks_module *module = must_load(copy("hooks"));
	struct sks_options options = { .mode = SKS_THREADS };
	struct sks_server *servers[2];
	int *inits = counter(module, "hooks_inits"), *exits = counter(module, "hooks_exits"), i;

	ck_assert_int_eq(sks_module_set(module, "times=2"), 0);
	for (i = 0; i < 2; i++) {
		servers[i] = sks_module_server_new(module, &options);
		ck_assert_ptr_nonnull(servers[i]);
	}
	ck_assert_int_eq(sks_module_init(module), 0);
	ck_assert_int_eq(*inits, 1);
	ck_assert_int_eq(sks_module_set(module, "times=3"), -1);
	ck_assert_int_eq(errno, EBUSY);
	for (i = 0; i < 2; i++)
		sks_server_free(servers[i]);
	ck_assert_int_eq(*exits, 0);
	sks_module_free(module);
	ck_assert_int_eq(*exits, 1);
}

TEST(an_init_that_fails_says_why_and_has_no_exit)
{
	struct sks_module *module = must_load(copy("hooks"));
	int *exits = counter(module, "hooks_exits");

	ck_assert_int_eq(sks_module_set(module, "times=2"), 0);
	ck_assert_int_eq(sks_module_set(module, "fail=28"), 0); /* ENOSPC */
	ck_assert_ptr_null(sks_module_server_new(module, NULL));
	ck_assert_int_eq(errno, ENOSPC);
	said("hooks: init: No space left on device");
	sks_module_free(module);
	ck_assert_int_eq(*exits, 0);
}

/* Serves one datagram. */
static void
ask(struct sks_module *module, const char *answer)
{
	struct sks_options options = { .mode = SKS_THREADS };
	struct sks_server *server = sks_module_server_new(module, &options);
	char address[64];
	int fd;

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_module_listen(module, server, "udp:127.0.0.1:0"), 0);
	fd = peer_datagram(sks_server_address(server, 0, address, sizeof(address)), NULL);
	peer_puts(fd, "x");
	ck_assert_int_eq(sks_handle_request(server, 10000), 0);
	peer_expect(fd, answer);
	close(fd);
	sks_server_free(server);
}

TEST(the_same_file_twice_has_options_of_its_own)
{
	struct sks_module *a = must_load(copy("hooks")), *b = must_load(at("hooks.so"));

	ck_assert_int_eq(sks_module_set(a, "times=1"), 0);
	ck_assert_int_eq(sks_module_set(b, "times=1"), 0);
	ck_assert_int_eq(sks_module_set(b, "times=2"), 0); /* the last one holds */
	ck_assert_int_eq(sks_module_set(b, "word=a"), 0);
	ck_assert_int_eq(sks_module_set(b, "word=b="), 0);
	ask(a, "word");
	ask(b, "b=b=");
	sks_module_free(a);
	ask(b, "b=b=");
	sks_module_free(b);
}

TEST(a_mode_it_refuses_is_refused_with_the_reason, TIMES(2))
{
	static const int modes[] = { SKS_SERIAL, SKS_PROCESSES };
	static const char *const words[] = {
		"hooks: not in the mode serial: it counts in one memory",
		"hooks: not in the mode processes: it counts in one memory",
	};
	struct sks_module *module = must_load(copy("hooks"));
	struct sks_options options = { .mode = modes[_i] };

	ck_assert_int_eq(sks_module_set(module, "times=2"), 0);
	ck_assert_ptr_null(sks_module_server_new(module, &options));
	ck_assert_int_eq(errno, EINVAL);
	said(words[_i]);
	ck_assert_int_eq(*counter(module, "hooks_inits"), 0);
	sks_module_free(module);
}

TEST(only_what_it_serves_is_listened_on)
{
	struct sks_module *module = must_load(copy("hooks"));
	struct sks_server *server;
	char address[64], path[200];
	int fd;

	ck_assert_int_eq(sks_module_set(module, "times=2"), 0);
	server = sks_module_server_new(module, NULL);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_module_listen(module, server, "127.0.0.1:0"), -1);
	ck_assert_int_eq(errno, EINVAL);
	said("hooks: listen on 127.0.0.1:0: it does not serve streams");
	snprintf(path, sizeof(path), "unix:%s", at("socket"));
	ck_assert_int_eq(sks_module_listen(module, server, path), -1);
	said("it does not serve streams");
	ck_assert_int_eq(access(at("socket"), F_OK), -1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address, sizeof(address), "fd:%d", fd);
	ck_assert_int_eq(sks_module_listen(module, server, address), -1);
	said("it does not serve streams");
	close(fd);
	ck_assert_int_eq(sks_module_listen(module, server, "nonsense"), -1);
	ck_assert_int_eq(sks_server_fileno(server, 0), -1);
	sks_server_free(server);
	sks_module_free(module);
}

TEST(it_is_described)
{
	static const char *const words[] = { "hooks: counts its hooks\n", "serves: datagrams\n",
		"modes:  fibers, threads (default)\n",
		"        not serial, processes: it counts in one memory\n",
		"  word=word\n        what to say (string, 1 to 31 bytes long)\n",
		"  times=\n        how often (number, 1 to 9, must be set)\n" };
	struct sks_module *module = must_load(copy("hooks"));
	char *text = sks_module_describe(module);
	size_t i;

	ck_assert_ptr_nonnull(text);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_msg(strstr(text, words[i]) != NULL, "not in it: %s\n%s", words[i], text);
	free(text);
	sks_module_free(module);
}

/* -- when the system fails -- */

TEST(whatever_fails_is_an_error_and_nothing_is_left, TIMES(9))
{
	static const char *const calls[] = { "malloc:ENOMEM", "realpath:ENOMEM", "open:EMFILE",
		"fstat:EIO", "lstat:EACCES", "pread:EIO", "dlopen:ENOMEM", "dlsym:EINVAL",
		"mmap:ENOMEM" };
	const char *path = copy("hooks");
	int k, failed = 1;

	for (k = 1; failed; k++) {
		struct sks_options options = { .mode = SKS_THREADS };
		struct sks_server *server = NULL;
		struct sks_module *module;
		char rule[64];
		int fds = open_descriptors();

		snprintf(rule, sizeof(rule), "%s:%d", calls[_i], k);
		ck_assert_int_eq(sks_fault(rule), 0);
		errno = 0;
		module = sks_module_load(path);
		ck_assert_int_eq(module == NULL, errno != 0 && sks_fault_hits() > 0);
		if (module != NULL && sks_module_set(module, "times=2") == 0 &&
		    sks_module_set(module, "word=w") == 0)
			server = sks_module_server_new(module, &options);
		if (server != NULL)
			free(sks_module_describe(module));
		sks_server_free(server);
		sks_module_free(module);
		failed = sks_fault_hits() > 0;
		sks_fault_clear();
		ck_assert_int_eq(open_descriptors(), fds);
		log_forget();
	}
	ck_assert_int_gt(k, 2);
}
