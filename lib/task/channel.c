/* SPDX-License-Identifier: MIT */
/*
 * sks_channel: a ring of items, and tasks that wait to send or to receive one.
 *
 * If a task waits for an item the sender copies it there directly, under the lock. So no task
 * is woken only to find that another one was faster. A sender waits only while the ring is
 * full, and a receiver only while it is empty, so there are never waiters of both kinds. The
 * pthread mutex is never held across a wait.
 */
#include "base/clock.h"
#include "base/fork.h"
#include "base/sys.h"
#include "stream/flush.h"
#include "loop/completion.h"

#include <errno.h>
#include <pthread.h>
#include <socketserver/channel.h>
#include <string.h>

struct sks_channel {
	struct sks_fork_lock lock;
	unsigned int forks;       /* sks_forks when tasks began to wait */
	size_t item_size;
	size_t capacity;
	size_t first;             /* the oldest item in the ring */
	size_t count;
	struct sks_list senders;
	struct sks_list receivers;
	int closed;
	unsigned char ring[];
};

/* A task that waits, and where its item is or goes. */
struct waiter {
	struct sks_completion completion;
	void *item;
	int served; /* the item was copied; 0 when it is woken: the channel was closed */
};

struct sks_channel *
sks_channel_new(size_t item_size, size_t capacity)
{
	struct sks_channel *ch;
	size_t size;

	if (item_size == 0 || capacity == 0) {
		errno = EINVAL;
		return NULL;
	}
	if (__builtin_mul_overflow(item_size, capacity, &size) ||
	    __builtin_add_overflow(size, sizeof(*ch), &size)) {
		errno = ENOMEM;
		return NULL;
	}
	ch = sks_sys_malloc(size);
	if (ch == NULL)
		return NULL;
	*ch = (struct sks_channel){ .forks = sks_forks, .item_size = item_size,
		.capacity = capacity };
	sks_fork_lock_init(&ch->lock);
	sks_list_init(&ch->senders);
	sks_list_init(&ch->receivers);
	return ch;
}

void
sks_channel_free(struct sks_channel *ch)
{
	if (ch == NULL)
		return;
	sks_fork_lock_end(&ch->lock);
	sks_sys_free(ch);
}

/* In a child process the tasks that wait are its parent's, and their stacks may be gone. */
static void
lock(struct sks_channel *ch)
{
	pthread_mutex_lock(&ch->lock.mutex);
	if (ch->forks == sks_forks)
		return;
	ch->forks = sks_forks;
	sks_list_init(&ch->senders);
	sks_list_init(&ch->receivers);
}

/* -- under the lock -- */

static unsigned char *
slot(struct sks_channel *ch, size_t i)
{
	return ch->ring + (ch->first + i) % ch->capacity * ch->item_size;
}

static void
put(struct sks_channel *ch, const void *item)
{
	memcpy(slot(ch, ch->count), item, ch->item_size);
	ch->count++;
}

static void
take(struct sks_channel *ch, void *item)
{
	memcpy(item, slot(ch, 0), ch->item_size);
	ch->first = (ch->first + 1) % ch->capacity;
	ch->count--;
}

/* Takes the waiter that has waited longest off the list; it will be woken. NULL: there is none. */
static struct waiter *
claim_oldest(struct sks_list *waiters)
{
	struct sks_completion *c = sks_completion_claim(waiters);

	return c != NULL ? sks_container_of(c, struct waiter, completion) : NULL;
}

/* Sends the item; the caller then wakes *other. 0, or -1: EPIPE; EAGAIN when the ring is full. */
static int
try_send(struct sks_channel *ch, const void *item, struct waiter **other)
{
	*other = NULL;
	if (ch->closed) {
		errno = EPIPE;
		return -1;
	}
	*other = claim_oldest(&ch->receivers);
	if (*other != NULL) {
		memcpy((*other)->item, item, ch->item_size);
		(*other)->served = 1;
	} else if (ch->count == ch->capacity) {
		errno = EAGAIN;
		return -1;
	} else
		put(ch, item);
	return 0;
}

/*
 * Receives an item; the caller then wakes *other. 1; 0 when the ring is empty and the channel is
 * closed; or -1, EAGAIN, when the ring is empty.
 */
