/* SPDX-License-Identifier: MIT */
/*
 * race.c - attempts to connect that begin one after the other, as RFC 8305 says ("happy eyeballs").
 *
 * One task runs the race, and waits for all of its sockets at once. A fiber for each attempt was
 * the alternative, but a task that is a thread has no fibers.
 */
#include "socket/race.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"
#include "loop/wait.h"

#include <errno.h>

#define STAGGER_MS 250

struct attempt {
	const struct sks_addr *addr;
	int fd; /* -1: it has not begun, or is over */
	int error;
};

struct race {
	int type;
	struct attempt *tries;
	struct pollfd *fds;  /* of the same index, and room for sks_wait_set() */
	size_t n;
	size_t begun;
	size_t open;         /* how many have begun and are not over */
	int64_t deadline;
	int64_t next_at;     /* when the next attempt begins at the latest */
};

static void
end_attempt(struct race *race, struct attempt *a, int error)
{
	sks_sys_close(a->fd);
	a->fd = -1;
	a->error = error;
	race->open--;
	race->next_at = 0;
}

/* Begins the next attempt. Returns 1 when it is connected at once. */
static int
begin_attempt(struct race *race)
{
	struct attempt *a = &race->tries[race->begun++];

	race->next_at = 0;
	a->fd = sks_sys_socket(a->addr->u.any.sa_family,
	    race->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd == -1) {
		a->error = errno;
		return 0;
	}
	race->open++;
	if (sks_sys_connect(a->fd, &a->addr->u.any, a->addr->len) == 0)
		return 1;
	if (errno == EINPROGRESS || errno == EINTR)
		race->next_at = sks_clock_after(STAGGER_MS);
	else
		end_attempt(race, a, errno);
	return 0;
}

/* The attempt has an event. 1: it is connected; 0: it has failed. */
static int
look_at(struct race *race, struct attempt *a)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (sks_sys_getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0)
		return 1;
	end_attempt(race, a, error);
	return 0;
}

/* Waits for events of the attempts, or until the next one begins. 0, or -1: the race is over. */
static int
await_attempts(struct race *race)
{
	int64_t until = race->deadline;
	size_t i;

	if (race->begun < race->n)
		until = sks_min64(until, race->next_at);
	for (i = 0; i < race->begun; i++)
		race->fds[i] = (struct pollfd){ .fd = race->tries[i].fd, .events = POLLOUT };
	if (sks_wait_set(race->fds, race->begun, until) != -1)
		return 0;
	if (sks_task_current()->wait_end != SKS_WAIT_TIMEOUT || until == race->deadline)
		return -1;
	for (i = 0; i < race->begun; i++)
		race->fds[i].revents = 0;
	return 0;
}

/* Returns the winner. NULL: errno is 0 if all have failed, else why the race is over. */
static struct attempt *
run(struct race *race)
{
	size_t i;

	for (;;) {
		if (race->begun < race->n &&
		    (race->open == 0 || sks_clock_ms() >= race->next_at)) {
			if (begin_attempt(race))
				return &race->tries[race->begun - 1];
			continue;
		}
		if (race->open == 0) {
			errno = 0;
			return NULL;
		}
		if (await_attempts(race) == -1)
			return NULL;
		for (i = 0; i < race->begun; i++)
			if (race->fds[i].revents != 0 && look_at(race, &race->tries[i]))
				return &race->tries[i];
	}
}

/* Closes all attempts but the winner. Returns that one's descriptor, or -1. */
static int
finish(struct race *race, struct attempt *winner)
{
	int fd = -1, error = errno;
	size_t i;

	if (winner != NULL) {
		fd = winner->fd;
		winner->fd = -1;
	}
	for (i = 0; i < race->begun; i++)
		if (race->tries[i].fd != -1)
			end_attempt(race, &race->tries[i], error);
	errno = error;
	return fd;
}

/* Takes an address of each family in turn; within a family their order stays. */
static void
line_up(struct race *race, const struct sks_addr *addrs)
{
	size_t next[2] = { 0, 0 }, i;
	int family = addrs[0].u.any.sa_family, turn = 0;

	for (i = 0; i < race->n; i++, turn = !turn) {
		int tries;

		for (tries = 0; tries < 2; tries++, turn = !turn) {
			size_t *at = &next[turn];

			while (*at < race->n && (addrs[*at].u.any.sa_family == family) == turn)
				++*at;
			if (*at < race->n)
				break;
		}
		race->tries[i] = (struct attempt){ .addr = &addrs[next[turn]++], .fd = -1 };
	}
}

/* Returns how far an attempt came that ended with this error. */
static int
progress(int error)
{
	switch (error) {
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		return 0;
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return 1;
	case ETIMEDOUT:
		return 2;
	case ECONNREFUSED:
	case ECONNRESET:
		return 3;
	default: /* EMFILE, EACCES: no other address can do better */
		return 4;
	}
}

static const struct attempt *
furthest(const struct race *race)
{
	const struct attempt *best = &race->tries[0];
	size_t i;

	for (i = 1; i < race->begun; i++)
		if (progress(race->tries[i].error) > progress(best->error))
			best = &race->tries[i];
	return best;
}

int
sks_race(int type, const struct sks_addr *addrs, size_t n, int64_t deadline,
    const struct sks_addr **at)
{
	struct race race = { .type = type, .n = n, .deadline = deadline };
	int fd = -1, error = ENOMEM;

	*at = NULL;
	race.tries = sks_sys_calloc(n, sizeof(*race.tries));
	race.fds = sks_sys_calloc(n + SKS_CANCEL_MOST, sizeof(*race.fds));
	if (race.tries != NULL && race.fds != NULL) {
		const struct attempt *best;

		line_up(&race, addrs);
		fd = finish(&race, run(&race));
		error = errno;
		best = furthest(&race);
		*at = best->addr;
		if (error == 0 || error == ETIMEDOUT)
			error = best->error;
	}
	sks_sys_free(race.tries);
	sks_sys_free(race.fds);
	errno = error;
	return fd;
}
