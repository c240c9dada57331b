/* SPDX-License-Identifier: MIT */
/*
 * check_shared_watch.c - clients that outlive a fiber's wait: used on one loop after
 * another and in threads, and closed anywhere, also while a loop watches them.
 */
#include "base/sys.h"
#include "harness.h"
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

struct client {
	struct sks_socket *pair[2]; /* ours, and the other side */
	struct sks_client *conn;
};

static void
open_client(struct client *c)
{
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, c->pair), 0);
	c->conn = sks_socket_makefile(c->pair[0], "rw");
	ck_assert_ptr_nonnull(c->conn);
}

static void
close_client(void *arg)
{
	struct client *c = arg;

	ck_assert_int_eq(sks_client_close(c->conn), 0);
	sks_socket_free(c->pair[0]);
	sks_socket_free(c->pair[1]);
}

static void
say(void *arg)
{
	const struct client *c = arg;

	ck_assert_int_eq(sks_socket_send(c->pair[1], "x\n", 2, 0), 2);
}

static void
hear(void *arg)
{
	struct client *c = arg;
	char *line = sks_gets(c->conn->rfile);

	ck_assert_msg(line != NULL, "%s", strerror(errno));
	ck_assert_str_eq(line, "x");
}

/* On a fiber, which has to wait for it. */
static void
hear_later(void *arg)
{
	rig_go(rig_here(), say, arg);
	hear(arg);
}

static void
hear_on(struct rig_loop *rig, struct client *c)
{
	rig_go(rig, say, c);
	rig_go(rig, hear, c);
	rig_run(rig);
}

/* The first fiber that waits says more than it hears, so that unread input is left behind. */
static void
leave_unread(void *arg)
{
	hear_later(arg);
	say(arg);
	sks_yield();
	sks_yield();
}

TEST(one_loop_after_another_and_a_thread)
{
	struct client c;

	open_client(&c);
	rig_run_on(1, hear_later, &c);
	rig_run_on(1, hear_later, &c);
	rig_run_on(1, leave_unread, &c);
	hear(&c);
	rig_run_on(1, hear_later, &c);
	close_client(&c);
}

static void
close_in_fiber(void *arg)
{
	hear_later(arg);
	close_client(arg);
}

TEST(on_two_loops_in_turn, TIMES(3))
{
	struct rig_loop first, second;
	struct client c;
	int i;

	open_client(&c);
	rig_loop_open(&first);
	rig_loop_open(&second);
	for (i = 0; i < 3; i++) {
		hear_on(&first, &c);
		hear_on(&second, &c);
	}
	/* Closed on a loop that has no watch of it, in the thread, or by its own. */
	if (_i == 0) {
		rig_go(&second, close_in_fiber, &c);
		rig_run(&second);
	} else if (_i == 1)
		close_client(&c);
	else {
		rig_go(&first, close_client, &c);
		rig_run(&first);
	}
	rig_loop_close(&second);
	rig_loop_close(&first);
}

/* -- what is closed elsewhere while its loop runs -- */

#define ROUNDS 2000

/*
 * A fiber opens clients, waits for input of each, leaves some unread, and hands
 * them over. Who gets them closes them at once, and their numbers become those of
 * the fiber's next clients: of those no event may be lost.
 */
static void
open_and_hand_over(void *arg)
{
	struct sks_channel *channel = arg;
	struct client c;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		open_client(&c);
		hear_later(&c);
		say(&c);
		ck_assert_int_eq(sks_channel_send(channel, &c), 0);
	}
	sks_channel_close(channel);
}

static void *
run_loop(void *arg)
{
	rig_run_on(1, open_and_hand_over, arg);
	return NULL;
}

static void
close_all(void *arg)
{
	struct client c;

	while (sks_channel_recv(arg, &c) == 1)
		close_client(&c);
}

