/* SPDX-License-Identifier: MIT */
/*
 * check_unix_files.c - Unix sockets that are listened on: their files, and abstract names.
 */
#include "acceptance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static struct sks_server *
new_server(int mode, const struct sks_options *options)
{
	struct sks_options o = acc_options(&acc_modes[mode], options);
	struct sks_server *server = sks_server_new(&acc_script, &o);

	ck_assert_ptr_nonnull(server);
	return server;
}

static char *
in_dir(const char *scheme, const char *file, char *buf, size_t size)
{
	ck_assert_int_lt(snprintf(buf, size, "%s%s%s", scheme, acc_dir, file), (int)size);
	return buf;
}

static void
assert_fails(struct sks_server *server, const char *address, int error)
{
	int before = log_lines(), fds = open_descriptors();

	errno = 0;
	ck_assert_msg(sks_server_listen(server, address) == -1, "%s was accepted", address);
	ck_assert_msg(errno == error, "%s: %s", address, strerror(errno));
	ck_assert_int_eq(log_lines(), before + 1);
	ck_assert_int_eq(open_descriptors(), fds);
	ck_assert_int_eq(sks_server_fileno(server, 0), -1);
}

/* -- files of Unix sockets; the i-th: streams or datagrams -- */

static const char *const unix_schemes[] = { "unix:", "unix-dgram:" };
static const int unix_types[] = { SOCK_STREAM, SOCK_DGRAM };

/* Binds a socket to the file "s", as another program does. */
static int
bind_file(int type)
{
	char text[160];
	union peer_name name;
	socklen_t len = peer_name(in_dir("unix:", "/s", text, sizeof(text)), &name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, &name.any, len), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static int
file_exists(void)
{
	struct stat st;
	char path[160];

	return lstat(in_dir("", "/s", path, sizeof(path)), &st) == 0;
}

static void
remove_file(void)
{
	char path[160];

	ck_assert_int_eq(unlink(in_dir("", "/s", path, sizeof(path))), 0);
}

TEST(socket_file_goes_with_the_server, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	ck_assert(file_exists());
	sks_server_free(server);
	ck_assert(!file_exists());
}

TEST(stale_socket_file_is_replaced, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];
	int fd;

	close(bind_file(unix_types[_i])); /* left behind, as by a crash */
	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	in_dir("unix:", "/s", text, sizeof(text));
	fd = _i == 0 ? peer_connect(text) : peer_datagram(text, NULL);
	close(fd);
	sks_server_free(server);
	ck_assert(!file_exists());
}

TEST(live_socket_file_is_left_alone, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	int other = bind_file(unix_types[_i]);
	char text[160];
	int fd;

	assert_fails(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text)), EADDRINUSE);
	sks_server_free(server);
	in_dir("unix:", "/s", text, sizeof(text));
	fd = _i == 0 ? peer_connect(text) : peer_datagram(text, NULL);
	close(fd);
	close(other);
	remove_file();
}

TEST(file_that_is_no_socket_is_left_alone, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char path[160], text[160];
	int fd = open(in_dir("", "/s", path, sizeof(path)), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ne(fd, -1);
	close(fd);
	assert_fails(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text)), EADDRINUSE);
	sks_server_free(server);
	remove_file();
}

TEST(file_that_is_not_ours_any_more_is_left_alone, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];
	int other;

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	remove_file();
	other = bind_file(unix_types[_i]); /* a successor's */
	sks_server_free(server);
	ck_assert(file_exists());
	close(other);
	remove_file();
}

TEST(file_that_is_gone_is_no_trouble, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	remove_file();
	sks_server_free(server);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(unix_mode_is_the_files_and_umask_stays, TIMES(2))
{
	struct sks_options options = { .unix_mode = 0626 };
	mode_t mask = umask(077);
	struct sks_server *server = new_server(0, &options);
	char text[160], path[160];
	struct stat st;

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	ck_assert_int_eq(stat(in_dir("", "/s", path, sizeof(path)), &st), 0);
	/* Where the kernel applies umask to it as well, it is never more than asked. */
	ck_assert_int_eq(st.st_mode & 0777u & ~0626u, 0);
	ck_assert_int_eq(st.st_mode & 0700, 0600);
	sks_server_free(server);
	ck_assert_int_eq((int)umask(mask), 077);
	server = new_server(0, &options);
	umask(0);
	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0626);
	umask(mask);
	sks_server_free(server);
}

TEST(path_too_long_is_told, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[200];

	snprintf(text, sizeof(text), "%s/%0150d", unix_schemes[_i], 0);
	assert_fails(server, text, ENAMETOOLONG);
	sks_server_free(server);
}

/* -- abstract names -- */

TEST(abstract_name_has_no_file, TIMES(ACC_MODES * 2))
{
	static const char *const schemes[] = { "unix", "unix-dgram" };
	struct acc acc = { 0 };
	struct sks_server *second = new_server(0, NULL);
	char text[160], name[100];
	int fd, stream = _i % 2 == 0;

	acc.mode = &acc_modes[_i / 2];
	acc.server = new_server(_i / 2, NULL);
	snprintf(name, sizeof(name), "@sks-test-%d", (int)getpid());
	snprintf(text, sizeof(text), "%s:%s", schemes[_i % 2], name);
	ck_assert_int_eq(sks_server_listen(acc.server, text), 0);
	assert_fails(second, text, EADDRINUSE);
	sks_server_free(second);
	snprintf(text, sizeof(text), "unix:%s", name);
	ck_assert_str_eq(sks_server_address(acc.server, 0, acc.address, sizeof(acc.address)), text);
	acc_start(&acc);
	fd = stream ? peer_connect(text) : peer_datagram(text, NULL);
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	close(fd);
	acc_free(&acc);
}
