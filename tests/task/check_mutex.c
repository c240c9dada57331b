/* SPDX-License-Identifier: MIT */
/*
 * check_mutex.c - sks_mutex between threads, between handlers, and between
 * both: in order, across waits, and with an end.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sks_mutex *mutex;
static atomic_int order[32], norder;

static void
setup(void)
{
	acc_setup();
	mutex = sks_mutex_new();
	ck_assert_ptr_nonnull(mutex);
	atomic_store(&norder, 0);
}

static void
teardown(void)
{
	sks_mutex_free(mutex);
	acc_teardown();
}

FIXTURE(setup, teardown);

static void
note_order(int who)
{
	atomic_store(&order[atomic_fetch_add(&norder, 1)], who);
}

/* -- on threads -- */

TEST(locks_and_unlocks_on_a_thread)
{
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	errno = 0;
	ck_assert_int_eq(sks_mutex_lock(mutex), -1);
	ck_assert_int_eq(errno, EDEADLK);
	errno = 0;
	ck_assert_int_eq(sks_mutex_trylock(mutex), -1);
	ck_assert_int_eq(errno, EDEADLK);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	errno = 0;
	ck_assert_int_eq(sks_mutex_unlock(mutex), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(sks_mutex_trylock(mutex), 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	sks_mutex_free(NULL);
}

static void *
try_all(void *arg)
{
	int *errors = arg;

	if (sks_mutex_trylock(mutex) == -1)
		errors[0] = errno;
	if (sks_mutex_unlock(mutex) == -1)
		errors[1] = errno;
	return NULL;
}

TEST(others_find_it_busy_and_cannot_give_it_back)
{
	int errors[2] = { 0 };
	pthread_t thread;

	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	pthread_create(&thread, NULL, try_all, errors);
	pthread_join(thread, NULL);
	ck_assert_int_eq(errors[0], EBUSY);
	ck_assert_int_eq(errors[1], EPERM);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
}

static void *
lock_and_note(void *arg)
{
	if (sks_mutex_lock(mutex) == 0) {
		note_order((int)(intptr_t)arg);
		sks_mutex_unlock(mutex);
	}
	return NULL;
}

/* Starts a thread that waits for the mutex, and returns when it does: in poll(2). */
static pthread_t
start_waiting(int who)
{
	unsigned long polls = sks_fault_calls("poll");
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, lock_and_note, (void *)(intptr_t)who), 0);
	ck_eventually(sks_fault_calls("poll") > polls);
	return thread;
}

TEST(threads_get_it_in_the_order_of_asking)
{
	pthread_t threads[8];
	int i;

	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	for (i = 0; i < 8; i++)
		threads[i] = start_waiting(i);
	ck_assert_int_eq(norder, 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(order[i], i);
}

static int counter; /* what the mutex guards */

static void *
count(void *arg)
{
	int i, n = *(int *)arg;

	for (i = 0; i < n; i++) {
		if (sks_mutex_lock(mutex) == -1)
			return NULL;
		counter++;
		if (i % 16 == 0)
			sched_yield();
		sks_mutex_unlock(mutex);
	}
	return NULL;
}

TEST(threads_exclude_each_other)
{
	int n = is_slow() ? 300 : 3000, i;
	pthread_t threads[4];

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count, &n);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(counter, 4 * n);
}

TEST(lock_fails_without_descriptors)
{
	pthread_t thread;

	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	ck_assert_int_eq(sks_fault("eventfd:EMFILE:1"), 0);
	pthread_create(&thread, NULL, lock_and_note, NULL);
	pthread_join(thread, NULL);
	ck_assert_int_eq(norder, 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
}

TEST(new_fails_without_memory)
{
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	errno = 0;
	ck_assert_ptr_null(sks_mutex_new());
	ck_assert_int_eq(errno, ENOMEM);
}

/* -- between handlers -- */

/*
 * Its client says who it is: "<n>". It takes the lock, notes it, and holds it
 * over a wait. With "t<n>" it has a deadline of 1 ms.
 */
static int
lock_across_a_wait(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);
	int who;

	if (line == NULL)
		return SKS_DONE;
	if (line[0] == 't')
		sks_deadline(req, 1);
	who = atoi(line + (line[0] == 't'));
	atomic_fetch_add(&seen->handles, 1);
	sks_printf(req->wfile, "asks %d\n", (int)gettid());
	if (sks_mutex_lock(mutex) == -1) {
		int error = errno;

		atomic_store(&seen->waited, error);
		sks_printf(req->wfile, "%s\n", strerror(error));
		errno = error;
		return -1;
	}
	note_order(who);
	if (sks_mutex_lock(mutex) == -1 && errno == EDEADLK)
		atomic_fetch_add(&seen->note, 1);
	sks_puts(req->wfile, "has it\n");
	sks_sleep(1); /* flushes, and lets all others run */
	sks_mutex_unlock(mutex);
	return SKS_DONE;
}

static const struct sks_handler locking = { .name = "locking", .handle = lock_across_a_wait };

/* It asks for the lock, or is just about to. Returns the thread that its handler runs on. */
static int
asks(int fd)
{
	char line[32] = "";
	size_t n = 0;

	while (n < sizeof(line) - 1 && (n == 0 || line[n - 1] != '\n'))
		ck_assert_int_eq(peer_recv(fd, line + n++, 1), 1);
	ck_assert_int_eq(strncmp(line, "asks ", 5), 0);
	return atoi(line + 5);
}

