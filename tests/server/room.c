/* SPDX-License-Identifier: MIT */
#include "room.h"

#include <stdio.h>
#include <string.h>

/* The rule of request.h: a list that setup adds to and finish removes from, under one lock. */
struct sks_mutex *lock;
struct sks_request *members[ROOM];
int nmembers;

void
with_lock(void)
{
	ck_assert_int_eq(sks_mutex_lock(lock), 0);
}

int
join_room(struct sks_request *req)
{
	acc_setup_counted(req);
	if (sks_mutex_lock(lock) == -1)
		return -1;
	members[nmembers++] = req;
	return sks_mutex_unlock(lock);
}

void
leave_room(struct sks_request *req)
{
	int i;

	while (sks_mutex_lock(lock) == -1)
		sks_yield();
	for (i = 0; i < nmembers; i++)
		if (members[i] == req)
			members[i] = members[--nmembers];
	sks_mutex_unlock(lock);
	acc_finish(req);
}

int
say_to_others(struct sks_request *req, const char *line)
{
	int i, rc = 0;

	if (sks_mutex_lock(lock) == -1)
		return -1;
	for (i = 0; i < nmembers; i++)
		if (members[i] != req && sks_post(members[i], line, strlen(line)) == -1)
			rc = -1;
	sks_mutex_unlock(lock);
	return rc;
}

static int
be_in_room(struct sks_request *req)
{
	char line[128];
	char *got;

	atomic_fetch_add(&seen->handles, 1);
	while ((got = sks_gets(req->rfile)) != NULL) {
		if (got[0] == 'k')
			return SKS_KEEP;
		if (got[0] == 'd')
			return SKS_DONE;
		snprintf(line, sizeof(line), "%.100s\n", got);
		if (got[0] == 'e')
			sks_puts(req->wfile, line);
		else if (say_to_others(req, line) == -1)
			return -1;
	}
	return sks_end(req->rfile);
}

const struct sks_handler room = {
	.name = "room", .setup = join_room, .handle = be_in_room, .finish = leave_room,
};

void
room_setup(void)
{
	acc_setup();
	nmembers = 0;
	lock = sks_mutex_new();
	ck_assert_ptr_nonnull(lock);
}

void
room_teardown(void)
{
	sks_mutex_free(lock);
	acc_teardown();
}
