/* SPDX-License-Identifier: MIT */
/*
 * Requests in forked processes: what a child may do without harm to the host,
 * and what the host keeps hold of.
 */
#include "acceptance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/tools.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static const struct sks_handler echo_line = { .name = "echo", .handle = acc_echo_line };

/* A TCP server with this handler, running. */
static void
serve(struct acc *acc, const struct sks_handler *handler, const struct sks_options *options)
{
	acc_tcp(acc, ACC_PROCESSES, handler, options);
	acc_start(acc);
}

TEST(keeps_its_connection_to_the_end, TIMES(2))
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.client_first = _i;
	serve(&acc, &handler, NULL);
	fd = acc_client(&acc);
	peer_puts(fd, "c\nk\n");
	peer_expect(fd, "call 1\n");
	peer_puts(fd, "c\nk\nc\n");
	peer_expect(fd, "call 2\ncall 3\n");
	peer_puts(fd, "d\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

static int
crash(struct sks_request *req)
{
	char *line;

	if (sks_readline(req->rfile, &line) > 0 && line[0] == 'x')
		raise(SIGKILL);
	return sks_puts(req->wfile, "well\n");
}

TEST(a_crash_ends_its_request_alone)
{
	static const struct sks_handler handler = { .name = "crasher", .handle = crash };
	struct acc acc;
	int other, fd;

	serve(&acc, &handler, NULL);
	other = acc_client(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "x\n");
	peer_expect_gone(fd);
	ck_eventually(log_count("crasher: 127.0.0.1:") == 1);
	ck_assert_int_eq(log_count("killed by signal 9"), 1);
	peer_puts(other, "\n");
	peer_expect(other, "well\n");
	peer_expect_eof(other);
	ck_eventually(acc_stats(&acc).finished == 2);
	ck_assert_int_eq((int)acc_stats(&acc).failed, 1);
	acc_free(&acc);
}

/* A parent may have left SIGCHLD ignored: the kernel forgets how a child ended, the children do not. */
TEST(a_crash_is_no_success_where_nobody_learns_how_children_end)
{
	static const struct sks_handler handler = { .name = "crasher", .handle = crash };
	struct sigaction before;
	struct acc acc;
	int fd, i;

	sigaction(SIGCHLD, NULL, &before);
	signal(SIGCHLD, SIG_IGN);
	serve(&acc, &handler, NULL);
	for (i = 0; i < 6; i++) {
		fd = acc_client(&acc);
		peer_puts(fd, i % 3 == 1 ? "x\n" : "\n");
		if (i % 3 == 1) {
			peer_expect_gone(fd);
			continue;
		}
		peer_expect(fd, "well\n");
		peer_expect_eof(fd);
	}
	ck_eventually(acc_stats(&acc).finished == 6);
	ck_assert_int_eq((int)acc_stats(&acc).failed, 2);
	ck_assert_int_eq(log_count("crasher: 127.0.0.1:"), 2);
	ck_assert_int_eq(log_count("its process has failed or was killed"), 2);
	acc_free(&acc);
	sigaction(SIGCHLD, &before, NULL);
}

/* ErrorHandler.test_forking_handled */
TEST(an_error_reaches_on_error_in_the_child)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	serve(&acc, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).failed == 1);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	acc_free(&acc);
}

/* -- children killed while they serve -- */

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
	serve(&acc, &handler, NULL);
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

static pid_t host;

static void
note_exit(void)
{
	if (getpid() != host)
		seen->note++;
}

static int
leave(struct sks_request *req)
{
	sks_puts(req->wfile, "bye\n");
	sks_flush(req->wfile);
	exit(0);
}

TEST(exit_runs_nothing_of_the_host)
{
	static const struct sks_handler handler = { .handle = leave };
	struct acc acc;
	FILE *file;
	int pair[2], fd;
	char got[8];

	ck_assert_int_eq(pipe(pair), 0);
	file = fdopen(pair[1], "w");
	fputs("once", file); /* unwritten when the child is forked */
	host = getpid();
	atexit(note_exit);
	serve(&acc, &handler, NULL);
	fd = acc_client(&acc);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
#ifdef __GLIBC__ /* musl does not tell the library the status */
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
#endif
	ck_assert_int_eq(seen->note, 0);
	fclose(file);
	/* valgrind ends every process by freeing what libc holds, and that writes it. */
	if (!is_slow())
		ck_assert_int_eq(read(pair[0], got, sizeof(got)), 4);
	close(pair[0]);
	acc_free(&acc);
}