/* A client that has asked for the lock, or is just about to. */
static int
ask(struct acc *acc, int who)
{
	char text[16];
	int fd = acc_client(acc);

	snprintf(text, sizeof(text), "%d\n", who);
	peer_puts(fd, text);
	return fd;
}

/*
 * A client whose handler waits for the lock. That it waits is known when another one on the same
 * loop, with a deadline, has had its turn: the first has said that it asks just before it did. A
 * client goes to the loop with the fewest, so silent ones fill the loops that are not that one. Each
 * comes when the one before it has left: it would go to the wrong loop each time else.
 */
static int
ask_and_wait(struct acc *acc, int who)
{
	int fd = ask(acc, who), loop = asks(fd), silent[16], n = 0, last, other;

	for (;;) {
		uint64_t finished = acc_stats(acc).finished;

		last = acc_client(acc);
		peer_puts(last, "t99\n");
		other = asks(last);
		peer_expect(last, strerror(ETIMEDOUT));
		close(last);
		ck_eventually(acc_stats(acc).finished > finished);
		if (other == loop)
			break;
		ck_assert_int_lt(n, 16);
		silent[n++] = acc_client(acc);
	}
	while (n > 0)
		close(silent[--n]);
	return fd;
}

/*
 * Handlers and threads by turns. A thread is known to wait by its poll. A mutex lies in one memory:
 * each process would have its own.
 */
TEST(handlers_and_threads_get_it_in_the_order_of_asking, EACH_MODE_IN_ONE_MEMORY)
{
	pthread_t threads[3];
	struct acc acc;
	int fd[3], i;

	acc_tcp(&acc, _i, &locking, NULL);
	if (acc.mode->mode != SKS_FIBERS) { /* one at a time: no second one can ask */
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	for (i = 0; i < 3; i++) {
		fd[i] = ask_and_wait(&acc, 2 * i);
		threads[i] = start_waiting(2 * i + 1);
	}
	ck_assert_int_eq(norder, 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	for (i = 0; i < 3; i++) {
		peer_expect(fd[i], "has it\n");
		peer_expect_eof(fd[i]);
		pthread_join(threads[i], NULL);
	}
	ck_assert_int_eq(norder, 6);
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(order[i], i);
	ck_assert_int_eq(seen->note, 3);
	acc_free(&acc);
}

TEST(held_across_waits_by_many_handlers, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd[20], i;

	acc_streams(&acc, _i, &locking, NULL);
	acc_start(&acc);
	for (i = 0; i < 20; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "1\n");
	}
	for (i = 0; i < 20; i++) {
		asks(fd[i]);
		peer_expect(fd[i], "has it\n");
		peer_expect_eof(fd[i]);
	}
	ck_assert_int_eq(norder, 20);
	ck_assert_int_eq(seen->note, 20);
	acc_free(&acc);
}

TEST(wait_for_it_ends_by_deadline_or_cancellation, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &locking, &options);
	acc_start(&acc);
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "t1\n");
	asks(fd);
	peer_expect(fd, strerror(ETIMEDOUT));
	close(fd);
	ck_eventually(atomic_load(&seen->errors) == 1);
	ck_assert_int_eq(seen->last_error, ETIMEDOUT);
	fd = ask(&acc, 1);
	asks(fd);
	sks_server_shutdown(acc.server);
	peer_expect(fd, strerror(ECANCELED));
	close(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->last_error, ECANCELED);
	/* Neither of them is waited for any more. */
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	ck_assert_int_eq(sks_mutex_trylock(mutex), 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	ck_assert_int_eq(norder, 0);
	acc_free(&acc);
}

static int
count_here(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);
	int n = line != NULL ? atoi(line) : 0;

	count(&n);
	return sks_puts(req->wfile, "done\n");
}

TEST(handlers_and_threads_exclude_each_other, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = count_here };
	int n = is_slow() ? 200 : 2000, fd[4], i;
	pthread_t threads[2];
	char text[16];
	struct acc acc;

	counter = 0;
	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	snprintf(text, sizeof(text), "%d\n", n);
	for (i = 0; i < 4; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], text);
	}
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count, &n);
	for (i = 0; i < 4; i++) {
		peer_expect(fd[i], "done\n");
		peer_expect_eof(fd[i]);
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	acc_free(&acc);
	ck_assert_int_eq(counter, 6 * n);
}

/* Granted by another thread while the server is being freed: its wait ends all the same. */
static void *
lock_for_a_while(void *arg)
{
	sem_t *sems = arg;

	if (sks_mutex_lock(mutex) == 0) {
		sem_post(&sems[0]);
		while (sem_wait(&sems[1]) == -1)
			;
		sks_mutex_unlock(mutex);
	}
	return NULL;
}

TEST(grant_on_its_way_when_the_server_is_freed, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .base = event_base_new(), .on_error = acc_on_error };
	struct acc acc;
	pthread_t thread;
	sem_t sems[2];
	int fd;

	sem_init(&sems[0], 0, 0);
	sem_init(&sems[1], 0, 0);
	pthread_create(&thread, NULL, lock_for_a_while, sems);
	while (sem_wait(&sems[0]) == -1)
		;
	acc_tcp(&acc, _i, &locking, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "1\n");
	while (peer_is_silent(fd))
		event_base_loop(options.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	asks(fd);
	sem_post(&sems[1]);
	pthread_join(thread, NULL); /* the handler has the lock, and does not know it yet */
	acc_free(&acc);
	ck_assert_int_eq(sks_mutex_trylock(mutex), 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	close(fd);
	event_base_free(options.base);
	sem_destroy(&sems[0]);
	sem_destroy(&sems[1]);
}
