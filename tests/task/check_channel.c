/* SPDX-License-Identifier: MIT */
/*
 * check_channel.c - bounded channels between fibers, loops and threads.
 */
#include "acceptance.h"
#include "rig.h"
#include "tools.h"

#include "base/sys.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sks_channel *channel;

static void
setup(void)
{
	acc_setup();
	channel = sks_channel_new(sizeof(int), 4);
	ck_assert_ptr_nonnull(channel);
}

static void
teardown(void)
{
	sks_channel_free(channel);
	acc_teardown();
}

FIXTURE(setup, teardown);

/* -- without waiting -- */

TEST_ON_BOTH(a_try_does_not_wait)
{
	int i, item = 0;

	ck_assert_int_eq(sks_channel_tryrecv(channel, &item), -1);
	ck_assert_int_eq(errno, EAGAIN);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(sks_channel_trysend(channel, &i), 0);
	ck_assert_int_eq(sks_channel_trysend(channel, &i), -1);
	ck_assert_int_eq(errno, EAGAIN);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(sks_channel_tryrecv(channel, &item), 1);
		ck_assert_int_eq(item, i);
	}
	sks_channel_close(channel);
	ck_assert_int_eq(sks_channel_trysend(channel, &i), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_channel_tryrecv(channel, &item), 1);
	ck_assert_int_eq(item, 3);
	ck_assert_int_eq(sks_channel_tryrecv(channel, &item), 0);
}

static void
receive_one(void *got)
{
	ck_assert_int_eq(sks_channel_recv(channel, got), 1);
}

static void
try_to_send_one(void *arg)
{
	static const int item = 42;

	(void)arg;
	ck_assert_int_eq(sks_channel_trysend(channel, &item), 0);
}

TEST(a_try_wakes_who_waits)
{
	struct rig_loop rig;
	int got = 0;

	rig_loop_open(&rig);
	rig_go(&rig, receive_one, &got);
	rig_go(&rig, try_to_send_one, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_int_eq(got, 42);
}

TEST_ON_BOTH(items_come_out_as_they_went_in)
{
	int i, round, item;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 4; i++)
			ck_assert_int_eq(sks_channel_send(channel, &i), 0);
		for (i = 0; i < 3; i++) {
			ck_assert_int_eq(sks_channel_recv(channel, &item), 1);
			ck_assert_int_eq(item, i);
		}
		item = 7;
		ck_assert_int_eq(sks_channel_send(channel, &item), 0);
		ck_assert_int_eq(sks_channel_recv(channel, &item), 1);
		ck_assert_int_eq(item, 3);
		ck_assert_int_eq(sks_channel_recv(channel, &item), 1);
		ck_assert_int_eq(item, 7);
	}
	ck_assert_int_eq(sks_channel_send(channel, &i), 0);
	sks_channel_close(channel);
	sks_channel_close(channel);
	errno = 0;
	ck_assert_int_eq(sks_channel_send(channel, &i), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_channel_recv(channel, &item), 1);
	ck_assert_int_eq(sks_channel_recv(channel, &item), 0);
	ck_assert_int_eq(sks_channel_recv(channel, &item), 0);
}

TEST(new_refuses_what_can_not_be)
{
	errno = 0;
	ck_assert_ptr_null(sks_channel_new(0, 1));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(sks_channel_new(1, 0));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(sks_channel_new(SIZE_MAX / 2, 3));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(sks_channel_new(1, SIZE_MAX));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	errno = 0;
	ck_assert_ptr_null(sks_channel_new(1, 1));
	ck_assert_int_eq(errno, ENOMEM);
	sks_channel_free(NULL);
}

/* -- waiting, and what ends it -- */

