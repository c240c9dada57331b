/* SPDX-License-Identifier: MIT */
/*
 * stack.h - memory to run fibers on, with a guard below each stack.
 *
 * One struct sks_stacks makes stacks of one size. A stack is made once and
 * stays until all are freed; keeping those that are not in use is the fiber
 * pool's affair, as a fiber outlives its runs together with its stack.
 */
#ifndef SKS_FIBER_STACK_H
#define SKS_FIBER_STACK_H

#include <stdatomic.h>
#include <stddef.h>

struct sks_arena;

struct sks_stacks {
	size_t size;  /* usable bytes of each stack, above its guard */
	size_t guard; /* bytes of the guard below it, which are not counted in size */
	atomic_size_t made; /* stacks there are, in use or not; other threads may read it */
	struct sks_arena *arenas;
};

/* Stacks of size bytes, rounded up to pages, and none yet. -1: ENOMEM, when size is absurd. */
int sks_stacks_init(struct sks_stacks *stacks, size_t size);

/* Gives all of them back. Fine after a failed init. */
void sks_stacks_free(struct sks_stacks *stacks);

/*
 * The lowest byte of a new stack, which is aligned to pages and reads as
 * zeros. NULL: ENOMEM, when there is no memory or the system's limit of
 * mappings is reached; it may work later.
 */
char *sks_stack_new(struct sks_stacks *stacks);

/*
 * Gives the system the memory of whole pages of a stopped stack below sp, its
 * stack pointer. They read as zeros then. The caller does not learn whether it
 * worked: it is a courtesy, and locked memory cannot be given back.
 */
void sks_stack_trim(char *low, const void *sp);

/* Returns 1 when addr is in the guard of the stack at low. A signal handler may call it. */
int sks_stack_guards(const struct sks_stacks *stacks, const char *low, const void *addr);

#endif
