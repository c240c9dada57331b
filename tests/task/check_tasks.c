/* SPDX-License-Identifier: MIT */
/*
 * check_tasks.c - children: they run beside who started them, and can be joined and cancelled.
 */
#include "acceptance.h"
#include "rig.h"

#include "base/sys.h"
#include "loop/cancel.h"

#include <errno.h>

FIXTURE(acc_setup, acc_teardown);

#define FOR_EVER (3600 * 1000)

static int
give_back(void *arg)
{
	return *(int *)arg;
}

static int
sleep_and_give_back(void *arg)
{
	sks_sleep(1 + *(int *)arg % 3);
	return *(int *)arg;
}

/* Notes what ended its sleep. */
static int
sleep_for_ever(void *arg)
{
	int error = sks_sleep(FOR_EVER) == -1 ? errno : 0;

	if (arg != NULL)
		atomic_store((atomic_int *)arg, error);
	return error;
}

TEST_ON_BOTH(join_tells_what_run_returned)
{
	int number = 42, result = 0;
	struct sks_child *child = sks_go(give_back, &number);

	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, 42);
	child = sks_go(give_back, &number);
	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_child_join(child, NULL), 0);
	sks_child_cancel(NULL);
}

static int
look_at_signals(void *mask)
{
	pthread_sigmask(SIG_SETMASK, NULL, mask);
	return 0;
}

static void
start_a_look(void *mask)
{
	struct sks_child *child = sks_go(look_at_signals, mask);

	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_child_join(child, NULL), 0);
}

TEST(the_signals_of_a_childs_thread_are_the_hosts)
{
	sigset_t mask;

	rig_run_on(0, start_a_look, &mask);
	expect_signals_of_faults_only(&mask);
}

TEST_ON_BOTH(many_are_joined_in_any_order)
{
	struct sks_child *child[20];
	int number[20], result, i;

	for (i = 0; i < 20; i++) {
		number[i] = i;
		child[i] = sks_go(sleep_and_give_back, &number[i]);
		ck_assert_ptr_nonnull(child[i]);
	}
	for (i = 0; i < 20; i++) {
		int at = i * 7 % 20;

		ck_assert_int_eq(sks_child_join(child[at], &result), 0);
		ck_assert_int_eq(result, at);
	}
}

TEST_ON_BOTH(cancel_ends_its_waits)
{
	atomic_int error = 0;
	struct sks_child *child = sks_go(sleep_for_ever, &error);
	int result = 0;

	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_sleep(1), 0);
	sks_child_cancel(child);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_sleep(1), 0); /* it alone is cancelled */
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ECANCELED);
	ck_assert_int_eq(error, ECANCELED);
	child = sks_go(sleep_for_ever, NULL);
	ck_assert_ptr_nonnull(child);
	sks_child_cancel(child); /* before it ever ran */
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ECANCELED);
}

/* Its caller cancels it, a thread perhaps only when it sleeps. */
static int
do_without_waits(void *arg)
{
	struct sks_client *client = arg;
	struct sks_channel *channel = sks_channel_new(sizeof(arg), 1);
	struct sks_mutex *mutex = sks_mutex_new();
	void *got = NULL;

	ck_assert_int_eq(sks_sleep(60000), -1);
	ck_assert_int_eq(errno, ECANCELED);
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	sks_mutex_unlock(mutex);
	ck_assert_int_eq(sks_channel_send(channel, &arg), 0);
	ck_assert_int_eq(sks_channel_recv(channel, &got), 1);
	ck_assert_ptr_eq(got, arg);
	ck_assert_str_eq(sks_gets(client->rfile), "there");
	ck_assert_int_eq(sks_puts(client->wfile, "sent"), 0);
	ck_assert_ptr_null(sks_gets(client->rfile));
	ck_assert_int_eq(errno, ECANCELED);
	sks_mutex_free(mutex);
	sks_channel_free(channel);
	return 7;
}

TEST_ON_BOTH(what_needs_no_wait_succeeds_when_cancelled)
{
	struct sks_socket *pair[2];
	struct sks_client *client;
	struct sks_child *child;
	char got[4];
	int result = 0;

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	ck_assert_int_eq(sks_socket_sendall(pair[1], "there\n", 6, 0), 0);
	client = sks_socket_makefile(pair[0], "rw");
	ck_assert_ptr_nonnull(client);
	child = sks_go(do_without_waits, client);
	ck_assert_ptr_nonnull(child);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, 7);
	ck_assert_int_eq(sks_socket_recv(pair[1], got, 4, MSG_WAITALL), 4);
	sks_client_close(client);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

TEST_ON_BOTH(join_has_an_end_and_may_be_tried_again)
{
	struct sks_child *child = sks_go(sleep_for_ever, NULL);
	struct sks_timeout timeout;
	int result = 0;

	ck_assert_ptr_nonnull(child);
	sks_timeout_begin(&timeout, 5);
	errno = 0;
	ck_assert_int_eq(sks_child_join(child, &result), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_timeout_end(&timeout), 1);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ECANCELED);
}

