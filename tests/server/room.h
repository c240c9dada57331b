/* SPDX-License-Identifier: MIT */
/*
 * room.h - what the suites of posts share: a handler whose clients hear each other.
 */
#ifndef SKS_TEST_ROOM_H
#define SKS_TEST_ROOM_H

#include "acceptance.h"

/* The rule of request.h: a list that setup adds to and finish removes from, under one lock. */
#define ROOM 64
extern struct sks_mutex *lock;
extern struct sks_request *members[ROOM];
extern int nmembers;

/* Locks it; the caller unlocks it. */
void with_lock(void);

/* setup and finish of a handler whose connections are members. */
int join_room(struct sks_request *req);
void leave_room(struct sks_request *req);

/* Posts a line to all members but this one. -1: some did not take it, with the last errno. */
int say_to_others(struct sks_request *req, const char *line);

/*
 * Lines go to all others; "k" parks the connection, "d" ends it, "e..." is for the speaker alone.
 */
extern const struct sks_handler room;

/* The fixture: that of acceptance.h, and an empty room. */
void room_setup(void);
void room_teardown(void);

#endif
