/* SPDX-License-Identifier: MIT */
/*
 * context_aarch64.S - the switch, for AAPCS64.
 *
 * A stopped context, upwards from its sp:
 *
 *      0  x29 (frame pointer), x30 (where to go on)
 *     16  x19 ... x28
 *     96  d8 ... d15
 *    160  fpcr, unused (8)
 *
 * Frame pointer and link register lie together at the lowest address, as in
 * every frame of this machine, so that a walk along frame pointers works. The
 * control register is compared before it is written: writing drains the
 * pipeline, and it is nearly always the same.
 *
 * The code has landing pads for branch target identification and says so. It
 * claims neither return address signing nor guarded control stacks: x30 is
 * left unsigned on the fiber's stack, and each fiber would need a control
 * stack of its own.
 */
#include "fiber/context.h"

#if !SKS_CONTEXT_UCONTEXT && defined(__aarch64__)

#define BTI_C hint #34

#define FUNCTION(name) \
	.globl name; .hidden name; .type name, %function; .p2align 4; name:

	.text

/* void sks_context_switch(void **save_sp, void *to_sp) */
FUNCTION(sks_context_switch)
	.cfi_startproc
	BTI_C
	stp	x29, x30, [sp, #-176]!
	.cfi_adjust_cfa_offset 176
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x19, x20, [sp, #16]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	stp	x21, x22, [sp, #32]
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	stp	x23, x24, [sp, #48]
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	stp	x25, x26, [sp, #64]
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	stp	x27, x28, [sp, #80]
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	stp	d8, d9, [sp, #96]
	.cfi_rel_offset d8, 96
	.cfi_rel_offset d9, 104
	stp	d10, d11, [sp, #112]
	.cfi_rel_offset d10, 112
	.cfi_rel_offset d11, 120
	stp	d12, d13, [sp, #128]
	.cfi_rel_offset d12, 128
	.cfi_rel_offset d13, 136
	stp	d14, d15, [sp, #144]
	.cfi_rel_offset d14, 144
	.cfi_rel_offset d15, 152
	mrs	x9, fpcr
	str	x9, [sp, #160]

	/* The other stack has the same layout, so what CFI says stays true. */
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1

	ldr	x11, [sp, #160]
	cmp	x9, x11
	b.eq	1f
	msr	fpcr, x11
1:	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #176
	.cfi_adjust_cfa_offset -176
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	ret
	.cfi_endproc
	.size	sks_context_switch, . - sks_context_switch

/*
 * Where a made context begins: entry in x20, its argument in x19. Nobody
 * called this, and x30 undefined is how a debugger is told to stop here. The
 * nop is never run: of a return address, debuggers look up the byte before.
 * This is reached by ret, which needs no landing pad.
 */
	.type	sks_context_start, %function
	.p2align 4
	.cfi_startproc
	.cfi_undefined x30
	nop
sks_context_start:
	mov	x0, x19
	blr	x20
	brk	#1
	.cfi_endproc
	.size	sks_context_start, . - sks_context_start

/* void *sks_context_make(void *low, void *top, void (*entry)(void *), void *arg) */
FUNCTION(sks_context_make)
	.cfi_startproc
	BTI_C
	and	x1, x1, #-16
	sub	x0, x1, #192
	adrp	x9, sks_context_start
	add	x9, x9, :lo12:sks_context_start
	mrs	x10, fpcr
	stp	xzr, x9, [x0]		/* x29 0: the end of a chain of frames */
	stp	x3, x2, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	stp	xzr, xzr, [x0, #80]
	stp	xzr, xzr, [x0, #96]
	stp	xzr, xzr, [x0, #112]
	stp	xzr, xzr, [x0, #128]
	stp	xzr, xzr, [x0, #144]
	stp	x10, xzr, [x0, #160]
	stp	xzr, xzr, [x0, #176]
	ret
	.cfi_endproc
	.size	sks_context_make, . - sks_context_make

/* void sks_context_adopt_fp(void *sp) */
FUNCTION(sks_context_adopt_fp)
	.cfi_startproc
	BTI_C
	mrs	x9, fpcr
	str	x9, [x0, #160]
	ret
	.cfi_endproc
	.size	sks_context_adopt_fp, . - sks_context_adopt_fp

#if defined(__ARM_FEATURE_BTI_DEFAULT)
	.section .note.gnu.property, "a", %note
	.p2align 3
	.word	4, 16, 5		/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.word	0xc0000000, 4, 1, 0	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI */
#endif

#endif

	.section .note.GNU-stack, "", %progbits
