/* SPDX-License-Identifier: MIT */
/*
 * check_plugin.c - plugins that were loaded: they have options and hooks, serve, also beside
 * another handler, and are described.
 */
#include "faults.h"
#include "plugin_files.h"

#include "server/server.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(plugin_setup, plugin_teardown);

/* -- options and hooks -- */

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

static void
has_limits(struct sks_module *module, int idle_ms, int timeout_ms, int idle_had, int timeout_had)
{
	struct sks_options options = { .mode = SKS_THREADS, .idle_ms = idle_ms,
		.timeout_ms = timeout_ms };
	struct sks_server *server = sks_module_server_new(module, &options);

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(server->service.options.idle_ms, idle_had);
	ck_assert_int_eq(server->service.options.timeout_ms, timeout_had);
	sks_server_free(server);
}

TEST(its_time_limits_are_taken_where_the_host_has_none)
{
	struct sks_module *module = must_load(copy("hooks"));
	char *text = sks_module_describe(module);

	ck_assert_int_eq(sks_module_set(module, "times=1"), 0);
	has_limits(module, 0, 0, 300000, SKS_OFF);
	has_limits(module, 7, 0, 7, SKS_OFF);
	has_limits(module, SKS_OFF, 8, SKS_OFF, 8);
	ck_assert_msg(strstr(text, "\nidle:   5m\ntimeout: no limit\n") != NULL, "%s", text);
	free(text);
	sks_module_free(module);
}

TEST(an_init_that_takes_long_is_named)
{
	struct sks_module *module = must_load(copy("slow"));

	ck_assert_int_eq(sks_module_init(module), 0);
	ck_assert_int_eq(log_count("slow: init kept its thread for "), 1);
	ck_assert_int_eq(sks_module_init(module), 0);
	ck_assert_int_eq(log_lines(), 1);
	sks_module_free(module);
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

TEST(an_init_without_data_leaves_the_configuration)
{
	struct sks_module *module = must_load(copy("slow"));

	ck_assert_int_eq(sks_module_set(module, "word=of its own"), 0);
	ask(module, "of its own");
	sks_module_free(module);
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

TEST(a_mode_its_handler_refuses_is_refused)
{
	struct sks_module *module = must_load(copy("slow"));
	struct sks_options options = { .mode = SKS_SERIAL };
	char *text = sks_module_describe(module);

	ck_assert_ptr_nonnull(strstr(text, "        not serial\n"));
	free(text);
	ck_assert_ptr_null(sks_module_server_new(module, &options));
	ck_assert_int_eq(errno, EINVAL);
	said("slow: not in the mode serial");
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

/* -- beside another handler -- */

static int
say_no(struct sks_request *req)
{
	return sks_puts(req->wfile, "no");
}

TEST(it_serves_beside_another_handler_with_data_of_its_own)
{
	struct sks_module *module = must_load(copy("slow"));
	struct sks_handler handler = { .handle = say_no };
	struct sks_server *server = sks_server_new(&handler, NULL);
	char address[64];
	int fd;

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_module_set(module, "word=beside"), 0);
	ck_assert_int_eq(sks_server_listen(server, "udp:127.0.0.1:0"), 0);
	ck_assert_int_eq(sks_module_listen_with(module, server, "udp:127.0.0.1:0"), 0);
	fd = peer_datagram(sks_server_address(server, 1, address, sizeof(address)), NULL);
	peer_puts(fd, "x");
	ck_assert_int_eq(sks_handle_request(server, 10000), 0);
	peer_expect(fd, "beside");
	close(fd);
	sks_server_free(server);
	sks_module_free(module);
}

TEST(what_cannot_serve_beside_another_handler_is_refused)
{
	struct sks_module *module = must_load(copy("hooks"));
	struct sks_handler handler = { .handle = say_no };
	struct sks_options options = { .mode = SKS_SERIAL };
	struct sks_server *server = sks_server_new(&handler, &options);
	struct sks_server *fibers = sks_server_new(&handler, NULL);

	ck_assert_int_eq(sks_module_listen_with(module, server, "udp:127.0.0.1:0"), -1);
	ck_assert_int_eq(errno, EINVAL);
	said("hooks: not in the mode serial: it counts in one memory");
	ck_assert_int_eq(sks_module_listen_with(module, fibers, "127.0.0.1:0"), -1);
	ck_assert_int_eq(errno, EINVAL);
	said("hooks: listen on 127.0.0.1:0: it does not serve streams");
	/* The option "times" is required. */
	ck_assert_int_eq(sks_module_listen_with(module, fibers, "udp:127.0.0.1:0"), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_module_set(module, "times=2"), 0);
	ck_assert_int_eq(sks_module_listen_with(module, fibers, "systemd:"), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_server_fileno(server, 0), -1);
	ck_assert_int_eq(sks_server_fileno(fibers, 0), -1);
	sks_server_free(fibers);
	sks_server_free(server);
	sks_module_free(module);
}

TEST(a_name_of_a_passed_socket_has_a_length)
{
	struct sks_module *module = must_load(copy("hooks"));
	struct sks_server *server = sks_module_server_new(module, NULL);
	char address[400] = "systemd:";

	memset(address + strlen(address), 'a', 320);
	ck_assert_int_eq(sks_module_set(module, "times=1"), 0);
	ck_fails(sks_module_listen(module, server, address), ENAMETOOLONG);
	ck_assert_int_eq(log_count("hooks: listen on systemd:aaa"), 1);
	ck_assert_int_eq(log_count("...: the name is too long"), 1);
	sks_server_free(server);
	sks_module_free(module);
}

/* -- described -- */

TEST(one_without_options_says_so)
{
	struct sks_module *module = must_load(copy("waits"));
	char *text = sks_module_describe(module);

	ck_assert_msg(text != NULL && strstr(text, "options: none\n") != NULL, "%s", text);
	free(text);
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