TEST_ON_BOTH(waits_have_an_end)
{
	struct sks_timeout timeout;
	int item;

	sks_timeout_begin(&timeout, 3);
	errno = 0;
	ck_assert_int_eq(sks_channel_recv(channel, &item), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_timeout_end(&timeout), 1);
	for (item = 0; item < 4; item++)
		ck_assert_int_eq(sks_channel_send(channel, &item), 0);
	sks_timeout_begin(&timeout, 3);
	errno = 0;
	ck_assert_int_eq(sks_channel_send(channel, &item), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_timeout_end(&timeout);
	ck_assert_int_eq(sks_channel_recv(channel, &item), 1); /* nobody waits any more */
	ck_assert_int_eq(sks_channel_recv(channel, &item), 1);
	ck_assert_int_eq(sks_channel_send(channel, &item), 0);
}

static int
recv_one(void *arg)
{
	int item = -1, rc = sks_channel_recv(channel, &item);

	(void)arg;
	return rc == 1 ? item : rc == 0 ? 1000 : errno;
}

static atomic_int sent; /* by send_one */

static int
send_one(void *arg)
{
	if (sks_channel_send(channel, arg) == -1)
		return errno;
	atomic_fetch_add(&sent, 1);
	return 0;
}

TEST_ON_BOTH(receivers_get_an_item_the_close_or_a_cancellation)
{
	struct sks_child *child[3];
	int i, result[3], item = 5;

	for (i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(child[i] = sks_go(recv_one, NULL));
	ck_assert_int_eq(sks_sleep(2), 0);
	sks_child_cancel(child[0]);
	ck_assert_int_eq(sks_child_join(child[0], &result[0]), 0);
	ck_assert_int_eq(result[0], ECANCELED);
	ck_assert_int_eq(sks_channel_send(channel, &item), 0);
	ck_assert_int_eq(sks_sleep(2), 0);
	sks_channel_close(channel);
	for (i = 1; i < 3; i++)
		ck_assert_int_eq(sks_child_join(child[i], &result[i]), 0);
	ck_assert_int_eq(result[1] + result[2], 5 + 1000);
}

TEST_ON_BOTH(senders_get_room_the_close_or_a_cancellation)
{
	struct sks_child *child[3];
	int i, result[3], item[3] = { 10, 11, 12 }, got;

	atomic_store(&sent, 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(sks_channel_send(channel, &i), 0);
	for (i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(child[i] = sks_go(send_one, &item[i]));
	ck_assert_int_eq(sks_sleep(2), 0);
	sks_child_cancel(child[0]);
	ck_assert_int_eq(sks_child_join(child[0], &result[0]), 0);
	ck_assert_int_eq(result[0], ECANCELED);
	ck_assert_int_eq(sks_channel_recv(channel, &got), 1);
	ck_assert_int_eq(got, 0);
	while (atomic_load(&sent) == 0) /* whoever has room and has not used it would see the close */
		ck_assert_int_eq(sks_sleep(1), 0);
	sks_channel_close(channel);
	for (i = 1; i < 3; i++)
		ck_assert_int_eq(sks_child_join(child[i], &result[i]), 0);
	ck_assert_int_eq(result[1] + result[2], EPIPE);
	for (i = 1; i < 4; i++)
		ck_assert(sks_channel_recv(channel, &got) == 1 && got == i);
	ck_assert(sks_channel_recv(channel, &got) == 1 && (got == 11 || got == 12));
	ck_assert_int_eq(sks_channel_recv(channel, &got), 0);
}

TEST(a_thread_needs_a_descriptor_to_wait)
{
	int item;

	ck_assert_int_eq(sks_fault("eventfd:EMFILE:1"), 0);
	errno = 0;
	ck_assert_int_eq(sks_channel_recv(channel, &item), -1);
	ck_assert_int_eq(errno, EMFILE);
}

/* -- many at once -- */

static int items;
static atomic_long sum;

static void
send_numbers(void)
{
	int i;

	for (i = 1; i <= items; i++)
		if (sks_channel_send(channel, &i) == -1)
			return;
}

static void
recv_numbers(void)
{
	int item;

	while (sks_channel_recv(channel, &item) == 1)
		atomic_fetch_add(&sum, item);
}

static int
send_all_numbers(void *arg)
{
	(void)arg;
	send_numbers();
	return 0;
}

static int
recv_all_numbers(void *arg)
{
	(void)arg;
	recv_numbers();
	return 0;
}

static void
exchange_numbers(void *arg)
{
	struct sks_child *senders[3], *receivers[3];
	int i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		ck_assert_ptr_nonnull(receivers[i] = sks_go(recv_all_numbers, NULL));
		ck_assert_ptr_nonnull(senders[i] = sks_go(send_all_numbers, NULL));
	}
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(sks_child_join(senders[i], NULL), 0);
	sks_channel_close(channel);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(sks_child_join(receivers[i], NULL), 0);
	ck_assert_int_eq(sum, 3L * items * (items + 1) / 2);
}

TEST(nothing_is_lost_or_doubled, ON_BOTH)
{
	items = is_slow() ? 200 : 2000;
	atomic_store(&sum, 0);
	rig_run_on(_i, exchange_numbers, NULL);
}

/* "s": sends numbers; "r": receives until the close. */
static int
send_or_recv(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return -1;
	if (line[0] == 's')
		send_numbers();
	else
		recv_numbers();
	return sks_puts(req->wfile, "done\n");
}

static void *
send_on_thread(void *arg)
{
	send_numbers();
	return arg;
}

static void *
recv_on_thread(void *arg)
{
	recv_numbers();
	return arg;
}

TEST(handlers_loops_and_threads_share_one, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = send_or_recv };
	pthread_t sender, receiver;
	int s[3], r[3], i;
	struct acc acc;

	items = is_slow() ? 100 : 1000;
	atomic_store(&sum, 0);
	acc_tcp(&acc, _i, &handler, NULL);
	if (acc.mode->one_at_a_time) {
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	pthread_create(&receiver, NULL, recv_on_thread, NULL);
	for (i = 0; i < 3; i++) {
		peer_puts(r[i] = acc_client(&acc), "r\n");
		peer_puts(s[i] = acc_client(&acc), "s\n");
	}
	pthread_create(&sender, NULL, send_on_thread, NULL);
	for (i = 0; i < 3; i++) {
		peer_expect(s[i], "done\n");
		peer_expect_eof(s[i]);
	}
	pthread_join(sender, NULL);
	sks_channel_close(channel);
	for (i = 0; i < 3; i++) {
		peer_expect(r[i], "done\n");
		peer_expect_eof(r[i]);
	}
	pthread_join(receiver, NULL);
	ck_assert_int_eq(sum, 4L * items * (items + 1) / 2);
	acc_free(&acc);
}

static int
recv_for_ever(struct sks_request *req)
{
	int item;

	sks_puts(req->wfile, "waits\n"); /* and is flushed */
	if (sks_channel_recv(channel, &item) == -1)
		atomic_store(&seen->waited, errno);
	return SKS_DONE;
}

TEST(a_shutdown_ends_the_wait, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = recv_for_ever };
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "waits\n");
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	acc_free(&acc);
}
