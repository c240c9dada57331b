/* SPDX-License-Identifier: MIT */
/*
 * check_process_kills.c - child processes that somebody kills while they serve.
 */
#include "acceptance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

#define CHILDREN 16
#define CLIENTS 4
#define KILLS 20

static struct crowd {
	atomic_int pids[CHILDREN]; /* of children that serve, or did */
	atomic_uint born;
	atomic_int enough;         /* were killed */
	atomic_int answers, cuts;
	char address[160];
} *crowd;

static int
be_born(struct sks_request *req)
{
	atomic_store(&crowd->pids[atomic_fetch_add(&crowd->born, 1) % CHILDREN], (int)getpid());
	return acc_setup_counted(req);
}

/* "n" is answered by n lines that say so, one at a time. */
static int
answer_at_length(struct sks_request *req)
{
	char *line;
	int i, n;

	while ((line = sks_gets(req->rfile)) != NULL) {
		n = atoi(line);
		for (i = 1; i <= n; i++)
			if (sks_printf(req->wfile, "%d of %d\n", i, n) == -1 ||
			    sks_flush(req->wfile) == -1)
				return -1;
	}
	return sks_end(req->rfile);
}

/* 1: the answer is there, whole and right; 0: it was cut. Nothing else is possible. */
static int
read_answer(int fd, int n)
{
	char right[4000], got[sizeof(right)];
	size_t size = 0, have = 0;
	ssize_t more;
	int i;

	for (i = 1; i <= n; i++)
		size += (size_t)snprintf(right + size, sizeof(right) - size, "%d of %d\n", i, n);
	while (have < size && (more = peer_recv(fd, got + have, size - have)) > 0)
		have += (size_t)more;
	ck_assert_int_eq(memcmp(got, right, have), 0);
	return have == size;
}

static void *
ask_until_cut(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	char text[16];
	int fd, n;

	while (!atomic_load(&crowd->enough)) {
		fd = peer_connect(crowd->address);
		do {
			n = 1 + rand_r(&seed) % 200;
			snprintf(text, sizeof(text), "%d\n", n);
			if (send(fd, text, strlen(text), MSG_NOSIGNAL) == -1 || !read_answer(fd, n)) {
				atomic_fetch_add(&crowd->cuts, 1);
				break;
			}
			atomic_fetch_add(&crowd->answers, 1);
		} while (!atomic_load(&crowd->enough));
		close(fd);
	}
	return NULL;
}

static int
is_our_child(pid_t pid)
{
	char path[64];
	FILE *file;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = 0;
	fclose(file);
	return parent == (int)getpid();
}

/*
 * By a descriptor, so that whoever has the number next is safe. Under valgrind
 * there are none, and the look just before must do.
 */
static void
kill_child(pid_t pid)
{
	int pidfd;

	if (pid <= 0)
		return;
	pidfd = sks_sys_pidfd_open(pid, 0);
	if (pidfd == -1 && errno == ENOSYS && is_our_child(pid))
		kill(pid, SIGKILL);
	if (pidfd == -1)
		return;
	if (is_our_child(pid))
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	close(pidfd);
}

TEST(children_killed_at_random_cut_their_own_answers_only)
{
	static const struct sks_handler handler = {
		.setup = be_born, .handle = answer_at_length, .finish = acc_finish };
	pthread_t clients[CLIENTS];
	struct sks_stats stats;
	unsigned int seed = 1;
	struct acc acc;
	int i, fd;

	crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(crowd, MAP_FAILED);
	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	memcpy(crowd->address, acc.address, sizeof(acc.address));
	for (i = 0; i < CLIENTS; i++)
		pthread_create(&clients[i], NULL, ask_until_cut, (void *)(uintptr_t)(i + 1));
	while (acc_stats(&acc).failed < KILLS) {
		kill_child((pid_t)atomic_load(&crowd->pids[rand_r(&seed) % CHILDREN]));
		breathe();
	}
	atomic_store(&crowd->enough, 1);
	for (i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	ck_eventually(acc_stats(&acc).active == 0);
	stats = acc_stats(&acc);
	ck_assert_uint_eq(stats.accepted, stats.finished + stats.refused);
	ck_assert_uint_ge(stats.failed + (unsigned int)seen->finishes, (unsigned int)seen->setups);
	ck_assert_int_gt(crowd->cuts, 0);
	ck_assert_uint_le((unsigned int)crowd->cuts, stats.failed);
	ck_assert_int_gt(crowd->answers, 0);
	fd = acc_client(&acc);
	peer_puts(fd, "1\n");
	peer_expect(fd, "1 of 1\n");
	close(fd);
	acc_free(&acc);
	munmap(crowd, sizeof(*crowd));
}

static atomic_int is_stillborn; /* the next child is killed before it has done anything */

static void
be_killed(void)
{
	if (atomic_load(&is_stillborn))
		kill(getpid(), SIGKILL);
}

TEST(one_that_is_killed_at_once_does_not_keep_the_listeners)
{
	struct sks_options options = { .close_listeners = 1, .drain_ms = SKS_OFF };
	struct acc acc;
	int busy, fd;

	pthread_atfork(NULL, NULL, be_killed);
	acc_serve(&acc, ACC_PROCESSES, &acc_script, &options);
	busy = acc_client(&acc);
	peer_puts(busy, "q\n");
	peer_expect(busy, "draining 0\n");
	atomic_store(&is_stillborn, 1);
	acc_ask(&acc, "", "");
	atomic_store(&is_stillborn, 0);
	sks_server_shutdown(acc.server);
	ck_eventually((fd = peer_try(acc.address)) == -1 || close(fd) == -1);
	peer_puts(busy, "d\n");
	peer_expect_eof(busy);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* -- handlers that crash again and again -- */

#define CRASHES 50

static int
crash_or_echo(struct sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL) {
		if (strcmp(line, "crash") == 0)
			abort();
		if (sks_printf(req->wfile, "%s\n", line) == -1 || sks_flush(req->wfile) == -1)
			return -1;
	}
	return sks_end(req->rfile);
}

/* Each is counted, its neighbour goes on, and the log has no more of them than its limit. */
TEST(handlers_that_crash_again_and_again_harm_nobody)
{
	static const struct sks_handler handler = { .name = "crasher", .handle = crash_or_echo };
	int64_t seconds = sks_clock_ms() / 1000;
	struct acc acc;
	int good, bad, i;

	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	good = acc_client(&acc);
	for (i = 0; i < CRASHES; i++) {
		bad = acc_client(&acc);
		peer_puts(bad, "crash\n");
		peer_expect_gone(bad);
		peer_puts(good, "well\n");
		peer_expect(good, "well\n");
	}
	ck_eventually(acc_stats(&acc).failed == CRASHES);
	seconds = sks_clock_ms() / 1000 - seconds + 1;
	ck_assert_int_gt(log_count("killed by signal 6"), 0);
	ck_assert_int_le(log_count("killed by signal 6"), (int)seconds * SKS_LOG_LINES);
	close(good);
	ck_eventually(acc_stats(&acc).finished == CRASHES + 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, CRASHES);
	acc_free(&acc);
}
