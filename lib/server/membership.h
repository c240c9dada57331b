/* SPDX-License-Identifier: MIT */
/*
 * membership.h - which requests are in which group.
 *
 * A group has its members in the order in which they have joined, each with a number that
 * grows, so that a walk goes on where it was when members come and go. A member that leaves
 * makes a gap; when more than half of the entries are gaps they are closed. So to join and to
 * leave costs the same however many members there are. A list was the alternative: a walk that
 * is interrupted would need a mark in it, and a post would fetch its members from all over
 * memory.
 *
 * A request and a group may end in any order, on different threads. So each membership is
 * a user of the group, whose memory goes with the last one, and belongs to its request,
 * which ends it. The lock of the group guards its entries, and is never held across a wait.
 *
 * In a child process all members are the parent's, and a thread of the parent may have had the lock
 * when the process was forked. So whoever locks the copy first makes the lock anew, and the copy
 * has no members.
 */
#ifndef SKS_SERVER_MEMBERSHIP_H
#define SKS_SERVER_MEMBERSHIP_H

#include <pthread.h>
#include <socketserver/request.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct sks_membership;

struct sks_group_entry {
	uint64_t number;
	struct sks_membership *member; /* NULL: a gap, since the member has left */
};

struct sks_group {
	atomic_int users;               /* memberships, and its owner until sks_group_free() */
	atomic_uint forks;              /* sks_forks in the process that the lock was made in */
	pthread_mutex_t lock;           /* guards all members below */
	int is_freed;
	struct sks_group_entry *entries; /* in the order of their numbers */
	size_t n, room;                 /* how many entries there are, and may be in this memory */
	size_t members;                 /* entries that are no gaps */
	uint64_t last_number;
};

struct sks_membership {
	struct sks_membership *next; /* the next one of the same request */
	struct sks_group *group;
	struct sks_request *req;
	unsigned int forks;          /* those of the group, when it joined */
	size_t at;                   /* the index of its entry, until the group is freed */
};

/*
 * The memberships of one request. Only its task changes them, or its loop while no task has the
 * request.
 */
struct sks_memberships {
	struct sks_membership *first;
};

/* Makes the lock of a new group. */
void sks_group_begin(struct sks_group *group);

/* Locks a group. 0, or -1: EDEADLK, as this thread has it locked. */
int sks_group_lock(struct sks_group *group);

/* Drops one user of a group; the last one frees it. */
void sks_group_release(struct sks_group *group);

/* The request joins. 0, also when it is a member already; or -1: EDEADLK, ENOMEM. */
int sks_membership_begin(struct sks_group *group, struct sks_memberships *of,
    struct sks_request *req);

/* The request leaves. 0, or -1: ENOENT, as it is no member; EDEADLK. */
int sks_membership_end(struct sks_group *group, struct sks_memberships *of);

/* The request leaves all groups. */
void sks_memberships_end(struct sks_memberships *of);

#endif
