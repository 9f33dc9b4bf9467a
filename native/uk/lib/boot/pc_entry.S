/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The entry point of an image of the `pc` form, by the ABI of PVH (Xen, docs/misc/pvh.pandoc):
 * 32-bit protected mode, flat segments, no paging, interrupts off, ebx the address of the start
 * info. This code enters long mode (Intel SDM 3A, 9.8.5) on tables that map the first GiB in pages
 * of 2 MiB. The tables lie at the far end of the stack; memory_open() replaces them before the
 * stack grows so deep.
 */
#define NOTE_PHYS32_ENTRY 18

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_PG 0x80000000
#define CR4_PAE 0x020
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define ENTRY_PRESENT_WRITABLE 0x03
#define ENTRY_LARGE 0x83
#define LARGE_SHIFT 21
#define NB_ENTRIES 512
#define TABLE_BYTES 4096

    .section .note.pvh, "a", @note
    .p2align 2
    .long 4, 4, NOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pc_entry

    .section .text.pc_entry, "ax"
    .code32
    .globl pc_entry
pc_entry:
    cld
    movl $boot_root, %edi
    xorl %eax, %eax
    movl $(2 * TABLE_BYTES / 4), %ecx
    rep stosl
    movl $boot_pointers, boot_root
    orl $ENTRY_PRESENT_WRITABLE, boot_root
    movl $boot_large, boot_pointers
    orl $ENTRY_PRESENT_WRITABLE, boot_pointers
    xorl %ecx, %ecx
1:  movl $0, boot_large + 4(, %ecx, 8)
    movl %ecx, %eax
    shll $LARGE_SHIFT, %eax
    orl $ENTRY_LARGE, %eax
    movl %eax, boot_large(, %ecx, 8)
    incl %ecx
    cmpl $NB_ENTRIES, %ecx
    jne 1b

    movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
    movl %eax, %cr4
    movl $boot_root, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
    movl %eax, %cr0
    lgdt boot_table
    ljmp $8, $2f

    .code64
2:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $image_stack_end, %esp
    xorl %ebp, %ebp
    movl %ebx, %edi
    call pc_start
    ud2

    .section .rodata.boot_table, "a"
    .p2align 3
boot_segments:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_table:
    .word 23
    .long boot_segments

    .set boot_root, image_stack
    .set boot_pointers, image_stack + TABLE_BYTES
    .set boot_large, image_stack + 2 * TABLE_BYTES

    .section .note.GNU-stack, "", @progbits
