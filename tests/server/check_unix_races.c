/* SPDX-License-Identifier: MIT */
/*
 * check_unix_races.c - two servers that are started at once on one Unix socket.
 *
 * listen(2) is ours here: the first server stands still in it until the second
 * one, in a thread or a process of its own, has found the folder locked.
 */
#include "acceptance.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* In memory that both processes have. */
static struct race {
	atomic_int refused;       /* how often a lock was not to be had */
	atomic_int ended, result; /* the second server's */
	mode_t seen;              /* permissions of the file as listen(2) is called */
} *race;

static void (*in_listen)(void); /* NULL: nothing happens there */
static char path[160], address[200];

int
listen(int fd, int backlog)
{
	void (*act)(void) = in_listen;

	in_listen = NULL;
	if (act != NULL)
		act();
	return (int)syscall(SYS_listen, fd, backlog);
}

int
flock(int fd, int operation)
{
	int rc = (int)syscall(SYS_flock, fd, operation);

	if (rc == -1 && errno == EWOULDBLOCK && race != NULL)
		atomic_fetch_add(&race->refused, 1);
	return rc;
}

static void
begin_race(void)
{
	race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(race, MAP_FAILED);
	snprintf(path, sizeof(path), "%s/s", acc_dir);
	snprintf(address, sizeof(address), "unix:%s", path);
}

static void
end_race(void)
{
	munmap(race, sizeof(*race));
	race = NULL;
}

static struct sks_server *
new_server(const struct sks_options *options)
{
	struct sks_server *server = sks_server_new(&acc_script, options);

	ck_assert_ptr_nonnull(server);
	return server;
}

/* The second server: it tries, and is gone again. */
static void *
be_second(void *arg)
{
	struct sks_server *server = new_server(NULL);

	atomic_store(&race->result, sks_server_listen(server, address) == 0 ? 0 : errno);
	sks_server_free(server);
	atomic_store(&race->ended, 1);
	return arg;
}

static pthread_t second_thread;
static pid_t second_process;

static void
start_second_thread(void)
{
	ck_assert_int_eq(pthread_create(&second_thread, NULL, be_second, NULL), 0);
	ck_eventually(atomic_load(&race->refused) > 0 || atomic_load(&race->ended));
}

static void
start_second_process(void)
{
	second_process = fork();
	if (second_process == 0) {
		be_second(NULL);
		_exit(0);
	}
	ck_eventually(atomic_load(&race->refused) > 0 || atomic_load(&race->ended));
}

static void
join_second(void)
{
	int status;

	if (second_process == 0)
		ck_assert_int_eq(pthread_join(second_thread, NULL), 0);
	else
		ck_assert_int_eq(waitpid(second_process, &status, 0), second_process);
}

static void
leave_a_stale_file(void)
{
	union peer_name name;
	socklen_t len = peer_name(address, &name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, &name.any, len), 0);
	close(fd);
}

/* In a thread or a process of its own, where there is no file or a stale one. */
TEST(the_second_is_refused_and_takes_nothing_with_it, TIMES(4))
{
	struct sks_server *first;
	struct stat st;
	int fd;

	begin_race();
	if (_i % 2 == 1)
		leave_a_stale_file();
	first = new_server(NULL);
	in_listen = _i < 2 ? start_second_thread : start_second_process;
	ck_assert_int_eq(sks_server_listen(first, address), 0);
	join_second();
	ck_assert_int_eq(atomic_load(&race->result), EADDRINUSE);
	ck_assert_int_gt(atomic_load(&race->refused), 0);
	fd = peer_connect(address);
	close(fd);
	sks_server_free(first);
	ck_assert_int_eq(lstat(path, &st), -1);
	end_race();
}

static void
look_at_the_mode(void)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	race->seen = st.st_mode & 07777;
}

/* Nobody can connect before. */
TEST(the_mode_is_right_before_it_listens)
{
	struct sks_options options = { .unix_mode = 0666 };
	mode_t mask = umask(077);
	struct sks_server *server;

	begin_race();
	server = new_server(&options);
	in_listen = look_at_the_mode;
	ck_assert_int_eq(sks_server_listen(server, address), 0);
	ck_assert_int_eq(race->seen, 0666);
	sks_server_free(server);
	end_race();
	umask(mask);
}
