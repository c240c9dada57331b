/* SPDX-License-Identifier: MIT */
/*
 * faults.c - the table of faults, which the calls of base/sys.h ask (fault_calls.c). A release
 * build has nothing of this: there base/sys.h is the calls themselves.
 *
 * The table has no lock. Wrapped calls come from signal handlers (a shutdown
 * writes to an eventfd) and from children forked while another thread was in
 * the middle of one; a mutex would be left locked in both. So a rule is one
 * word of eight bytes, put into its slot and taken out of it whole, and all
 * that changes besides are counters. Nothing is allocated, since malloc is
 * among the things that fail here.
 *
 * A call that runs while its rule is added or cleared sees one or the other.
 */
#include "fault_rules.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES 64

static struct {
	_Atomic struct rule rule;
	atomic_ulong seen; /* calls of its kind since it was added */
} slots[RULES];

static atomic_int slots_used; /* slots from here on were never used: the fast path */
static atomic_ulong calls_made[CALLS];
static atomic_ulong hits;

/* ---- the table ---- */

static struct rule
rule_at(int i)
{
	return atomic_load(&slots[i].rule);
}

static int
add_rule(struct rule rule)
{
	struct rule empty;
	int i, used;

	for (i = 0; i < RULES; i++) {
		memset(&empty, 0, sizeof(empty));
		if (rule_at(i).call != CALL_none)
			continue;
		atomic_store(&slots[i].seen, 0);
		if (!atomic_compare_exchange_strong(&slots[i].rule, &empty, rule))
			continue;
		used = atomic_load(&slots_used);
		while (used <= i && !atomic_compare_exchange_weak(&slots_used, &used, i + 1))
			;
		return 0;
	}
	errno = ENOSPC;
	return -1;
}

/* How many rules there is room for. */
static int
room(void)
{
	int i, n = 0;

	for (i = 0; i < RULES; i++)
		n += rule_at(i).call == CALL_none;
	return n;
}

int
sks_fault(const char *rules)
{
	const char *text, *comma;
	struct rule rule;
	int n = 0, add;

	/* Once to judge, once to add: a wrong text changes nothing. */
	for (add = 0; add <= 1; add++) {
		for (text = rules; text != NULL; text = comma ? comma + 1 : NULL) {
			comma = strchr(text, ',');
			if (fault_rule_read(&rule, text, comma ? (size_t)(comma - text) : strlen(text)) == -1) {
				errno = EINVAL;
				return -1;
			}
			n++;
			if (add && add_rule(rule) == -1)
				return -1;
		}
		if (!add && n > room()) {
			errno = ENOSPC;
			return -1;
		}
	}
	return 0;
}

void
sks_fault_clear(void)
{
	struct rule empty;
	int i;

	memset(&empty, 0, sizeof(empty));
	for (i = 0; i < RULES; i++)
		atomic_store(&slots[i].rule, empty);
	atomic_store(&slots_used, 0);
	for (i = 0; i < CALLS; i++)
		atomic_store(&calls_made[i], 0);
	atomic_store(&hits, 0);
}

unsigned long
sks_fault_calls(const char *call)
{
	return atomic_load(&calls_made[fault_call_named(call, strlen(call))]);
}

unsigned long
sks_fault_hits(void)
{
	return atomic_load(&hits);
}

__attribute__((constructor)) static void
read_environment(void)
{
	const char *rules = getenv("SKS_FAULT");

	if (rules != NULL && rules[0] != '\0' && sks_fault(rules) == -1) {
		fprintf(stderr, "SKS_FAULT=%s: %s\n", rules, strerror(errno));
		_exit(EXIT_FAILURE);
	}
}

/* ---- asking ---- */

static int
strikes(struct rule rule, unsigned long seen)
{
	switch (rule.when) {
	case WHEN_ONCE:
		return seen == rule.k;
	case WHEN_FROM:
		return seen >= rule.k;
	default:
		return seen % rule.k == 0;
	}
}

int
fault_ask(enum fault_call call, size_t *most)
{
	struct rule rule;
	int i, error = 0, used;

	if (most != NULL)
		*most = SIZE_MAX;
	atomic_fetch_add(&calls_made[call], 1);
	used = atomic_load(&slots_used);
	/* To the end, also after a strike: each rule counts each call. */
	for (i = 0; i < used; i++) {
		rule = rule_at(i);
		if (rule.call != call || !strikes(rule, atomic_fetch_add(&slots[i].seen, 1) + 1))
			continue;
		if (!rule.cuts && error == 0)
			error = rule.value;
		else if (rule.cuts && most != NULL && *most == SIZE_MAX)
			*most = rule.value;
	}
	if (error != 0)
		atomic_fetch_add(&hits, 1);
	return error;
}

int
fault_refuse(enum fault_call call, size_t *most)
{
	int error = fault_ask(call, most);

	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

int
sks_sys_fault_point(const char *name)
{
	enum fault_call call = fault_call_named(name, strlen(name));

	if (call == CALL_none) {
		fprintf(stderr, "sks_sys_fault_point(\"%s\"): not in FAULT_POINTS of fault_rules.h\n", name);
		abort();
	}
	return fault_refuse(call, NULL);
}

void
fault_count_hit(void)
{
	atomic_fetch_add(&hits, 1);
}
