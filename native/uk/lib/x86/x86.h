/* SPDX-License-Identifier: BSD-3-Clause */
/* x86: instructions of the processor that C has no operators for. For the `pc` form. */
#ifndef NEARMETAL_UK_X86_H
#define NEARMETAL_UK_X86_H

#include <stdbool.h>
#include <stdint.h>

/* ---- ports ---- */

static inline void x86_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void x86_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void x86_out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t x86_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t x86_in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* ---- registers ---- */

struct x86_cpuid {
    uint32_t a, b, c, d;
};

static inline struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct x86_cpuid r;

    __asm__ volatile("cpuid"
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t x86_read_msr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void x86_write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t x86_fault_address(void)
{
    uint64_t address;

    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    return address;
}

static inline void x86_set_page_tables(uint64_t root)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

/* ---- interrupts ---- */

static inline void x86_interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline void x86_interrupts_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

/* Call with interrupts off: sleep until an interrupt arrives, and handle it. sti delays interrupts
 * by one instruction (Intel SDM 2B, STI), so none is missed between sti and hlt. */
static inline void x86_sleep(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}

static inline uint64_t x86_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

#endif
