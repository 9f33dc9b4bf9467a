/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry points of traps and interrupts: 16 bytes of code for each vector, one after the other, from
 * interrupt_entries on. For traps without an error code the entry pushes a 0 in its place (Intel
 * SDM 3A, 6.13).
 */
    .section .text.interrupt_entries, "ax"
    .globl interrupt_entries
    .p2align 4
interrupt_entries:
    .set vector, 0
    .rept 32
    .p2align 4
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $0
    .endif
    push $vector
    jmp on_trap
    .set vector, vector + 1
    .endr
    .rept 16
    .p2align 4
    push $vector
    jmp on_interrupt
    .set vector, vector + 1
    .endr

/* Runs on a stack of its own and never returns. */
    .p2align 4
on_trap:
    cld
    mov %rsp, %rdi
    and $-16, %rsp
    call trap
    ud2

/*
 * Runs on a stack of its own, because the interrupted code may have a red zone; no interrupt arrives
 * meanwhile. The processor aligned it to 16 bytes and pushed five words. All registers that a C
 * function may change are saved, except vector registers.
 */
    .p2align 4
on_interrupt:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov 72(%rsp), %rdi
    cld
    sub $8, %rsp
    call interrupt
    add $8, %rsp
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $8, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
