/* SPDX-License-Identifier: MIT */
/*
 * query.c - names are looked up without stopping the loop.
 *
 * The C library's resolver blocks, and nothing but its own time-outs ends it. So it is asked on
 * a helper thread, and only the task that waits has a deadline. The query is memory of its
 * own: whichever comes second, the answer or the end of the wait, frees it.
 *
 * libevent's evdns was one alternative. It needs 15 s for a silent server, fails if only the
 * first of two servers is dead, and knows nothing of nsswitch. getaddrinfo_a(3) was another. It
 * takes a thread for each look-up as well, without a bound, and refuses to cancel one that runs.
 */
#include "socket/query.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"
#include "loop/completion.h"
#include "loop/wait.h"

#include <errno.h>
#include <string.h>

enum { WAITED_FOR, ANSWERED, ABANDONED };

struct sks_query *
sks_query_new(void (*ask)(struct sks_query *), const char *host, const char *service)
{
	size_t host_size = host != NULL ? strlen(host) + 1 : 0;
	size_t service_size = service != NULL ? strlen(service) + 1 : 0;
	struct sks_query *q = sks_sys_calloc(1, sizeof(*q) + host_size + service_size);
	char *text = (char *)(q + 1);

	if (q == NULL)
		return NULL;
	q->ask = ask;
	q->hints.ai_family = AF_UNSPEC;
	if (host != NULL)
		q->host = memcpy(text, host, host_size);
	if (service != NULL)
		q->service = memcpy(text + host_size, service, service_size);
	return q;
}

static void
ask(struct sks_query *q)
{
	errno = 0;
	q->ask(q);
	q->error = errno;
}

void
sks_query_free(struct sks_query *q)
{
	if (q->list != NULL)
		freeaddrinfo(q->list);
	sks_sys_free(q);
}

static void
run_work(struct sks_work *work)
{
	ask(sks_container_of(work, struct sks_query, work));
}

static void
work_done(struct sks_work *work)
{
	struct sks_query *q = sks_container_of(work, struct sks_query, work);

	if (atomic_exchange(&q->state, ANSWERED) == ABANDONED)
		sks_query_free(q);
	else
		sks_complete(q->completion);
}

/* Returns as sks_query_ask(). */
static int
wait_for_answer(struct sks_query *q, int64_t deadline)
{
	if (sks_completion_wait(q->completion, deadline) == 0)
		return 0;
	/* In this order: as soon as it is ABANDONED, the helper thread may free it. */
	sks_thread_pool_detach(&sks_helpers_resolve, &q->work);
	if (atomic_exchange(&q->state, ABANDONED) == WAITED_FOR)
		return -1;
	sks_completion_wait_certain(q->completion);
	return 0;
}

/* Asks on a helper thread. Returns as sks_query_ask(). */
static int
ask_helper(struct sks_query *q, int64_t deadline)
{
	struct sks_completion completion;
	int rc = -1, error;

	q->work.run = run_work;
	q->work.done = work_done;
	q->completion = &completion;
	atomic_init(&q->state, WAITED_FOR);
	if (sks_completion_init(&completion) == -1 ||
	    sks_thread_pool_submit(&sks_helpers_resolve, &q->work) == -1) {
		error = errno;
		sks_query_free(q);
		errno = error;
	} else
		rc = wait_for_answer(q, deadline);
	sks_completion_end(&completion);
	return rc;
}

int
sks_query_ask(struct sks_query *q, int64_t deadline)
{
	struct sks_task *task = sks_task_current();
	int rc;

	if (sks_clock_left(deadline) == 0) {
		sks_query_free(q);
		errno = ETIMEDOUT;
		return -1;
	}
	if (task->fiber != NULL) /* its loop is a user of the helper threads */
		return ask_helper(q, deadline);
	if (deadline == SKS_NEVER && task->deadline == SKS_NEVER && task->cancel == NULL) {
		ask(q);
		return 0;
	}
	sks_helpers_retain();
	rc = ask_helper(q, deadline);
	sks_helpers_release();
	return rc;
}

