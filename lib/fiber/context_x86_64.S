/* SPDX-License-Identifier: MIT */
/*
 * context_x86_64.S - the switch, for the System V ABI of x86-64.
 *
 * A stopped context, upwards from its sp:
 *
 *      0  mxcsr (4 bytes), x87 control word (2), unused (2)
 *      8  r15, r14, r13, r12, rbx, rbp
 *     56  where to go on
 *
 * The control words are compared before they are loaded: loading is slow, and
 * they are nearly always the same. Of mxcsr only the control bits count, its
 * flags are not the callee's to keep.
 *
 * CET: the code is ready for indirect branch tracking and says so. It is not
 * ready for shadow stacks, as it leaves by a return address that this stack
 * was not called from, and so it does not claim to be: a program linked with
 * it runs without them. Each fiber would need a shadow stack of its own.
 */
#include "fiber/context.h"

#if !SKS_CONTEXT_UCONTEXT && defined(__x86_64__)

#if defined(__CET__) && (__CET__ & 1)
#define ENDBR endbr64
#else
#define ENDBR
#endif

#define FUNCTION(name) \
	.globl name; .hidden name; .type name, @function; .p2align 4; name:

	.text

/* void sks_context_switch(void **save_sp, void *to_sp) */
FUNCTION(sks_context_switch)
	.cfi_startproc
	ENDBR
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx

	/* The other stack has the same layout, so what CFI says stays true. */
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp

	xorl	(%rsp), %eax
	testl	$0xffc0, %eax
	jnz	3f
1:	cmpw	4(%rsp), %cx
	jne	4f
2:	addq	$8, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	/* Not ret: the processor would predict a return to the caller, always wrongly. */
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	notrack jmp *%rcx
	.cfi_restore_state
3:	ldmxcsr	(%rsp)
	jmp	1b
4:	fldcw	4(%rsp)
	jmp	2b
	.cfi_endproc
	.size	sks_context_switch, . - sks_context_switch

/*
 * Where a made context begins: entry in r13, its argument in r12. Nobody
 * called this, and rip undefined is how a debugger is told to stop here. The
 * nop is never run: of a return address, debuggers look up the byte before.
 */
	.type	sks_context_start, @function
	.p2align 4
	.cfi_startproc
	.cfi_undefined %rip
	nop
sks_context_start:
	ENDBR
	movq	%r12, %rdi
	call	*%r13
	ud2
	.cfi_endproc
	.size	sks_context_start, . - sks_context_start

/* void *sks_context_make(void *low, void *top, void (*entry)(void *), void *arg) */
FUNCTION(sks_context_make)
	.cfi_startproc
	ENDBR
	andq	$-16, %rsi
	leaq	-80(%rsi), %rax
	xorl	%edi, %edi
	movq	%rdi, (%rax)
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	movq	%rdi, 8(%rax)
	movq	%rdi, 16(%rax)
	movq	%rdx, 24(%rax)
	movq	%rcx, 32(%rax)
	movq	%rdi, 40(%rax)
	movq	%rdi, 48(%rax)		/* rbp 0: the end of a chain of frame pointers */
	leaq	sks_context_start(%rip), %rcx
	movq	%rcx, 56(%rax)
	movq	%rdi, 64(%rax)		/* no return address */
	movq	%rdi, 72(%rax)
	ret
	.cfi_endproc
	.size	sks_context_make, . - sks_context_make

/* void sks_context_adopt_fp(void *sp) */
FUNCTION(sks_context_adopt_fp)
	.cfi_startproc
	ENDBR
	stmxcsr	(%rdi)
	fnstcw	4(%rdi)
	ret
	.cfi_endproc
	.size	sks_context_adopt_fp, . - sks_context_adopt_fp

#if defined(__CET__) && (__CET__ & 1)
	.section .note.gnu.property, "a", @note
	.p2align 3
	.long	4, 16, 5		/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0	/* GNU_PROPERTY_X86_FEATURE_1_AND: IBT, not SHSTK */
#endif

#endif

	.section .note.GNU-stack, "", %progbits
