/* SPDX-License-Identifier: MIT */
/*
 * torture.h - the scenarios of check_torture, and the fault that strikes while one is played.
 */
#ifndef SKS_TEST_TORTURE_H
#define SKS_TEST_TORTURE_H

#include "acceptance.h"
#include "rig.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct scenario {
	const char *name;
	const char *listen; /* NULL: `alone` plays it, without a server and a client */
	struct sks_handler handler;
	struct sks_options options;
	void (*client)(const char *address);
	int (*served)(const char *address); /* NULL: echoes */
	void (*alone)(void);
	int threads; /* whose own memory comes and goes as it likes */
	int hosted;  /* on the host's base */
};

extern const struct scenario scenarios[];
extern const int nscenarios;

/* In the child: whatever is wrong ends it with a word. */
#define must(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,     \
			    strerror(errno));                                                   \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

/* -- the fault -- */

extern const char *rule_now;  /* of the fault table; NULL: nothing fails */
extern int is_lasting;        /* it strikes again and again */
extern atomic_ulong struck;   /* how often it did */

/* From here on the rule holds; up to here. */
void arm(void);
void disarm(void);

/* Errors that a fault may well give; no others. */
int is_of_a_fault(int error);

/* -- handlers -- */

int write_much(struct sks_request *req);
int print_much(struct sks_request *req);
int copy_all(struct sks_request *req);
int use_all_reads(struct sks_request *req);
int sleep_and_echo(struct sks_request *req);
int use_tasks(struct sks_request *req);
int enter_room(struct sks_request *req);
int say_in_room(struct sks_request *req);
void leave_room(struct sks_request *req);
int count_setup(struct sks_request *req);
void count_finish(struct sks_request *req);

/* A room of those who are connected: what one says, all others get by a post. */
extern struct sks_mutex *room_lock;

/* setup and finish must pair off. */
extern atomic_int set_up, finished;

/* -- clients, who take whatever comes, and wait in vain only for a moment -- */

void talk(const char *address);
void talk_briefly(const char *address);
void only_read(const char *address);
void send_much(const char *address);
void long_line(const char *address);
void come_in_crowds(const char *address);
void say_nothing(const char *address);
void reset(const char *address);
void chat(const char *address);

/* -- and one who must be served -- */

int echoes(const char *address);
int is_greeted(const char *address);
int gets_much(const char *address);
int gets_the_print(const char *address);
int is_copied(const char *address);
int is_read(const char *address);

/* -- without a server -- */

/* For one process each. */
extern char unix_address[64], unix_dgram_address[64], abstract_address[64];
void name_addresses(void);

void serve_a_descriptor(void);
void handle_some_bytes(void);
void make_and_free(void);
void listen_everywhere(void);
void wait_for_a_request(void);
void lock_from_fibers(void);

#endif
