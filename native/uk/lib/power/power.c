/* SPDX-License-Identifier: BSD-3-Clause */
/* power: see power.h and README.md. */
#include "power.h"

#include "x86.h"

/* PM1a_CNT of the ICH9, at the address where firmware for QEMU's q35 places it. Entering S5 takes
 * type 0 there (ACPI 6.3, 4.8.3.2.1). */
#define Q35_PM1A_CNT 0x604u
#define PM1_SLEEP (1u << 13)
/* The reset of the ICH9 (Intel 9 Series datasheet, 13.7.5), and of the PC, by the keyboard
 * controller. */
#define RESET 0xcf9u
#define RESET_FULL 0x06u
#define KEYBOARD 0x64u
#define KEYBOARD_RESET 0xfeu

_Noreturn void power_off(void)
{
    static const struct {
        uint16_t bytes;
        uint64_t base;
    } __attribute__((packed)) no_table = {0};

    x86_interrupts_off();
    x86_out16(Q35_PM1A_CNT, PM1_SLEEP);
    x86_out8(RESET, RESET_FULL);
    x86_out8(KEYBOARD, KEYBOARD_RESET);
    /* A machine without any of them (microvm) resets at a triple fault: a trap without a
     * handler. */
    __asm__ volatile("lidt %0; int3" : : "m"(no_table));
    for (;;)
        __asm__ volatile("cli; hlt");
}