TEST(closed_elsewhere_while_its_loop_serves, ON_BOTH)
{
	struct sks_channel *channel = sks_channel_new(sizeof(struct client), 4);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, channel), 0);
	rig_run_on(_i, close_all, channel);
	pthread_join(thread, NULL);
	sks_channel_free(channel);
}

struct closing {
	struct client c;
	sem_t now, done;
};

static void *
close_when_told(void *arg)
{
	struct closing *closing = arg;

	sem_wait(&closing->now);
	close_client(&closing->c);
	sem_post(&closing->done);
	return NULL;
}

static void
say_both(void *arg)
{
	struct client **both = arg;

	say(both[0]);
	say(both[1]);
}

/*
 * The second of two that have input at once is closed while the first is served,
 * and its number is another's when its event's turn comes.
 */
static void
be_served_first(void *arg)
{
	struct closing *closing = arg;
	struct client first, third, *both[2] = { &first, &closing->c };
	int number;

	open_client(&first);
	open_client(&closing->c);
	hear_later(&closing->c);
	hear_later(&first); /* epoll tells the one that was told last before new ones */
	number = sks_socket_fileno(closing->c.pair[0]);
	rig_go(rig_here(), say_both, both);
	hear(&first);
	sem_post(&closing->now);
	sem_wait(&closing->done); /* the loop stands still meanwhile */
	open_client(&third);
	ck_assert_int_eq(sks_socket_fileno(third.pair[0]), number);
	hear_later(&third);
	close_client(&third);
	close_client(&first);
}

TEST(an_event_of_a_closed_one_is_not_anothers)
{
	struct closing closing;
	pthread_t thread;

	sem_init(&closing.now, 0, 0);
	sem_init(&closing.done, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, close_when_told, &closing), 0);
	rig_run_on(1, be_served_first, &closing);
	pthread_join(thread, NULL);
	sem_destroy(&closing.now);
	sem_destroy(&closing.done);
}

/* -- what a watch is for -- */

static void
hear_many(void *arg)
{
	int i;

	hear_later(arg);
	sks_fault_clear(); /* count from here: ours, and events given to libevent */
	for (i = 0; i < 100; i++)
		hear_later(arg);
	ck_assert_uint_eq(sks_fault_calls("epoll_ctl"), 0);
	ck_assert_uint_eq(sks_fault_calls("event_add"), 0);
}

TEST(a_conversation_needs_no_epoll_ctl)
{
	struct client c;

	open_client(&c);
	rig_run_on(1, hear_many, &c);
	close_client(&c);
}

static void
receive(void *arg)
{
	struct client *c = arg;
	char bytes[2];

	ck_assert_int_eq(sks_socket_recv(c->pair[0], bytes, 2, 0), 2);
}

static void
hear_and_say(void *arg)
{
	hear(arg);
	say(arg);
}

static void
receive_and_say(void *arg)
{
	receive(arg);
	say(arg);
}

/* The reader that comes first takes all input, and then sends a line for the other one. */
TEST(two_readers_of_one_socket_wait_both)
{
	struct rig_loop rig;
	struct client c;

	open_client(&c);
	rig_loop_open(&rig);
	rig_go(&rig, hear_and_say, &c);
	rig_go(&rig, receive_and_say, &c);
	rig_go(&rig, say, &c);
	rig_run(&rig);
	close_client(&c);
	rig_loop_close(&rig);
}

static void
hear_without_memory(void *arg)
{
	struct client *c = arg;
	char byte[2];

	rig_go(rig_here(), say, c);
	sks_fault("malloc:ENOMEM"); /* the watch's; there is a way without */
	ck_assert_int_eq(sks_socket_recv(c->pair[0], byte, 2, 0), 2);
	ck_assert_uint_eq(sks_fault_hits(), 1);
	sks_fault_clear();
	hear_later(c);
}

TEST(without_memory_it_waits_without_a_watch)
{
	struct client c;

	open_client(&c);
	rig_run_on(1, hear_without_memory, &c);
	close_client(&c);
}

