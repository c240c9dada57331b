/* SPDX-License-Identifier: MIT */
/*
 * Groups of requests, and posts to all of a group.
 *
 * The lock of the group is held while a post goes into one outbox after the other, which
 * waits for nothing. So no member ends meanwhile, and all members get all posts in the same
 * order.
 */
#include "base/sys.h"
#include "server/call.h"
#include "server/membership.h"
#include "server/post.h"
#include "server/process_child.h"

#include <errno.h>
#include <socketserver/group.h>

struct sks_group *
sks_group_new(void)
{
	struct sks_group *group = sks_sys_calloc(1, sizeof(*group));

	if (group == NULL)
		return NULL;
	sks_group_begin(group);
	atomic_init(&group->users, 1);
	return group;
}

void
sks_group_free(struct sks_group *group)
{
	if (group == NULL || sks_group_lock(group) == -1)
		return;
	group->is_freed = 1;
	group->n = group->members = 0;
	pthread_mutex_unlock(&group->lock);
	sks_group_release(group);
}

static int
has_no_others(void)
{
	if (!sks_process_child_is_here())
		return 0;
	errno = ENOTSUP;
	return 1;
}

int
sks_group_join(struct sks_group *group, struct sks_request *req)
{
	struct sks_call *call = sks_call_of(req);

	if (call->datagram ||
	    (req->server != NULL && call->service->options.mode == SKS_PROCESSES)) {
		errno = ENOTSUP;
		return -1;
	}
	if (call->state == SKS_CALL_FINISHING) {
		errno = ENOTCONN;
		return -1;
	}
	return sks_membership_begin(group, &call->memberships, req);
}

int
sks_group_leave(struct sks_group *group, struct sks_request *req)
{
	return sks_membership_end(group, &sks_call_of(req)->memberships);
}

size_t
sks_group_count(struct sks_group *group)
{
	size_t members;

	if (sks_group_lock(group) == -1)
		return 0;
	members = group->members;
	pthread_mutex_unlock(&group->lock);
	return members;
}

/* -- posts -- */

/* Under the lock. How many members take the block. */
static int
post_to_members(struct sks_group *group, struct sks_block *block, const struct sks_request *except)
{
	int taken = 0;
	size_t i;

	for (i = 0; i < group->n; i++) {
		struct sks_membership *m = group->entries[i].member;

		if (m != NULL && m->req != except && sks_post_block(m->req, block) == 0)
			taken++;
	}
	return taken;
}

int
sks_group_post(struct sks_group *group, const void *buf, size_t n,
    const struct sks_request *except)
{
	struct sks_block *block;
	int taken = -1;

	if (has_no_others())
		return -1;
	block = sks_block_new(buf, n, 0);
	if (block == NULL)
		return -1;
	if (sks_group_lock(group) == 0) {
		taken = post_to_members(group, block, except);
		pthread_mutex_unlock(&group->lock);
	}
	sks_block_release(block);
	return taken;
}

/* -- walks -- */

/* Under the lock: the first entry whose number is greater. */
static size_t
entry_after(const struct sks_group *group, uint64_t number)
{
	size_t from = 0, to = group->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (group->entries[middle].number > number)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

/*
 * Under the lock. Returns what the last visit has returned; *position is the number of the member
 * that was visited last.
 */
static int
visit_members(struct sks_group *group, uint64_t *position,
    int (*visit)(struct sks_request *member, void *arg), void *arg)
{
	size_t i;
	int rc = 0;

	for (i = entry_after(group, *position); i < group->n && rc == 0; i++) {
		if (group->entries[i].member == NULL)
			continue;
		*position = group->entries[i].number;
		rc = visit(group->entries[i].member->req, arg);
	}
	return rc;
}

int
sks_group_each(struct sks_group *group, uint64_t *position,
    int (*visit)(struct sks_request *member, void *arg), void *arg)
{
	uint64_t begin = 0;
	int rc;

	if (has_no_others() || sks_group_lock(group) == -1)
		return -1;
	rc = visit_members(group, position != NULL ? position : &begin, visit, arg);
	pthread_mutex_unlock(&group->lock);
	return rc;
}