static int
try_recv(struct sks_channel *ch, void *item, struct waiter **other)
{
	*other = NULL;
	if (ch->count == 0 && ch->closed)
		return 0;
	if (ch->count == 0) {
		errno = EAGAIN;
		return -1;
	}
	take(ch, item);
	*other = claim_oldest(&ch->senders);
	if (*other != NULL) {
		put(ch, (*other)->item);
		(*other)->served = 1;
	}
	return 1;
}

/* -- waiting -- */

static void
wake(struct waiter *waiter)
{
	if (waiter != NULL)
		sks_complete(&waiter->completion);
}

/* Does what try_send() does. At EAGAIN me stands among the senders, if it is not NULL. */
static int
send_or_queue(struct sks_channel *ch, const void *item, struct waiter *me)
{
	struct waiter *other;
	int rc;

	lock(ch);
	rc = try_send(ch, item, &other);
	if (rc == -1 && errno == EAGAIN && me != NULL)
		sks_list_append(&ch->senders, &me->completion.link);
	pthread_mutex_unlock(&ch->lock.mutex);
	wake(other);
	return rc;
}

/* Does what try_recv() does. At EAGAIN me stands among the receivers, if it is not NULL. */
static int
recv_or_queue(struct sks_channel *ch, void *item, struct waiter *me)
{
	struct waiter *other;
	int rc;

	lock(ch);
	rc = try_recv(ch, item, &other);
	if (rc == -1 && me != NULL)
		sks_list_append(&ch->receivers, &me->completion.link);
	pthread_mutex_unlock(&ch->lock.mutex);
	wake(other);
	return rc;
}

static int
wait_to_send(struct sks_channel *ch, struct waiter *me)
{
	if (send_or_queue(ch, me->item, me) == 0)
		return 0;
	if (errno != EAGAIN || sks_completion_wait_in_list(&me->completion, &ch->lock.mutex) == -1)
		return -1;
	if (me->served)
		return 0;
	errno = EPIPE;
	return -1;
}

static int
wait_to_recv(struct sks_channel *ch, struct waiter *me)
{
	int rc = recv_or_queue(ch, me->item, me);

	if (rc != -1)
		return rc;
	rc = sks_completion_wait_in_list(&me->completion, &ch->lock.mutex);
	return rc == -1 ? -1 : me->served;
}

/* Flushes, and prepares to wait. 0, or -1. */
static int
begin(struct waiter *me, void *item)
{
	sks_flush_dirty();
	me->item = item;
	me->served = 0;
	return sks_completion_init(&me->completion);
}

int
sks_channel_send(struct sks_channel *ch, const void *item)
{
	int rc = send_or_queue(ch, item, NULL);
	struct waiter me;

	if (rc == 0 || errno != EAGAIN)
		return rc;
	if (begin(&me, (void *)item) == -1)
		return -1;
	rc = wait_to_send(ch, &me);
	sks_completion_end(&me.completion);
	return rc;
}

int
sks_channel_recv(struct sks_channel *ch, void *item)
{
	int rc = recv_or_queue(ch, item, NULL);
	struct waiter me;

	if (rc != -1)
		return rc;
	if (begin(&me, item) == -1)
		return -1;
	rc = wait_to_recv(ch, &me);
	sks_completion_end(&me.completion);
	return rc;
}

int
sks_channel_trysend(struct sks_channel *ch, const void *item)
{
	return send_or_queue(ch, item, NULL);
}

int
sks_channel_tryrecv(struct sks_channel *ch, void *item)
{
	return recv_or_queue(ch, item, NULL);
}

void
sks_channel_close(struct sks_channel *ch)
{
	struct sks_list claimed, *first;

	sks_list_init(&claimed);
	lock(ch);
	ch->closed = 1;
	sks_list_move_all(&claimed, &ch->senders);
	sks_list_move_all(&claimed, &ch->receivers);
	sks_list_each (link, &claimed)
		sks_list_entry(link, struct sks_completion, link)->claimed = 1;
	pthread_mutex_unlock(&ch->lock.mutex);
	while ((first = sks_list_pop(&claimed)) != NULL)
		sks_complete(sks_list_entry(first, struct sks_completion, link));
}