static int
print_something(struct sks_request *req)
{
	(void)req;
	printf("child\n");
	return SKS_DONE;
}

/* What the host has printed and not written is the host's to write, what a handler prints is not lost. */
TEST(printed_text_is_written_once, TIMES(2))
{
	static const struct sks_handler handler = { .handle = print_something };
	struct acc acc;
	char got[100] = "";
	int pair[2], saved;

	ck_assert_int_eq(pipe(pair), 0);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(pair[1], STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	serve(&acc, &handler, NULL);
	if (_i == 1)
		printf("host\n");
	close(acc_client(&acc));
	ck_eventually(acc_stats(&acc).finished == 1);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	ck_assert_int_gt((int)read(pair[0], got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, _i == 1 ? "child\nhost\n" : "child\n");
	close(saved);
	close(pair[0]);
	close(pair[1]);
	acc_free(&acc);
}

static void
note_signal(int signo)
{
	seen->note = signo;
}

/* Number and what becomes of it here: its default, ignored or caught. */
static int
tell_signals(struct sks_request *req)
{
	struct sigaction action;
	char *line = sks_gets(req->rfile);
	sigset_t mask;
	int signo = line != NULL ? atoi(line) : 0;

	sigaction(signo, NULL, &action);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sks_printf(req->wfile, "%s%s\n",
	    action.sa_handler == SIG_DFL ? "default" :
	    action.sa_handler == SIG_IGN ? "ignored" : "caught",
	    sigismember(&mask, signo) ? " blocked" : "");
}

TEST(what_the_host_catches_now_is_the_default_in_a_child)
{
	static const struct sks_handler handler = { .handle = tell_signals };
	const int signals[] = { SIGUSR1, SIGCHLD, SIGSEGV, SIGRTMIN + 3 };
	const int to_stop[] = { SIGINT, SIGHUP, SIGTERM };
	struct sigaction before;
	struct acc acc;
	char text[16];
	size_t i;

	serve(&acc, &handler, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		snprintf(text, sizeof(text), "%d\n", signals[i]);
		sigaction(signals[i], NULL, &before); /* a sanitizer's, perhaps */
		signal(signals[i], SIG_DFL);
		acc_ask(&acc, text, "default\n");
		signal(signals[i], note_signal);
		acc_ask(&acc, text, "default\n");
		signal(signals[i], SIG_IGN);
		acc_ask(&acc, text, "ignored\n");
		sigaction(signals[i], &before, NULL);
	}
	/* Those end its waits; but what the host ignores the server alone may send. */
	for (i = 0; i < sizeof(to_stop) / sizeof(to_stop[0]); i++) {
		snprintf(text, sizeof(text), "%d\n", to_stop[i]);
		sigaction(to_stop[i], NULL, &before);
		signal(to_stop[i], SIG_DFL);
		acc_ask(&acc, text, "caught\n");
		signal(to_stop[i], SIG_IGN);
		acc_ask(&acc, text, to_stop[i] == SIGTERM ? "caught\n" : "ignored\n");
		sigaction(to_stop[i], &before, NULL);
	}
	acc_free(&acc);
}

#define BURST 4

static unsigned int burst_end; /* so many have been served then */

static void
shut_down_after_burst(struct sks_server *server, void *data)
{
	struct sks_stats stats;

	(void)data;
	sks_server_stats(server, &stats);
	if (stats.finished == burst_end)
		sks_server_shutdown(server);
}

/* They wait in the backlog, so they are taken one after the other. All are told about this signal. */
static void
serve_burst(struct acc *acc, int signo)
{
	char text[16];
	int i, fd[BURST];

	snprintf(text, sizeof(text), "%d\n", signo);
	for (i = 0; i < BURST; i++) {
		fd[i] = acc_client(acc);
		peer_puts(fd[i], text);
	}
	burst_end += BURST;
	ck_assert_int_eq(sks_serve_forever(acc->server), 0);
	for (i = 0; i < BURST; i++) {
		peer_expect(fd[i], "default\n");
		peer_expect_eof(fd[i]);
	}
}

static int
catch_and_verify(struct sks_request *req)
{
	(void)req;
	signal(SIGURG, seen->verified++ % BURST == 0 ? SIG_DFL : note_signal);
	return 1;
}

/* The hook changes what is caught between two children of one burst. */
TEST(what_a_hook_catches_is_the_default_in_a_child, TIMES(2))
{
	static const struct sks_handler handler = { .handle = tell_signals };
	struct sks_options options = {
		.linger_ms = 1, /* the clients close when all are served */
		.on_tick = shut_down_after_burst,
		.tick_ms = 1,
	};
	struct acc acc;

	if (_i)
		options.verify = catch_and_verify;
	acc_tcp(&acc, ACC_PROCESSES, &handler, &options);
	signal(SIGUSR1, note_signal);
	serve_burst(&acc, SIGUSR1);
	signal(SIGUSR2, note_signal);
	serve_burst(&acc, SIGUSR2);
	if (_i)
		serve_burst(&acc, SIGURG);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	signal(SIGURG, SIG_DFL);
	acc_free(&acc);
}

/* ForkingMixIn reaps whatever ended; here the host's own children are the host's. */
TEST(a_foreign_child_is_left_alone)
{
	struct acc acc;
	pid_t child = fork();
	int status, i;

	if (child == 0)
		_exit(72);
	serve(&acc, &echo_line, NULL);
	for (i = 0; i < 3; i++)
		acc_ask(&acc, "hello\n", "hello\n");
	ck_eventually(acc_stats(&acc).finished == 3);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 72);
	acc_free(&acc);
}

TEST(no_more_children_than_max_running)
{
	struct sks_options options = { .max_running = 1 };
	struct acc acc;
	int one, two;

	serve(&acc, &acc_script, &options);
	one = acc_client(&acc);
	peer_puts(one, "e1\n");
	peer_expect(one, "e1\n");
	two = acc_client(&acc);
	peer_puts(two, "e2\nd\n");
	ck_assert(peer_is_silent(two));
	ck_assert_int_eq((int)acc_stats(&acc).accepted, 1);
	peer_puts(one, "d\n");
	peer_expect_eof(one);
	peer_expect(two, "e2\n");
	peer_expect_eof(two);
	acc_free(&acc);
}

/* _i: there is no pidfd, and a timer must do. */
TEST(the_end_of_a_child_is_noticed, TIMES(2))
{
	struct acc acc;
	int fd[2], i;

	serve(&acc, &acc_script, NULL);
	if (_i)
		ck_assert_int_eq(sks_fault("pidfd_open:EMFILE:1+"), 0);
	for (i = 0; i < 2; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "e\n");
		peer_expect(fd[i], "e\n");
	}
	peer_puts(fd[1], "d\n");
	peer_expect_eof(fd[1]);
	ck_eventually(acc_stats(&acc).finished == 1);
	peer_puts(fd[0], "d\n");
	peer_expect_eof(fd[0]);
	ck_eventually(acc_stats(&acc).finished == 2);
	acc_free(&acc);
}

