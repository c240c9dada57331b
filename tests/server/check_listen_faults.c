/* SPDX-License-Identifier: MIT */
/*
 * check_listen_faults.c - system calls that fail at listening: it fails whole and says why.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct sks_handler echo = { .handle = acc_echo_lines };

FIXTURE(acc_setup, acc_teardown);

static int
exists(const char *address)
{
	struct stat st;

	return strchr(address, '/') != NULL && lstat(strchr(address, '/'), &st) == 0;
}

/* Options are a service; of the rest only what asks whether there is IPv6, or which port it was. */
static int
is_no_need(struct sks_server *server, const char *address, const char *call)
{
	if (strcmp(call, "socket") == 0)
		return strcmp(address, ":0") == 0 || strcmp(address, "udp::0") == 0;
	if (strcmp(call, "getsockname") == 0)
		return sks_server_fileno(server, 1) == -1;
	return strcmp(call, "setsockopt") == 0;
}

/* Accepting begins as soon as there is memory for it. */
TEST(listening_while_it_runs_does_not_fail_in_part)
{
	struct sks_options options = { .base = event_base_new() };
	char address[160];
	struct acc acc;
	int fd;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fault("event_add:ENOMEM:1");
	ck_assert_int_eq(sks_server_listen(acc.server, "127.0.0.1:0"), 0);
	ck_assert_uint_eq(sks_fault_hits(), 1);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, address, sizeof(address)));
	fd = peer_connect(address);
	peer_puts(fd, "echo\nd\n");
	while (peer_is_silent(fd))
		event_base_loop(options.base, EVLOOP_ONCE);
	peer_expect(fd, "echo\n");
	close(fd);
	acc_free(&acc);
	event_base_free(options.base);
}

TEST(an_address_that_fails_keeps_no_handler)
{
	struct acc acc;
	long before;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	before = memory_kept();
	ck_fails(sks_server_listen_with(acc.server, "nonsense", &echo, NULL), EINVAL);
	ck_assert_int_eq(memory_kept(), before);
	acc_free(&acc);
}

/*
 * A call that fails when listening gives an error, one line, and leaves nothing; or is not needed.
 */
TEST(listening_fails_whole, TIMES(10))
{
	static const struct {
		const char *call, *error;
		int number;
	} faults[] = {
		{ "socket", "EMFILE", EMFILE }, { "socket", "EACCES", EACCES },
		{ "bind", "EACCES", EACCES }, { "bind", "EINVAL", EINVAL },
		{ "listen", "EOPNOTSUPP", EOPNOTSUPP }, { "getsockname", "ENOBUFS", ENOBUFS },
		{ "setsockopt", "ENOPROTOOPT", ENOPROTOOPT }, { "fchmod", "EPERM", EPERM },
		{ "lstat", "EIO", EIO }, { "malloc", "ENOMEM", ENOMEM },
		{ "getaddrinfo", "EMFILE", EMFILE },
	};
	const char *const addresses[] = {
		"127.0.0.1:0", "[::1]:0", ":0", "udp::0", "localhost:0", "udp:127.0.0.1:0",
		acc_listen_address(ACC_UNIX), acc_listen_address(ACC_UNIX_DGRAM),
		acc_listen_address(ACC_ABSTRACT), acc_listen_address(ACC_ABSTRACT_DGRAM),
	};
	static const struct sks_handler handler = { .handle = acc_hello };
	struct sks_options options = { .unix_mode = 0600, .reuse_port = 1 };
	struct sks_server *server = sks_server_new(&handler, &options);
	const char *address = addresses[_i];
	int k, points = 0, descriptors;
	size_t f;

	ck_assert_ptr_nonnull(server);
	if (sks_server_listen(server, address) == -1) { /* a machine without IPv6 */
		ck_assert_ptr_nonnull(strchr(address, '['));
		sks_server_free(server);
		return;
	}
	sks_server_free(server);
	for (f = 0; f < SKS_ARRAY_LEN(faults); f++) {
		for (k = 1;; k++) {
			int rc, error;

			sks_fault_clear();
			server = sks_server_new(&handler, &options);
			ck_assert_ptr_nonnull(server);
			descriptors = open_descriptors();
			log_forget();
			log_keep();
			sks_fault_clear();
			fault("%s:%s:%d", faults[f].call, faults[f].error, k);
			rc = sks_server_listen(server, address);
			error = errno;
			if (sks_fault_hits() == 0) {
				ck_assert_int_eq(rc, 0);
				sks_fault_clear(); /* closing asks whether the file is still ours */
				sks_server_free(server);
				break;
			}
			points++;
			if (rc == -1) {
				ck_assert_msg(error == faults[f].number, "%s: %s:%d: errno is %s", address,
				    faults[f].call, k, strerror(error));
				ck_assert_msg(log_lines() == 1, "%s: %s:%d: %d lines", address,
				    faults[f].call, k, log_lines());
				ck_assert_int_eq(open_descriptors(), descriptors);
				ck_assert_msg(!exists(address), "%s: %s:%d leaves a file", address,
				    faults[f].call, k);
				ck_assert_ptr_null(sks_server_address(server, 0, (char[10]){ 0 }, 10));
			} else {
				ck_assert_msg(is_no_need(server, address, faults[f].call),
				    "%s: %s:%d is passed over", address, faults[f].call, k);
				ck_assert_int_eq(log_lines(), 0);
			}
			sks_fault_clear();
			sks_server_free(server);
			ck_assert_msg(!exists(address), "%s: %s:%d leaves a file in the end", address,
			    faults[f].call, k);
		}
	}
	ck_assert_int_ge(points, 6);
}

TEST(an_inherited_socket_that_cannot_be_used_is_refused)
{
	static const char *const rules[] = { "getsockopt:ENOTSOCK:1", "fcntl:EINVAL:1", "fcntl:EINVAL:2",
		"fcntl:EINVAL:3", "malloc:ENOMEM:1" };
	static const struct sks_handler handler = { .handle = acc_hello };
	struct sks_server *server = sks_server_new(&handler, NULL);
	char address[20];
	size_t i;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	snprintf(address, sizeof(address), "fd:%d", fd);
	for (i = 0; i < SKS_ARRAY_LEN(rules); i++) {
		log_forget();
		log_keep();
		sks_fault_clear();
		fault("%s", rules[i]);
		ck_assert_int_eq(sks_server_listen(server, address), -1);
		ck_assert_int_eq(log_lines(), 1);
		ck_assert_int_ne(fcntl(fd, F_GETFD), -1); /* still the caller's */
	}
	sks_fault_clear();
	ck_assert_int_eq(sks_server_listen(server, address), 0);
	sks_server_free(server);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

TEST(options_of_a_connection_are_no_need, EACH_ADDRESS)
{
	const char *address = acc_listen_address((enum acc_transport)_i);
	struct acc acc;
	int k;

	for (k = 1; k <= 4; k++) {
		sks_fault_clear();
		fault("setsockopt:ENOPROTOOPT:%d", k);
		if (acc_try(&acc, ACC_FIBERS, address, &echo, NULL) == -1) {
			ck_assert_int_eq(errno, ENOPROTOOPT); /* SO_REUSEADDR is needed, and says so */
			ck_assert_int_eq(log_count("SO_REUSEADDR"), 1);
			continue;
		}
		acc_start(&acc);
		ck_assert_int_eq(acc_echoes(&acc), 1);
		acc_free(&acc);
	}
}
