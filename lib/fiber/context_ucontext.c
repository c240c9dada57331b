/* SPDX-License-Identifier: MIT */
/*
 * context_ucontext.c - the switch, for machines without one of their own.
 *
 * Some twenty times slower than the others, because swapcontext(3) asks the
 * kernel for the signal mask each time. (Which makes the mask the fiber's,
 * where elsewhere it is the thread's: nobody may count on either.)
 *
 * A stopped context points to a struct in the frame that stopped, so a fiber
 * needs no room for it beside its stack. Which floating point state
 * swapcontext keeps, and where, is the machine's affair; fenv(3) says it in a
 * way that is the same everywhere, so a context that is to start afresh
 * carries the one it has to put on. (fenv(3) is in libm on some systems.)
 */
#include "fiber/context.h"

#if SKS_CONTEXT_UCONTEXT

#include <fenv.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

struct context {
	ucontext_t uc;
	fenv_t fp;
	int put_on_fp;
	void (*entry)(void *);
	void *arg;
};

_Static_assert(sizeof(struct context) + 64 <= SKS_CONTEXT_ROOM, "a context needs more room");

/* Not for AddressSanitizer, which might move `here` off the stack. */
__attribute__((no_sanitize_address)) void
sks_context_switch(void **save_sp, void *to_sp)
{
	struct context here, *to = to_sp;

	here.put_on_fp = 0;
	*save_sp = &here;
	if (swapcontext(&here.uc, &to->uc) == -1)
		abort(); /* no machine that has it can fail here */
	if (here.put_on_fp)
		(void)fesetenv(&here.fp);
}

/* makecontext(3) only promises to pass ints. */
static void
start(unsigned int high, unsigned int low)
{
	struct context *c = (struct context *)(uintptr_t)((uint64_t)high << 32 | low);

	(void)fesetenv(&c->fp);
	c->entry(c->arg);
	abort();
}

void *
sks_context_make(void *low, void *top, void (*entry)(void *), void *arg)
{
	uintptr_t at = ((uintptr_t)top - sizeof(struct context)) & ~(uintptr_t)63;
	struct context *c = (struct context *)at;
	uint64_t wide = at;

	c->entry = entry;
	c->arg = arg;
	if (getcontext(&c->uc) == -1)
		abort();
	(void)fegetenv(&c->fp);
	c->uc.uc_link = NULL;
	c->uc.uc_stack.ss_sp = low;
	c->uc.uc_stack.ss_size = (size_t)(at - (uintptr_t)low);
	makecontext(&c->uc, (void (*)(void))start, 2, (unsigned int)(wide >> 32),
	    (unsigned int)wide);
	return c;
}

void
sks_context_adopt_fp(void *sp)
{
	struct context *c = sp;

	(void)fegetenv(&c->fp);
	c->put_on_fp = 1;
}

#endif
