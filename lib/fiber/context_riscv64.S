/* SPDX-License-Identifier: MIT */
/*
 * context_riscv64.S - the switch, for RISC-V with 64-bit registers and double floats (LP64D).
 *
 * A stopped context, upwards from its sp:
 *
 *      0  rounding mode
 *      8  fs11 ... fs0
 *    104  s11 ... s1
 *    192  s0 (frame pointer), ra (where to go on)
 *
 * Frame pointer and return address lie together at the highest address, as in
 * every frame of this machine, so that a walk along frame pointers works. The
 * rounding mode is all that a program controls of floating point: there are no
 * traps. It is compared before it is written, which may drain the pipeline, and
 * is nearly always the same.
 *
 * Of vector registers none is a callee's to keep. The code claims neither landing
 * pads nor shadow stacks (Zicfilp, Zicfiss): each fiber would need a shadow stack
 * of its own.
 */
#include "fiber/context.h"

#if !SKS_CONTEXT_UCONTEXT && SKS_CONTEXT_RISCV64

#define FUNCTION(name) \
	.globl name; .hidden name; .type name, @function; .p2align 2; name:

	.text

/* void sks_context_switch(void **save_sp, void *to_sp) */
FUNCTION(sks_context_switch)
	.cfi_startproc
	addi	sp, sp, -208
	.cfi_adjust_cfa_offset 208
	sd	ra, 200(sp)
	.cfi_rel_offset ra, 200
	sd	s0, 192(sp)
	.cfi_rel_offset s0, 192
	sd	s1, 184(sp)
	.cfi_rel_offset s1, 184
	sd	s2, 176(sp)
	.cfi_rel_offset s2, 176
	sd	s3, 168(sp)
	.cfi_rel_offset s3, 168
	sd	s4, 160(sp)
	.cfi_rel_offset s4, 160
	sd	s5, 152(sp)
	.cfi_rel_offset s5, 152
	sd	s6, 144(sp)
	.cfi_rel_offset s6, 144
	sd	s7, 136(sp)
	.cfi_rel_offset s7, 136
	sd	s8, 128(sp)
	.cfi_rel_offset s8, 128
	sd	s9, 120(sp)
	.cfi_rel_offset s9, 120
	sd	s10, 112(sp)
	.cfi_rel_offset s10, 112
	sd	s11, 104(sp)
	.cfi_rel_offset s11, 104
	fsd	fs0, 96(sp)
	.cfi_rel_offset fs0, 96
	fsd	fs1, 88(sp)
	.cfi_rel_offset fs1, 88
	fsd	fs2, 80(sp)
	.cfi_rel_offset fs2, 80
	fsd	fs3, 72(sp)
	.cfi_rel_offset fs3, 72
	fsd	fs4, 64(sp)
	.cfi_rel_offset fs4, 64
	fsd	fs5, 56(sp)
	.cfi_rel_offset fs5, 56
	fsd	fs6, 48(sp)
	.cfi_rel_offset fs6, 48
	fsd	fs7, 40(sp)
	.cfi_rel_offset fs7, 40
	fsd	fs8, 32(sp)
	.cfi_rel_offset fs8, 32
	fsd	fs9, 24(sp)
	.cfi_rel_offset fs9, 24
	fsd	fs10, 16(sp)
	.cfi_rel_offset fs10, 16
	fsd	fs11, 8(sp)
	.cfi_rel_offset fs11, 8
	frrm	t0
	sd	t0, 0(sp)

	/* The other stack has the same layout, so what CFI says stays true. */
	sd	sp, 0(a0)
	mv	sp, a1

	ld	t1, 0(sp)
	beq	t0, t1, 1f
	fsrm	t1
1:	fld	fs11, 8(sp)
	fld	fs10, 16(sp)
	fld	fs9, 24(sp)
	fld	fs8, 32(sp)
	fld	fs7, 40(sp)
	fld	fs6, 48(sp)
	fld	fs5, 56(sp)
	fld	fs4, 64(sp)
	fld	fs3, 72(sp)
	fld	fs2, 80(sp)
	fld	fs1, 88(sp)
	fld	fs0, 96(sp)
	ld	s11, 104(sp)
	ld	s10, 112(sp)
	ld	s9, 120(sp)
	ld	s8, 128(sp)
	ld	s7, 136(sp)
	ld	s6, 144(sp)
	ld	s5, 152(sp)
	ld	s4, 160(sp)
	ld	s3, 168(sp)
	ld	s2, 176(sp)
	ld	s1, 184(sp)
	ld	s0, 192(sp)
	ld	ra, 200(sp)
	addi	sp, sp, 208
	.cfi_adjust_cfa_offset -208
	.cfi_restore ra
	.cfi_restore s0
	.cfi_restore s1
	.cfi_restore s2
	.cfi_restore s3
	.cfi_restore s4
	.cfi_restore s5
	.cfi_restore s6
	.cfi_restore s7
	.cfi_restore s8
	.cfi_restore s9
	.cfi_restore s10
	.cfi_restore s11
	.cfi_restore fs0
	.cfi_restore fs1
	.cfi_restore fs2
	.cfi_restore fs3
	.cfi_restore fs4
	.cfi_restore fs5
	.cfi_restore fs6
	.cfi_restore fs7
	.cfi_restore fs8
	.cfi_restore fs9
	.cfi_restore fs10
	.cfi_restore fs11
	ret
	.cfi_endproc
	.size	sks_context_switch, . - sks_context_switch

/*
 * Where a made context begins: entry in s2, its argument in s1. Nobody called
 * this, and ra undefined is how a debugger is told to stop here. The nop is
 * never run: of a return address, debuggers look up the byte before.
 */
	.type	sks_context_start, @function
	.p2align 2
	.cfi_startproc
	.cfi_undefined ra
	nop
sks_context_start:
	mv	a0, s1
	jalr	s2
	unimp
	.cfi_endproc
	.size	sks_context_start, . - sks_context_start

/* void *sks_context_make(void *low, void *top, void (*entry)(void *), void *arg) */
FUNCTION(sks_context_make)
	.cfi_startproc
	andi	a1, a1, -16
	addi	a0, a1, -208
	lla	t0, sks_context_start
	frrm	t1
	sd	t1, 0(a0)
	sd	t0, 200(a0)
	sd	a3, 184(a0)
	sd	a2, 176(a0)
	sd	zero, 192(a0)		/* s0 0: the end of a chain of frames */
	sd	zero, 168(a0)
	sd	zero, 160(a0)
	sd	zero, 152(a0)
	sd	zero, 144(a0)
	sd	zero, 136(a0)
	sd	zero, 128(a0)
	sd	zero, 120(a0)
	sd	zero, 112(a0)
	sd	zero, 104(a0)
	sd	zero, 96(a0)
	sd	zero, 88(a0)
	sd	zero, 80(a0)
	sd	zero, 72(a0)
	sd	zero, 64(a0)
	sd	zero, 56(a0)
	sd	zero, 48(a0)
	sd	zero, 40(a0)
	sd	zero, 32(a0)
	sd	zero, 24(a0)
	sd	zero, 16(a0)
	sd	zero, 8(a0)
	ret
	.cfi_endproc
	.size	sks_context_make, . - sks_context_make

/* void sks_context_adopt_fp(void *sp) */
FUNCTION(sks_context_adopt_fp)
	.cfi_startproc
	frrm	t0
	sd	t0, 0(a0)
	ret
	.cfi_endproc
	.size	sks_context_adopt_fp, . - sks_context_adopt_fp

#endif

	.section .note.GNU-stack, "", @progbits
