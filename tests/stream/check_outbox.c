/* SPDX-License-Identifier: MIT */
/*
 * check_outbox.c - what is posted just while the connection's own task sends is
 * sent, too. (What posts are for, and from where they come, is in check_post.)
 *
 * The moment is exact: the transport posts when it is asked to write.
 */
#include "streams.h"

#include "stream/flush.h"
#include "stream/outbox.h"

#include <errno.h>
#include <semaphore.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

/* How a flush ends that was posted to. */
enum { AT_ONCE, FULL, NO_MEMORY, WAYS };

static struct talk {
	struct rig_loop rig;
	struct rig_link l;
	struct sks_outbox *_Atomic box;
	int way;
	int posted;
	int idle;
	int threaded;
	sem_t told, heard;
} t;

/*
 * Posts. A thread then waits until the loop has looked at the outbox. On the loop itself nobody
 * waits, as the loop could not look meanwhile.
 */
static void
post(void)
{
	ck_assert_int_eq(sks_outbox_put(t.box, "posted", 6, 100), 0);
	t.posted = 1;
	if (t.threaded) {
		sem_post(&t.told);
		while (sem_wait(&t.heard) == -1)
			;
	}
}

/*
 * Of the task's first try the socket takes all, or there is no memory; what is posted waits once.
 */
static ssize_t
write_posted_to(struct sks_transport *tr, const struct iovec *iov, int n)
{
	if (tr != &t.l.tr && t.way == FULL && t.posted == 1) {
		t.posted = 2;
		errno = EAGAIN;
		return -1;
	}
	if (tr == &t.l.tr && !t.posted) {
		post();
		if (t.way == NO_MEMORY) {
			errno = ENOMEM;
			return -1;
		}
	}
	return sks_plain_transport.write(tr, iov, n);
}

static const struct sks_transport_ops posted_to = { .write = write_posted_to };

static void
note_idle(void *arg)
{
	(void)arg;
	t.idle++;
}

static void
hear_word(struct sks_message *message)
{
	sks_outbox_on_notice(sks_container_of(message, struct sks_outbox, notice), 0);
}

static void
write_and_flush(void *unused)
{
	(void)unused;
	ck_assert_int_eq(sks_puts(&t.l.w, "own"), 0);
	switch (t.way) {
	case AT_ONCE:
		sks_yield();
		break;
	case FULL:
		ck_assert_int_eq(sks_wfile_try_flush(&t.l.w), 0);
		break;
	case NO_MEMORY:
		ck_assert_int_eq(sks_flush(&t.l.w), -1);
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_int_eq(sks_error(&t.l.w), 0);
		break;
	}
}

static void *
on_thread(void *unused)
{
	write_and_flush(unused);
	return NULL;
}

static void
expect(const char *text)
{
	char got[16];
	size_t n = rig_hear(&t.l, got, sizeof(got) - 1);

	got[n] = '\0';
	ck_assert_str_eq(got, text);
}

/* The loop's next turn, as far as it goes without waiting. */
static void
turn(void)
{
	sks_loop_run_inbox(t.rig.loop);
	sks_loop_run_ready(t.rig.loop);
}

static void
run(void)
{
	pthread_t thread;

	if (!t.threaded) {
		rig_go(&t.rig, write_and_flush, NULL);
		rig_run(&t.rig);
		return;
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, on_thread, NULL), 0);
	while (sem_wait(&t.told) == -1)
		;
	turn(); /* nothing can be sent now */
	sem_post(&t.heard);
	pthread_join(thread, NULL);
}

/* The streams are a fiber's of the loop, or a thread's. */
static void
open_talk(int way, int threaded, const struct sks_transport_ops *ops)
{
	t = (struct talk){ .way = way, .threaded = threaded };
	sem_init(&t.told, 0, 0);
	sem_init(&t.heard, 0, 0);
	if (threaded)
		rig_link_open_on(&t.l, ops);
	rig_loop_open(&t.rig);
	if (!threaded)
		rig_link_open_on(&t.l, ops);
	t.box = sks_outbox_new(t.rig.loop, t.l.w.pool, &t.l.tr, 1000, 0, note_idle, NULL);
	ck_assert_ptr_nonnull(t.box);
	t.box->notice.run = hear_word;
	t.l.w.outbox = &t.box;
}

static void
close_talk(void)
{
	sks_outbox_end(t.box);
	rig_link_close(&t.l);
	sks_outbox_free(t.box);
	rig_loop_close(&t.rig);
	sem_destroy(&t.told);
	sem_destroy(&t.heard);
}

