/* SPDX-License-Identifier: MIT */
/*
 * fault_rules.h - the inside of faults.h: what a rule is, and how a call asks whether one strikes
 * it. The rules are read in fault_rules.c, kept and asked in faults.c, and obeyed in fault_calls.c.
 */
#ifndef SKS_TEST_FAULT_RULES_H
#define SKS_TEST_FAULT_RULES_H

#include "faults.h"

#include "base/sys.h"

#include <stddef.h>
#include <stdint.h>

/* Calls of others that lib/ announces with sks_sys_fault_point(). */
#define FAULT_POINTS(X) \
	X(open) X(fcntl) X(setrlimit) X(dlopen) X(dlsym) X(event_add) X(gethostbyaddr_r)

enum fault_call {
	CALL_none, /* so that an empty slot is all zeroes */
	CALL_malloc,
#define X(type, failed, name, params, call) CALL_##name,
	SKS_SYS_CALLS(X) SKS_SYS_OWN_CALLS(X)
#undef X
#define X(name) CALL_##name,
	FAULT_POINTS(X)
#undef X
	CALLS
};

/* getaddrinfo's codes are negative; in a rule they stand above all errno values. */
#define GAI(code) (4096 - (code))
#define IS_GAI(error) ((error) >= 4096)

enum { WHEN_ONCE, WHEN_FROM, WHEN_EACH };

struct rule {
	uint8_t call; /* enum fault_call; CALL_none: the slot is free */
	uint8_t when : 2;
	uint8_t cuts : 1; /* value is a number of bytes, not an error */
	uint16_t value;
	uint32_t k;
};

_Static_assert(CALLS <= UINT8_MAX, "a call fits struct rule");
_Static_assert(sizeof(struct rule) == 8, "a rule is one atomic word");

/* The call of that name, text[0..n); CALL_none: there is none. */
enum fault_call fault_call_named(const char *text, size_t n);

/* Reads the rule text[0..n). 0, or -1: it is none. */
int fault_rule_read(struct rule *rule, const char *text, size_t n);

/*
 * Counts a use of the call. Returns the error that it must fail with, or 0; then *most, where not
 * NULL, is the number of bytes that it may move.
 */
int fault_ask(enum fault_call call, size_t *most);

/*
 * Does what fault_ask() does, but sets errno and returns -1 for a failure; 0: the call may go on.
 */
int fault_refuse(enum fault_call call, size_t *most);

/* A call is about to move fewer bytes than it was asked to. */
void fault_count_hit(void);

#endif