static int
start_another(void *arg)
{
	return sks_go(sleep_for_ever, arg) != NULL ? sleep_for_ever(NULL) : -1;
}

static int
start_another_and_leave(void *arg)
{
	return sks_go(sleep_for_ever, arg) != NULL ? sks_sleep(1) : -1;
}

TEST_ON_BOTH(children_of_children_end_with_them)
{
	atomic_int error = 0;
	struct sks_child *child = sks_go(start_another, &error);
	int result = 0;

	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_sleep(2), 0);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ECANCELED);
	ck_assert_int_eq(error, ECANCELED);
	error = 0;
	child = sks_go(start_another_and_leave, &error);
	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(error, ECANCELED); /* it was waited for */
}

TEST_ON_BOTH(limits_hold_for_the_child_too)
{
	struct sks_timeout timeout;
	struct sks_child *child;
	int result = 0;

	sks_timeout_begin(&timeout, 5);
	child = sks_go(sleep_for_ever, NULL);
	(void)sks_timeout_end(&timeout);
	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ETIMEDOUT);
}

TEST_ON_BOTH(who_has_no_time_left_can_still_cancel_and_join)
{
	struct sks_child *child = sks_go(sleep_for_ever, NULL);
	struct sks_timeout timeout;
	int result = 0;

	ck_assert_ptr_nonnull(child);
	sks_timeout_begin(&timeout, 1);
	ck_assert_int_eq(sks_sleep(FOR_EVER), -1);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(sks_timeout_end(&timeout), 1);
	ck_assert(result == ECANCELED || result == ETIMEDOUT);
}

static int
join_my_brother(void *arg)
{
	return sks_child_join(arg, NULL) == -1 ? errno : 0;
}

TEST_ON_BOTH(only_its_parent_joins_it)
{
	struct sks_child *one = sks_go(sleep_for_ever, NULL);
	struct sks_child *two = sks_go(join_my_brother, one);
	int result;

	ck_assert(one != NULL && two != NULL);
	ck_assert_int_eq(sks_child_join(two, &result), 0);
	ck_assert_int_eq(result, EINVAL);
	sks_child_cancel(one);
	ck_assert_int_eq(sks_child_join(one, NULL), 0);
}

TEST_ON_BOTH(without_means_there_is_no_child)
{
	struct sks_timeout timeout;
	struct sks_child *child;
	int number = 1;

	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	errno = 0;
	ck_assert_ptr_null(sks_go(give_back, &number));
	ck_assert_int_eq(errno, ENOMEM);
	if (sks_task_current()->fiber == NULL) {
		ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:1,eventfd:EMFILE:2"), 0);
		errno = 0;
		ck_assert_ptr_null(sks_go(give_back, &number));
		ck_assert_int_eq(errno, EAGAIN);
		errno = 0;
		ck_assert_ptr_null(sks_go(give_back, &number));
		ck_assert_int_eq(errno, EMFILE);
		child = sks_go(give_back, &number);
		ck_assert_ptr_nonnull(child);
		ck_assert_int_eq(sks_fault("eventfd:EMFILE:1+"), 0);
		sks_timeout_begin(&timeout, FOR_EVER);
		errno = 0;
		ck_assert_int_eq(sks_child_join(child, NULL), -1);
		ck_assert_int_eq(errno, EMFILE);
		sks_child_cancel(child);
		ck_assert_int_eq(sks_child_join(child, NULL), 0);
		sks_timeout_end(&timeout);
	}
	ck_assert_int_eq(sks_task_current()->shares, 0);
}

static int
descend(void *arg)
{
	int result = 0, level = *(int *)arg + 1;
	struct sks_child *child = level > 40 ? NULL : sks_go(descend, &level);

	if (child == NULL)
		return level - 1;
	return sks_child_join(child, &result) == 0 ? result : -1;
}

static void
nest_deeply(void *arg)
{
	int level = 0;

	ck_assert_int_eq(descend(&level), *(int *)arg ? 40 : 17);
}

TEST(nesting_is_bounded_on_threads, ON_BOTH)
{
	rig_run_on(_i, nest_deeply, &_i);
}

/* The kernel's eventfd is that of both. */
TEST(a_child_process_cancels_no_thread_of_its_parent)
{
	struct pollfd p = { .events = POLLIN };
	struct sks_cancel cancel;
	int status;
	pid_t pid;

	ck_assert_int_eq(sks_cancel_init(&cancel), 0);
	p.fd = cancel.fd;
	pid = fork();
	if (pid == 0) {
		sks_cancel_set(&cancel, 1);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	sks_cancel_set(&cancel, 1);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	sks_cancel_end(&cancel);
}