TEST(what_comes_amid_a_flush_is_sent, TIMES(2 * WAYS))
{
	open_talk(_i % WAYS, _i / WAYS, &posted_to);
	run();
	turn();
	while (!sks_outbox_is_empty(t.box)) /* where the socket was full once */
		ck_assert_int_eq(event_base_loop(t.rig.loop->base, EVLOOP_ONCE), 0);
	expect(t.way == NO_MEMORY ? "posted" : "ownposted");
	ck_assert_int_eq(t.idle, 1);
	ck_assert_int_eq(sks_outbox_is_empty(t.box), 1);
	ck_assert_int_eq(sks_flush(&t.l.w), 0);
	expect(t.way == NO_MEMORY ? "own" : "");
	close_talk();
}

static atomic_int enough;

static void *
post_on_and_on(void *unused)
{
	while (!atomic_load(&enough))
		(void)sks_outbox_put(t.box, ".", 1, 100);
	return unused;
}

/*
 * The moment between "nothing was posted" and the task's own bytes is no call
 * that a test could wait for. So here it comes often.
 */
TEST(a_flush_leaves_nothing_of_its_own_behind)
{
	int round, rounds = is_slow() ? 2000 : 20000;
	pthread_t threads[2];
	char got[4096];
	int i;

	open_talk(0, 1, &sks_plain_transport);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, post_on_and_on, NULL), 0);
	for (round = 0; round < rounds; round++) {
		ck_assert_int_eq(sks_puts(&t.l.w, "own"), 0);
		ck_assert_int_eq(sks_flush(&t.l.w), 0);
		ck_assert_uint_eq(sks_buf_length(&t.l.w.buf), 0);
		while (rig_hear(&t.l, got, sizeof(got)) == sizeof(got))
			;
	}
	atomic_store(&enough, 1);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	turn();
	close_talk();
}

/* What comes amid a sending waits for the sender to leave. */
TEST(an_outbox_is_left_to_its_loop)
{
	struct sks_outbox *box;
	struct rig_link link;
	struct rig_loop rig;
	char got[4];

	rig_loop_open(&rig);
	rig_link_open(&link);
	box = sks_outbox_new(rig.loop, NULL, &link.tr, 1000, 0, NULL, NULL);
	ck_assert_int_eq(sks_outbox_try_claim(box), 1);
	ck_assert_int_eq(sks_outbox_try_claim(box), 0);
	sks_outbox_release(box);
	ck_assert_int_eq(sks_outbox_try_claim(box), 1);
	ck_assert_int_eq(sks_outbox_put(box, "p\n", 2, 100), 0);
	ck_assert_int_eq(sks_loop_has_ready(rig.loop), 0);
	sks_outbox_release(box);
	ck_assert_int_eq(sks_loop_has_ready(rig.loop), 1);
	ck_assert_int_eq(sks_outbox_try_claim(box), 0); /* it goes first */
	sks_outbox_claim(box);
	ck_assert_int_eq(sks_outbox_push(box), 2);
	ck_assert_uint_eq(rig_hear(&link, got, sizeof(got)), 2);
	sks_outbox_release(box);
	ck_assert_int_eq(sks_outbox_try_claim(box), 1);
	sks_outbox_end(box);
	sks_outbox_free(box);
	rig_link_close(&link);
	rig_loop_close(&rig);
}

/*
 * A peer that takes a byte at each turn takes 64 KiB in a turn's time for each byte, which is too
 * long.
 */
static ssize_t
write_a_byte_at_each_turn(struct sks_transport *tr, const struct iovec *iov, int n)
{
	static int tries;

	(void)tr;
	(void)iov;
	(void)n;
	errno = EAGAIN;
	return tries++ % 2 == 0 ? -1 : 1;
}

TEST(bytes_now_and_then_keep_no_outbox_alive)
{
	static const struct sks_transport_ops byte_by_byte = { .write = write_a_byte_at_each_turn };
	static const char much[65536];
	struct rig_loop rig;
	struct rig_link link;
	struct sks_outbox *box;

	t.idle = 0;
	rig_loop_open(&rig);
	rig_link_open_on(&link, &byte_by_byte);
	box = sks_outbox_new(rig.loop, NULL, &link.tr, 100, 0, note_idle, NULL);
	ck_assert_int_eq(sks_outbox_put(box, much, sizeof(much) - 1, sizeof(much)), 0);
	sks_outbox_send(box);
	while (t.idle == 0)
		ck_assert_int_eq(event_base_loop(rig.loop->base, EVLOOP_ONCE), 0);
	ck_assert_int_eq(sks_outbox_error(box), ETIMEDOUT);
	sks_outbox_end(box);
	sks_outbox_free(box);
	rig_link_close(&link);
	rig_loop_close(&rig);
}