static void
give_away(void *arg)
{
	struct client c;
	int fd;

	(void)arg;
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, c.pair), 0);
	rig_go(rig_here(), say, &c);
	receive(&c);
	say(&c);
	fd = sks_socket_detach(c.pair[0]);
	ck_assert_int_ne(fd, -1);
	sks_socket_free(c.pair[0]);
	c.pair[0] = sks_socket_fromfd(fd);
	receive(&c);
	rig_go(rig_here(), say, &c);
	receive(&c);
	sks_socket_free(c.pair[0]);
	sks_socket_free(c.pair[1]);
}

TEST(what_is_given_away_may_come_back)
{
	rig_run_on(1, give_away, NULL);
}

/* -- one task waits for input, which the loop reads, while a thread waits for room -- */

#define MUCH (1 << 20) /* bytes, more than the socket takes */

static void *
write_much(void *arg)
{
	static char much[MUCH];
	struct client *c = arg;

	ck_assert_int_eq(sks_write(c->conn->wfile, much, sizeof(much)), 0);
	return NULL;
}

/* The peer ends its side when the others wait, and then takes what it gets. */
static void *
end_and_take(void *arg)
{
	static char got[65536];
	struct client *c = arg;
	int fd = sks_socket_fileno(c->pair[1]);
	size_t n = 0;
	ssize_t more;

	ck_eventually(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1);
	ck_eventually(poll(&(struct pollfd){ .fd = sks_socket_fileno(c->pair[0]),
	    .events = POLLOUT }, 1, 0) == 0);
	ck_assert_int_eq(sks_socket_send(c->pair[1], "x\n", 2, 0), 2);
	ck_assert_int_eq(sks_socket_shutdown(c->pair[1], SHUT_WR), 0);
	while (n < MUCH && (more = sks_socket_recv(c->pair[1], got, sizeof(got), 0)) > 0)
		n += (size_t)more;
	ck_assert_uint_eq(n, MUCH);
	return NULL;
}

static void
hear_to_the_end(void *arg)
{
	struct client *c = arg;

	hear(c);
	ck_assert_ptr_null(sks_gets(c->conn->rfile));
	ck_assert_int_eq(errno, 0);
}

TEST(the_loop_reads_while_a_thread_waits_for_room, TIMES(3))
{
	pthread_t writer, peer;
	struct client c;

	open_client(&c);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_much, &c), 0);
	ck_assert_int_eq(pthread_create(&peer, NULL, end_and_take, &c), 0);
	rig_run_on(1, hear_to_the_end, &c);
	pthread_join(writer, NULL);
	pthread_join(peer, NULL);
	close_client(&c);
}

/* -- in a child process, which shares the epoll set of the loop -- */

static void
close_in_child(void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close_client(arg);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void
hear_behind_a_child(void *arg)
{
	hear_later(arg);
	close_in_child(arg);
	hear_later(arg);
}

TEST(a_childs_close_leaves_the_parents_watch_alone)
{
	struct client c;

	open_client(&c);
	rig_run_on(1, hear_behind_a_child, &c);
	close_client(&c);
}

static void
hear_beside(void *arg)
{
	hear(arg);
}

static void
use_in_child(void *arg)
{
	struct client *c = arg;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		/* The reader exists in the parent only: here another one may wait. */
		sks_socket_settimeout(c->pair[0], 1);
		_exit(sks_socket_recv(c->pair[0], &status, 1, 0) == -1 && errno == ETIMEDOUT ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	say(arg);
}

static void
wait_with_a_child(void *arg)
{
	rig_go(rig_here(), hear_beside, arg);
	rig_go(rig_here(), use_in_child, arg);
}

TEST(a_child_may_use_a_socket_that_the_parent_waits_for)
{
	struct client c;

	open_client(&c);
	rig_run_on(1, wait_with_a_child, &c);
	close_client(&c);
}
