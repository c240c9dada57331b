/* SPDX-License-Identifier: MIT */
#include "server/membership.h"

#include "base/fork.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>

#define ROOM_LEAST 16
#define GAPS_LEAST 16 /* to close fewer gaps is not worth the work */

static pthread_mutex_t copies = PTHREAD_MUTEX_INITIALIZER; /* while a copy is begun */

/* A call from within a visit fails, and does not stop its thread for ever. */
static void
make_lock(struct sks_group *group)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&group->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	atomic_store(&group->forks, sks_forks);
}

void
sks_group_begin(struct sks_group *group)
{
	sks_fork_watch();
	sks_fork_guard(&copies);
	make_lock(group);
}

static int
is_copy(struct sks_group *group)
{
	return atomic_load(&group->forks) != sks_forks;
}

/* The memory of the entries is lost: a thread of the parent may have been about to move it. */
static void
begin_copy(struct sks_group *group)
{
	pthread_mutex_lock(&copies);
	if (is_copy(group)) {
		group->entries = NULL;
		group->n = group->room = group->members = 0;
		make_lock(group);
	}
	pthread_mutex_unlock(&copies);
}

int
sks_group_lock(struct sks_group *group)
{
	int error;

	if (is_copy(group))
		begin_copy(group);
	error = pthread_mutex_lock(&group->lock);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

void
sks_group_release(struct sks_group *group)
{
	if (atomic_fetch_sub(&group->users, 1) > 1)
		return;
	pthread_mutex_destroy(&group->lock);
	sks_sys_free(group->entries);
	sks_sys_free(group);
}

/* -- the entries of a group, under its lock -- */

/* Makes room for one more. 0, or -1: ENOMEM. */
static int
reserve(struct sks_group *group)
{
	size_t room = sks_max(2 * group->room, ROOM_LEAST);
	struct sks_group_entry *entries;

	if (group->n < group->room)
		return 0;
	entries = sks_sys_realloc(group->entries, room * sizeof(*entries));
	if (entries == NULL)
		return -1;
	group->entries = entries;
	group->room = room;
	return 0;
}

static void
enter(struct sks_group *group, struct sks_membership *m)
{
	m->forks = atomic_load(&group->forks);
	m->at = group->n++;
	group->entries[m->at] = (struct sks_group_entry){ ++group->last_number, m };
	group->members++;
}

static void
close_gaps(struct sks_group *group)
{
	size_t i, n = 0;

	for (i = 0; i < group->n; i++) {
		if (group->entries[i].member == NULL)
			continue;
		group->entries[n] = group->entries[i];
		group->entries[n].member->at = n;
		n++;
	}
	group->n = n;
}

static void
remove_entry(struct sks_group *group, const struct sks_membership *m)
{
	group->entries[m->at].member = NULL;
	group->members--;
	if (group->n - group->members > sks_max(group->members, GAPS_LEAST))
		close_gaps(group);
}

/* -- the memberships of a request -- */

/*
 * Returns the place of the pointer to the request's membership of this group. That pointer is NULL
 * where there is no such membership.
 */
static struct sks_membership **
find(struct sks_memberships *of, const struct sks_group *group)
{
	struct sks_membership **at = &of->first;

	while (*at != NULL && (*at)->group != group)
		at = &(*at)->next;
	return at;
}

/* Ends a membership that is not in its request's list any more. Releases the lock of the group. */
static void
end_membership(struct sks_membership *m)
{
	struct sks_group *group = m->group;

	if (!group->is_freed && m->forks == atomic_load(&group->forks))
		remove_entry(group, m);
	pthread_mutex_unlock(&group->lock);
	sks_sys_free(m);
	sks_group_release(group);
}

static int
is_of_freed_group(const struct sks_membership *m)
{
	int is_freed;

	if (sks_group_lock(m->group) == -1)
		return 0;
	is_freed = m->group->is_freed;
	pthread_mutex_unlock(&m->group->lock);
	return is_freed;
}

/* A request that stays for long must not gather memberships of groups that are freed. */
static void
end_those_of_freed_groups(struct sks_memberships *of)
{
	struct sks_membership **at = &of->first;

	while (*at != NULL) {
		struct sks_membership *m = *at;

		if (is_of_freed_group(m)) {
			*at = m->next;
			sks_group_release(m->group);
			sks_sys_free(m);
		} else
			at = &m->next;
	}
}

int
sks_membership_begin(struct sks_group *group, struct sks_memberships *of,
    struct sks_request *req)
{
	struct sks_membership *m;
	int rc;

	end_those_of_freed_groups(of);
	if (*find(of, group) != NULL)
		return 0;
	m = sks_sys_malloc(sizeof(*m));
	if (m == NULL)
		return -1;
	*m = (struct sks_membership){ .next = of->first, .group = group, .req = req };
	if (sks_group_lock(group) == -1) {
		sks_sys_free(m);
		return -1;
	}
	rc = reserve(group);
	if (rc == 0) {
		enter(group, m);
		atomic_fetch_add(&group->users, 1);
	}
	pthread_mutex_unlock(&group->lock);
	if (rc == -1) {
		sks_sys_free(m);
		errno = ENOMEM;
		return -1;
	}
	of->first = m;
	return 0;
}

int
sks_membership_end(struct sks_group *group, struct sks_memberships *of)
{
	struct sks_membership **at = find(of, group), *m = *at;

	if (m == NULL) {
		errno = ENOENT;
		return -1;
	}
	if (sks_group_lock(group) == -1)
		return -1;
	*at = m->next;
	end_membership(m);
	return 0;
}

void
sks_memberships_end(struct sks_memberships *of)
{
	struct sks_membership *m;

	while ((m = of->first) != NULL) {
		of->first = m->next;
		(void)sks_group_lock(m->group); /* it cannot fail: no request ends within a visit */
		end_membership(m);
	}
}