/* _i: as above. */
TEST(the_place_of_a_child_that_ended_is_free, TIMES(2))
{
	struct sks_options options = { .max_running = 2 };
	struct acc acc;
	int i, fd[4];

	serve(&acc, &acc_script, &options);
	if (_i)
		ck_assert_int_eq(sks_fault("pidfd_open:EMFILE:1+"), 0);
	for (i = 0; i < 4; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "e\n");
	}
	peer_expect(fd[0], "e\n");
	peer_expect(fd[1], "e\n");
	ck_assert(peer_is_silent(fd[2]));
	for (i = 0; i < 4; i++)
		peer_puts(fd[i], "d\n");
	peer_expect_eof(fd[0]);
	peer_expect_eof(fd[1]);
	peer_expect(fd[2], "e\n");
	peer_expect(fd[3], "e\n");
	peer_expect_eof(fd[2]);
	peer_expect_eof(fd[3]);
	ck_eventually(acc_stats(&acc).finished == 4);
	acc_free(&acc);
}

static rlim_t
limit_files(rlim_t most)
{
	struct rlimit files;
	rlim_t before;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	before = files.rlim_cur;
	files.rlim_cur = most;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	return before;
}

static int
lowest_free_descriptor(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

#define MANY 60

static int
open_some(struct sks_request *req)
{
	int i;

	for (i = 0; i < 5; i++)
		if (dup(STDIN_FILENO) == -1)
			return -1;
	return sks_gets(req->rfile) == NULL && errno == 0 ? SKS_DONE : -1;
}

/* In a process of their own: the limit of descriptors is for the server. */
static pid_t
start_clients(const char *address, rlim_t files)
{
	pid_t pid = fork();
	int i;

	if (pid != 0)
		return pid;
	limit_files(files);
	for (i = 0; i < MANY; i++)
		peer_connect(address);
	while (1)
		pause();
}

/* More children than the server may have descriptors: clients and handlers find some all the same. */
TEST(children_leave_descriptors_for_others)
{
	static const struct sks_handler handler = { .handle = open_some };
	struct sks_options options = { .max_running = 2 * MANY };
	struct acc acc;
	pid_t clients;
	rlim_t files;

	serve(&acc, &handler, &options);
	files = limit_files((rlim_t)lowest_free_descriptor() + MANY / 2);
	clients = start_clients(acc.address, files);
	ck_eventually(acc_stats(&acc).accepted == MANY);
	kill(clients, SIGKILL);
	ck_assert_int_eq(waitpid(clients, NULL, 0), clients);
	ck_eventually(acc_stats(&acc).finished == MANY);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(log_lines(), 0);
	limit_files(files);
	acc_free(&acc);
}

TEST(a_failed_fork_is_tried_again)
{
	struct acc acc;

	serve(&acc, &echo_line, NULL);
	ck_assert_int_eq(sks_fault("fork:EAGAIN:1"), 0);
	acc_ask(&acc, "hello\n", "hello\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_ge(sks_fault_hits(), 1);
	acc_free(&acc);
}

TEST(a_handler_shuts_the_server_down)
{
	struct acc acc;
	int fd;

	serve(&acc, &acc_script, NULL);
	fd = acc_client(&acc);
	peer_puts(fd, "s\ne\n");
	peer_expect(fd, "e\n");
	peer_puts(fd, "d\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* A client of this server waits in its handler. */
static void
expect_cancelled(struct acc *acc, int fd)
{
	peer_expect(fd, "waiting\n");
	sks_server_shutdown(acc->server);
	peer_expect_eof(fd);
	acc_join(acc);
	ck_assert_int_eq(acc->rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(cancels_waits_when_the_drain_time_is_over)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	serve(&acc, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	expect_cancelled(&acc, fd);
	acc_free(&acc);
}

static int
never_end(struct sks_request *req)
{
	sks_puts(req->wfile, "here\n");
	sks_flush(req->wfile);
	while (1)
		pause();
	return SKS_DONE;
}

/* What it calls may have its own way with signals. */
static int
wait_deaf(struct sks_request *req)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGTERM, &ignore, NULL);
	sks_puts(req->wfile, "waiting\n");
	if (sks_sleep(3600 * 1000) == -1)
		atomic_store(&seen->waited, errno);
	return SKS_DONE;
}

TEST(cancels_waits_that_no_signal_ends)
{
	static const struct sks_handler handler = { .handle = wait_deaf, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	serve(&acc, &handler, &options);
	fd = acc_client(&acc);
	expect_cancelled(&acc, fd);
	acc_start(&acc); /* that was the end of one run, not of the next */
	fd = acc_client(&acc);
	peer_expect(fd, "waiting\n");
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 2);
}

static int
sleep_long(void *arg)
{
	(void)arg;
	if (sks_sleep(3600 * 1000) == -1)
		atomic_store(&seen->waited, errno);
	return 0;
}

static void *
take_signals(void *told)
{
	atomic_store((atomic_int *)told, (int)gettid());
	while (1)
		poll(NULL, 0, -1);
	return NULL;
}

/* In the way of the first letter; says who is to be told to stop. */
static int
wait_in_a_way(struct sks_request *req)
{
	char *way = sks_gets(req->rfile);
	atomic_int to_tell = gettid();
	struct sks_child *child = NULL;
	pthread_t thread;

	if (way[0] == 'c') {
		child = sks_go(sleep_long, NULL);
	} else if (way[0] == 't') {
		atomic_store(&to_tell, 0);
		pthread_create(&thread, NULL, take_signals, &to_tell);
		while (atomic_load(&to_tell) == 0)
			sched_yield();
	}
	sks_printf(req->wfile, "%d %d\n", (int)getpid(), (int)atomic_load(&to_tell));
	sks_flush(req->wfile);
	if (child == NULL)
		sleep_long(NULL);
	else if (sks_child_join(child, NULL) == -1 && errno == ECANCELED)
		while (atomic_load(&seen->waited) == 0)
			sched_yield(); /* the child was told, too, by nobody else */
	return SKS_DONE;
}

/*
 * While it waits itself, or in a thread it has started; without a descriptor; beside a foreign
 * thread: but ThreadSanitizer keeps a signal from a thread that a forked child has started.
 */
TEST(a_signal_cancels_one_child, TIMES(SKS_TSAN ? 3 : 4))
{
	static const struct sks_handler handler = { .handle = wait_in_a_way, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1 };
	char text[] = { "wcft"[_i], '\n', '\0' }, line[64];
	int fd, other, pid, tid;
	struct acc acc;
	size_t n = 0;

	serve(&acc, &handler, &options);
	other = acc_client(&acc);
	peer_puts(other, "w\n");
	ck_eventually(acc_stats(&acc).active == 1);
	if (text[0] == 'f')
		ck_assert_int_eq(sks_fault("eventfd:EMFILE:1+"), 0);
	fd = acc_client(&acc);
	peer_puts(fd, text);
	do
		ck_assert_int_eq((int)peer_recv(fd, line + n, 1), 1);
	while (line[n++] != '\n');
	line[n] = '\0';
	ck_assert_int_eq(sscanf(line, "%d %d", &pid, &tid), 2);
	ck_assert_int_eq(syscall(SYS_tgkill, pid, tid, SIGTERM), 0);
	peer_expect_gone(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	if (text[0] == 'f')
		ck_eventually(log_count("killed by signal 15") == 1);
	else {
		ck_assert_int_eq(seen->waited, ECANCELED);
		ck_assert_int_eq(seen->finishes, 1);
	}
	ck_assert_uint_eq(acc_stats(&acc).active, 1);
	close(other);
	acc_free(&acc);
}

TEST(freeing_kills_what_does_not_end)
{
	static const struct sks_handler handler = { .handle = never_end };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	serve(&acc, &handler, &options);
	fd = acc_client(&acc);
	peer_expect(fd, "here\n");
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	acc_free(&acc);
	peer_expect_gone(fd);
}

/* Sockets that a program finds open. */
static int
count_sockets(void)
{
	FILE *pipe = popen("ls -l /proc/self/fd </dev/null 2>/dev/null | grep -c socket:", "r");
	int n = -1;

	if (fscanf(pipe, "%d", &n) != 1)
		n = -1;
	pclose(pipe);
	return n;
}

static int
run_program(struct sks_request *req)
{
	return sks_printf(req->wfile, "%d\n", count_sockets());
}

TEST(a_program_run_by_a_handler_gets_no_descriptor_of_ours)
{
	static const struct sks_handler handler = { .handle = run_program };
	int before = count_sockets(); /* who runs this test may have left some */
	struct acc acc;
	char *all;
	int fd;

	serve(&acc, &handler, NULL);
	fd = acc_client(&acc);
	all = peer_read_all(fd, NULL);
	ck_assert_int_eq(atoi(all), before);
	free(all);
	close(fd);
	acc_free(&acc);
}

TEST(there_is_one_loop)
{
	struct sks_options options = { .mode = SKS_PROCESSES, .workers = 2 };

	ck_assert_ptr_null(sks_server_new(&echo_line, &options));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("options.workers: "), 1);
}

/* -- what it shares with the server -- */

static void
count_line(const char *line, void *arg)
{
	(void)line;
	(void)arg;
	atomic_fetch_add(&seen->note, 1);
}

#define FAILURES 40

/* A child is a copy, and a limit that is copied with it would be new in each. */
TEST(children_share_the_limit_of_log_lines)
{
	int64_t second = sks_clock_ms() / 1000;
	struct acc acc;
	int i;

	serve(&acc, &acc_script, NULL);
	sks_set_log(count_line, NULL);
	for (i = 0; i < FAILURES; i++)
		acc_ask(&acc, "f\n", "");
	ck_eventually(acc_stats(&acc).failed == FAILURES);
	second = sks_clock_ms() / 1000 - second;
	ck_assert_int_ge(seen->note, 1);
	ck_assert_int_le(seen->note, (int)(second + 1) * SKS_LOG_LINES);
	acc_free(&acc);
}

static int
tell_accepted(struct sks_request *req)
{
	struct sks_stats stats;

	while (sks_gets(req->rfile) != NULL)
		if (sks_server_stats(req->server, &stats) == -1 ||
		    sks_printf(req->wfile, "%d\n", (int)stats.accepted) == -1)
			return -1;
	return SKS_DONE;
}

TEST(a_child_sees_what_was_accepted_since)
{
	static const struct sks_handler handler = { .handle = tell_accepted };
	struct acc acc;
	int fd[2];

	serve(&acc, &handler, NULL);
	fd[0] = acc_client(&acc);
	peer_puts(fd[0], "\n");
	peer_expect(fd[0], "1\n");
	fd[1] = acc_client(&acc);
	peer_puts(fd[1], "\n");
	peer_expect(fd[1], "2\n");
	peer_puts(fd[0], "\n");
	peer_expect(fd[0], "2\n");
	close(fd[0]);
	close(fd[1]);
	ck_eventually(acc_stats(&acc).finished == 2);
	acc_free(&acc);
}
