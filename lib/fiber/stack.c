/* SPDX-License-Identifier: MIT */
/*
 * stack.c - memory to run fibers on, with a guard below each stack.
 *
 * Stacks are slots of arenas. A mapping for each stack would be simpler, but
 * the system limits mappings (65,530 by default), and neighbours that look
 * alike are one mapping to it, however many stacks they hold. Memory is
 * committed by touch: a slot costs addresses until something runs on it, and
 * then the pages that it reached. Huge pages would commit 2 MiB instead.
 *
 * The guard is what keeps that cheap or makes it dear. MADV_GUARD_INSTALL
 * (Linux 6.13) marks pages in the page tables and leaves the mapping whole.
 * mprotect(2) splits it, two mappings a stack, so that some 32,000 fibers are
 * the most; then making a stack fails and the server makes its clients wait.
 * Which one it is to be is asked anew for each stack rather than probed once:
 * the advice is refused for locked memory too, and mlockall(2) may come late.
 * A guard of 64 KiB also stops most frames of code that was compiled without
 * -fstack-clash-protection; it costs neither way more than one page would.
 */
#include "fiber/stack.h"

#include "base/sys.h"
#include "base/tools.h"

#include <errno.h>
#include <stdint.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; missing from older headers */
#endif

#define GUARD_SIZE (64 * 1024)
#define ARENA_SLOTS 64
#define IN_USE_BELOW_SP 512 /* red zone, or what swapcontext's caller has below its context */

struct sks_arena {
	struct sks_arena *next;
	char *base;
	size_t slots;
	size_t used;
};

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t
round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static size_t
slot_size(const struct sks_stacks *stacks)
{
	return stacks->guard + stacks->size;
}

/*
 * LeakSanitizer finds what only a stopped fiber points to. Above the guard:
 * it would read the guard, and crash. When it is given back, nothing that
 * AddressSanitizer knew of frames may hold for who gets the addresses next.
 */
static void
announce_stack(char *low, size_t size)
{
	if (sks_has_lsan())
		__lsan_register_root_region(low, size);
}

static void
renounce_stack(char *low, size_t size)
{
	if (sks_has_lsan())
		__lsan_unregister_root_region(low, size);
	if (sks_has_asan())
		__asan_unpoison_memory_region(low, size);
}

int
sks_stacks_init(struct sks_stacks *stacks, size_t size)
{
	size_t page = page_size();

	*stacks = (struct sks_stacks){ .guard = round_up(GUARD_SIZE, page) };
	if (size > SIZE_MAX / ARENA_SLOTS / 2) {
		errno = ENOMEM;
		return -1;
	}
	stacks->size = round_up(size, page);
	return 0;
}

static char *
slot_stack(const struct sks_stacks *stacks, const struct sks_arena *arena, size_t i)
{
	return arena->base + i * slot_size(stacks) + stacks->guard;
}

void
sks_stacks_free(struct sks_stacks *stacks)
{
	struct sks_arena *arena;
	size_t i;

	while ((arena = stacks->arenas) != NULL) {
		stacks->arenas = arena->next;
		for (i = 0; i < arena->used; i++)
			renounce_stack(slot_stack(stacks, arena, i), stacks->size);
		(void)sks_sys_munmap(arena->base, arena->slots * slot_size(stacks));
		sks_sys_free(arena);
	}
	stacks->made = 0;
}

/* Fewer slots when so many do not fit: stacks may be large, and addresses limited. */
static char *
map_slots(size_t slot, size_t *slots)
{
	char *base;

	for (*slots = ARENA_SLOTS; *slots >= 1; *slots /= 8) {
		base = sks_sys_mmap(NULL, *slots * slot, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (base != MAP_FAILED)
			return base;
	}
	return NULL;
}

static struct sks_arena *
arena_new(struct sks_stacks *stacks)
{
	struct sks_arena *arena;

	arena = sks_sys_calloc(1, sizeof(*arena));
	if (arena == NULL)
		return NULL;
	arena->base = map_slots(slot_size(stacks), &arena->slots);
	if (arena->base == NULL) {
		sks_sys_free(arena);
		return NULL;
	}
	/* EINVAL where there are no huge pages. */
	(void)sks_sys_madvise(arena->base, arena->slots * slot_size(stacks), MADV_NOHUGEPAGE);
	arena->next = stacks->arenas;
	stacks->arenas = arena;
	return arena;
}

static int
install_guard(char *at, size_t size)
{
	if (sks_sys_madvise(at, size, MADV_GUARD_INSTALL) == 0)
		return 0;
	return sks_sys_mprotect(at, size, PROT_NONE);
}

char *
sks_stack_new(struct sks_stacks *stacks)
{
	struct sks_arena *arena = stacks->arenas;
	char *low;

	if (arena == NULL || arena->used == arena->slots)
		arena = arena_new(stacks);
	if (arena == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	low = slot_stack(stacks, arena, arena->used);
	if (install_guard(low - stacks->guard, stacks->guard) == -1) {
		errno = ENOMEM;
		return NULL;
	}
	arena->used++;
	stacks->made++;
	announce_stack(low, stacks->size);
	return low;
}

void
sks_stack_trim(char *low, const void *sp)
{
	uintptr_t end = ((uintptr_t)sp - IN_USE_BELOW_SP) & ~(uintptr_t)(page_size() - 1);

	if (end > (uintptr_t)low)
		(void)sks_sys_madvise(low, (size_t)(end - (uintptr_t)low), MADV_DONTNEED);
}

int
sks_stack_guards(const struct sks_stacks *stacks, const char *low, const void *addr)
{
	return (uintptr_t)addr < (uintptr_t)low &&
	    (uintptr_t)addr >= (uintptr_t)low - stacks->guard;
}
