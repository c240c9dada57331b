/* SPDX-License-Identifier: MIT */
/*
 * check_unix_files.c - Unix sockets that are listened on: their files, and abstract names.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static const struct exact {
	const char *name;
	mode_t mask;
	int mode;
} exact[] = {
	{ "0660 under 022", 022, 0660 },
	{ "0660 under 0", 0, 0660 },
	{ "0666 under 077", 077, 0666 },
	{ "0626 under 0777", 0777, 0626 },
	{ "0600 under 0177", 0177, 0600 },
	{ "0777 under 022", 022, 0777 },
};

TEST(unix_mode_is_the_files_whatever_umask_is, EACH_OF(exact))
{
	struct sks_options options = { .unix_mode = exact[_i].mode };
	mode_t mask = umask(exact[_i].mask);
	char text[160], path[160];
	struct stat st;
	int type;

	for (type = 0; type < 2; type++) {
		struct sks_server *server = new_server(0, &options);

		in_dir(unix_schemes[type], "/s", text, sizeof(text));
		ck_assert_int_eq(sks_server_listen(server, text), 0);
		ck_assert_int_eq(stat(in_dir("", "/s", path, sizeof(path)), &st), 0);
		ck_assert_int_eq(st.st_mode & 07777, (mode_t)exact[_i].mode);
		sks_server_free(server);
	}
	ck_assert_int_eq(umask(mask), exact[_i].mask);
}

TEST(without_unix_mode_umask_decides, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	mode_t mask = umask(027);
	char text[160], path[160];
	struct stat st;

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	ck_assert_int_eq(stat(in_dir("", "/s", path, sizeof(path)), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0750);
	sks_server_free(server);
	umask(mask);
}

TEST(a_mode_that_cannot_be_set_is_told, TIMES(2))
{
	struct sks_options options = { .unix_mode = 0660 };
	struct sks_server *server = new_server(0, &options);
	mode_t mask = umask(077);
	char text[160];

	in_dir(unix_schemes[_i], "/s", text, sizeof(text));
	ck_assert_int_eq(sks_fault("fchmod:EPERM"), 0);
	assert_fails(server, text, EPERM);
	sks_fault_clear();
	ck_assert_int_eq(sks_fault("fchmodat:EROFS"), 0);
	assert_fails(server, text, EROFS);
	ck_assert(log_count("chmod unix"));
	ck_assert(!file_exists());
	sks_fault_clear();
	ck_assert_int_eq(sks_fault("fchmodat:EOPNOTSUPP"), 0); /* there is no /proc */
	ck_assert_int_eq(sks_server_listen(server, text), 0);
	sks_server_free(server);
	umask(mask);
}

/* -- who else has the socket -- */

/* Waits for the child, which must have exited with 0. */
static void
await_child(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

TEST(a_child_that_frees_its_copy_leaves_the_file, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];
	pid_t pid;

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	pid = fork();
	if (pid == 0) {
		sks_server_free(server);
		_exit(0);
	}
	await_child(pid);
	ck_assert(file_exists());
	sks_server_free(server);
	ck_assert(!file_exists());
}

TEST(the_last_process_that_has_the_socket_removes_the_file, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160], byte = 0;
	int gate[2];
	pid_t pid;

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		byte = (char)read(gate[0], &byte, 1);
		sks_server_free(server);
		_exit(byte != 1);
	}
	sks_server_free(server);
	ck_assert(file_exists());
	ck_assert_int_eq(write(gate[1], &byte, 1), 1);
	await_child(pid);
	ck_assert(!file_exists());
	close(gate[0]);
	close(gate[1]);
}

TEST(without_descriptors_the_file_goes_with_the_server, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];

	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	ck_assert_int_eq(sks_fault("socket:EMFILE:1+"), 0);
	sks_server_free(server);
	ck_assert(!file_exists());
}

/* -- the look at a file and the lock around it -- */

TEST(a_socket_that_does_not_listen_yet_is_alive)
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];
	union peer_name name;
	socklen_t len = peer_name(in_dir("unix:", "/s", text, sizeof(text)), &name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, &name.any, len), 0);
	assert_fails(server, text, EADDRINUSE);
	in_dir("unix-dgram:", "/s", text, sizeof(text));
	assert_fails(server, text, EADDRINUSE);
	ck_assert(file_exists());
	close(fd);
	ck_assert_int_eq(sks_server_listen(server, text), 0);
	sks_server_free(server);
}

/* A live server is not even asked: it would have a client that says nothing. */
TEST(the_look_is_no_client)
{
	struct sks_server *server = new_server(0, NULL);
	int other = bind_file(SOCK_STREAM);
	char text[160];

	assert_fails(server, in_dir("unix:", "/s", text, sizeof(text)), EADDRINUSE);
	ck_assert_int_eq(fcntl(other, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(accept(other, NULL, NULL), -1);
	ck_assert_int_eq(errno, EAGAIN);
	sks_server_free(server);
	close(other);
	remove_file();
}

TEST(without_locks_it_listens_all_the_same, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	char text[160];

	ck_assert_int_eq(sks_fault("flock:ENOLCK:1+"), 0);
	ck_assert_int_eq(sks_server_listen(server, in_dir(unix_schemes[_i], "/s", text, sizeof(text))), 0);
	sks_server_free(server);
	ck_assert(!file_exists());
	ck_assert_int_eq(log_lines(), 0);
}

/* A path of 107 bytes is the longest, as a 0 stands behind it. */
TEST(path_too_long_is_told, TIMES(2))
{
	struct sks_server *server = new_server(0, NULL);
	int most = (int)(107 - strlen(acc_dir) - 1);
	char text[300];

	snprintf(text, sizeof(text), "%s%s/%0*d", unix_schemes[_i], acc_dir, most + 1, 0);
	assert_fails(server, text, ENAMETOOLONG);
	snprintf(text, sizeof(text), "%s%s/%0*d", unix_schemes[_i], acc_dir, 150, 0);
	assert_fails(server, text, ENAMETOOLONG);
	snprintf(text, sizeof(text), "%s%s/%0*d", unix_schemes[_i], acc_dir, most, 0);
	ck_assert_int_eq(sks_server_listen(server, text), 0);
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
