/* SPDX-License-Identifier: MIT */
/*
 * check_mutex_certain.c - sks_mutex_lock_certain: a lock that no deadline, no cancellation and no
 * lack of descriptors takes away.
 */
#include "acceptance.h"
#include "rig.h"

#include "base/sys.h"

#include <errno.h>

static struct sks_mutex *mutex;

static void
setup(void)
{
	acc_setup();
	mutex = sks_mutex_new();
	ck_assert_ptr_nonnull(mutex);
}

static void
teardown(void)
{
	sks_mutex_free(mutex);
	acc_teardown();
}

FIXTURE(setup, teardown);

static sem_t has_begun;

/*
 * All waits of this handler fail, since it has a deadline that is over. It gets the lock all the
 * same.
 */
static int
wait_for_certain(struct sks_request *req)
{
	(void)req;
	ck_assert_int_eq(sks_deadline(req, 0), 0);
	sem_post(&has_begun);
	if (sks_mutex_lock(mutex) != -1 || errno != ETIMEDOUT)
		return -1;
	atomic_store(&seen->note, 1);
	if (sks_mutex_lock_certain(mutex) == -1)
		return -1;
	atomic_store(&seen->note, 2);
	if (sks_mutex_lock_certain(mutex) != -1 || errno != EDEADLK)
		return -1;
	return sks_mutex_unlock(mutex);
}

/* In processes mode each process would have a lock of its own. */
TEST(a_certain_lock_is_taken_when_all_waits_fail, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = wait_for_certain };
	static const struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	sem_init(&has_begun, 0, 0);
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	fd = acc_client(&acc);
	sem_wait(&has_begun);
	ck_eventually(atomic_load(&seen->note) == 1);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	peer_expect_eof(fd);
	ck_assert_int_eq(atomic_load(&seen->note), 2);
	ck_assert_int_eq(atomic_load(&seen->errors), 0);
	acc_stop(&acc);
	acc_free(&acc);
	sem_destroy(&has_begun);
}

static atomic_int has_certain;

static void *
take_certain(void *arg)
{
	(void)arg;
	ck_assert_int_eq(sks_mutex_lock_certain(mutex), 0);
	atomic_store(&has_certain, 1);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	return NULL;
}

TEST(a_thread_takes_a_certain_lock_without_a_descriptor)
{
	pthread_t thread;

	atomic_store(&has_certain, 0);
	ck_assert_int_eq(sks_fault("eventfd:EMFILE:1+"), 0);
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	pthread_create(&thread, NULL, take_certain, NULL);
	ck_eventually(sks_fault_hits() > 0);
	ck_assert_int_eq(atomic_load(&has_certain), 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&has_certain), 1);
}

/* -- a child process has a copy, and none of the tasks that wait -- */

static void
take_it(void *arg)
{
	(void)arg;
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
}

static void
give_back_in_a_child(void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	sks_yield(); /* the other one waits from now on */
	pid = fork();
	if (pid == 0)
		_exit(sks_mutex_unlock(mutex) == 0 && sks_mutex_trylock(mutex) == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
}

TEST(a_child_gives_it_to_no_task_of_its_parent)
{
	struct rig_loop rig;

	rig_loop_open(&rig);
	rig_go(&rig, give_back_in_a_child, NULL);
	rig_go(&rig, take_it, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
}
