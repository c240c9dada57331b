/* SPDX-License-Identifier: MIT */
/*
 * context.h - leaving one stack and going on with another.
 *
 * A stopped context is one pointer into its own stack, where it left what a
 * function has to keep for its caller: registers, and how floating point
 * rounds and traps. Nothing else changes with a switch: signal mask, errno,
 * thread-local variables and sticky floating point flags are the thread's.
 *
 * context_x86_64.S, context_aarch64.S and context_riscv64.S are this in a few
 * instructions. context_ucontext.c is it for all other machines, and with
 * -DSKS_UCONTEXT (which all four must be given) for these three as well. Each of
 * the four is empty where it is not wanted, so a build may always compile all of
 * them.
 *
 * The caller that switches has to tell the sanitizers; see fiber.c.
 */
#ifndef SKS_FIBER_CONTEXT_H
#define SKS_FIBER_CONTEXT_H

#if defined(__riscv) && defined(__riscv_float_abi_double)
#define SKS_CONTEXT_RISCV64 (__riscv_xlen == 64)
#else
#define SKS_CONTEXT_RISCV64 0
#endif

#if defined(SKS_UCONTEXT) || defined(__ILP32__) || \
    !(defined(__x86_64__) || defined(__aarch64__) || SKS_CONTEXT_RISCV64)
#define SKS_CONTEXT_UCONTEXT 1
#else
#define SKS_CONTEXT_UCONTEXT 0
#endif

#ifndef __ASSEMBLER__

/*
 * Stops here: the context that can be gone on with is stored in *save_sp
 * before to_sp, a context stopped or made earlier, goes on. Returns when
 * somebody switches to *save_sp. A context may be gone on with once.
 */
void sks_context_switch(void **save_sp, void *to_sp);

#define SKS_CONTEXT_ROOM (SKS_CONTEXT_UCONTEXT ? 6144 : 208)

/*
 * A context that will call entry(arg) on the stack from low up to top, with
 * the floating point control of the caller. It takes at most SKS_CONTEXT_ROOM
 * bytes below top. entry must never return. No errors.
 */
void *sks_context_make(void *low, void *top, void (*entry)(void *), void *arg);

/* Gives the stopped context sp the floating point control of the caller. */
void sks_context_adopt_fp(void *sp);

#endif /* __ASSEMBLER__ */

#endif
