/* SPDX-License-Identifier: BSD-3-Clause */
/* interrupts: see interrupts.h and README.md. References are to the Intel SDM, volume 3A. */
#include "interrupts.h"

#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "memory.h"
#include "power.h"
#include "trap.h"
#include "x86.h"

/* ---- descriptor tables (3.4.5, 6.14, 7.7) ---- */

#define CODE_SELECTOR 0x08u
#define TSS_SELECTOR 0x18u
#define GATE_INTERRUPT 0x8e00u /* present, interrupts off */
#define TRAP_DOUBLE_FAULT 8u
#define STACK_TRAP 1u
#define STACK_DOUBLE_FAULT 2u
#define STACK_INTERRUPT 3u
#define ENTRY_BYTES 16u

struct gate {
    uint16_t low, selector;
    uint16_t flags; /* with the number of the stack */
    uint16_t middle;
    uint32_t high, reserved;
};

struct tss {
    uint32_t reserved0, rsp[6], reserved1[2], ist[14], reserved2[2];
    uint16_t reserved3, map_base;
};

_Static_assert(sizeof(struct gate) == 16, "6.14.1");
_Static_assert(sizeof(struct tss) == 104, "7.7");

static struct gate gates[INTERRUPT_END];
static struct tss tss;
static uint64_t segments[] = {
    0,
    0x00af9b000000ffff, /* code, 64 bits */
    0x00cf93000000ffff, /* data */
    0,
    0, /* the task state, below */
};

struct table {
    uint16_t limit;
    const void *base;
} __attribute__((packed));

extern const uint8_t interrupt_entries[]; /* entry.S */

static void open_gates(void)
{
    for (unsigned i = 0; i < INTERRUPT_END; i++) {
        uint64_t entry = (uint64_t)interrupt_entries + i * (uint64_t)ENTRY_BYTES;
        unsigned stack = i >= INTERRUPT_FIRST     ? STACK_INTERRUPT
                         : i == TRAP_DOUBLE_FAULT ? STACK_DOUBLE_FAULT
                                                  : STACK_TRAP;
        gates[i] = (struct gate){.low = (uint16_t)entry,
                                 .selector = CODE_SELECTOR,
                                 .flags = (uint16_t)(GATE_INTERRUPT | stack),
                                 .middle = (uint16_t)(entry >> 16),
                                 .high = (uint32_t)(entry >> 32)};
    }
    __asm__ volatile("lidt %0" : : "m"((struct table){sizeof(gates) - 1, gates}));
}

static void set_stack(unsigned number, uint64_t end)
{
    tss.ist[2 * (number - 1)] = (uint32_t)end;
    tss.ist[2 * (number - 1) + 1] = (uint32_t)(end >> 32);
}

static void open_stacks(const struct layout *layout)
{
    uint64_t base = (uint64_t)&tss;

    set_stack(STACK_TRAP, layout->trap_stack.end);
    set_stack(STACK_DOUBLE_FAULT, layout->double_stack.end);
    set_stack(STACK_INTERRUPT, layout->interrupt_stack.end);
    tss.map_base = sizeof(tss);
    segments[3] =
        (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    segments[4] = base >> 32;
    __asm__ volatile("lgdt %0" : : "m"((struct table){sizeof(segments) - 1, segments}));
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

/* ---- the local APIC (10.4 to 10.8) ---- */

#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_ON (1u << 11)
#define APIC_BASE_ADDRESS 0xffffff000ull
#define APIC_BYTES 4096u

enum {
    APIC_ID = 0x020,
    APIC_EOI = 0x0b0,
    APIC_SPURIOUS = 0x0f0,
    APIC_TIMER = 0x320,
    APIC_LINT0 = 0x350,
    APIC_TIMER_COUNT = 0x380,
    APIC_TIMER_DIVIDE = 0x3e0
};

#define APIC_ON 0x100u
#define APIC_MASKED 0x10000u
#define APIC_DIVIDE_BY_1 0x0bu

static uint8_t *apic;

static void apic_write(unsigned at, uint32_t value)
{
    *(volatile uint32_t *)(void *)(apic + at) = value;
}

static uint32_t apic_id(void)
{
    return *(volatile uint32_t *)(void *)(apic + APIC_ID) >> 24;
}

static bool open_apic(void)
{
    uint64_t base = x86_read_msr(MSR_APIC_BASE);

    x86_write_msr(MSR_APIC_BASE, base | APIC_BASE_ON);
    apic = memory_device(base & APIC_BASE_ADDRESS, APIC_BYTES);
    if (apic == NULL)
        return false;
    apic_write(APIC_SPURIOUS, APIC_ON | INTERRUPT_SPURIOUS);
    apic_write(APIC_LINT0, APIC_MASKED);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_TIMER, INTERRUPT_TIMER); /* one-shot: fires once for each count written */
    return true;
}

/* ---- the PICs and the I/O APICs ---- */

#define PIC_MASK_1 0x21u
#define PIC_MASK_2 0xa1u
/* Addresses of the I/O APICs (Intel 82093AA, 3.2) on QEMU's machines; microvm may have a second. */
#define IO_APIC 0xfec00000ull
#define IO_APIC_SECOND 0xfec10000ull
#define IO_APIC_LINES 24u
#define IO_APIC_BYTES 32u
#define IO_APIC_DATA 0x10u
#define IO_APIC_REDIRECTION 0x10u
#define REDIRECTION_LEVEL (1u << 15)

static void (*handlers[INTERRUPT_END - INTERRUPT_FIRST])(void);
static volatile uint64_t nb_interrupts; /* since the start */
static uint64_t nb_seen;                /* nb_interrupts when the last sleep ended */

static void io_apic_write(uint8_t *io_apic, unsigned number, uint32_t value)
{
    *(volatile uint32_t *)(void *)io_apic = number;
    *(volatile uint32_t *)(void *)(io_apic + IO_APIC_DATA) = value;
}

void interrupts_line(unsigned line, enum interrupt_kind kind, enum interrupt vector,
                     void (*handler)(void))
{
    bool is_second = line >= IO_APIC_LINES;
    unsigned pin = is_second ? line - IO_APIC_LINES : line;
    uint8_t *io_apic = memory_device(is_second ? IO_APIC_SECOND : IO_APIC, IO_APIC_BYTES);

    if (io_apic == NULL || pin >= IO_APIC_LINES)
        console_fail("a device uses an interrupt line that the machine does not have");
    handlers[vector - INTERRUPT_FIRST] = handler;
    io_apic_write(io_apic, IO_APIC_REDIRECTION + 2 * pin + 1, apic_id() << 24);
    io_apic_write(io_apic, IO_APIC_REDIRECTION + 2 * pin,
                  vector | (kind == INTERRUPT_LEVEL ? REDIRECTION_LEVEL : 0));
}

void interrupts_open(void)
{
    struct layout layout = layout_of_image();

    open_stacks(&layout);
    open_gates();
    x86_out8(PIC_MASK_1, 0xff);
    x86_out8(PIC_MASK_2, 0xff);
    if (!open_apic())
        console_fail("the local APIC cannot be mapped at the address that the processor reports");
    x86_interrupts_on();
}

/* The timer is assumed to count at 1 GHz, as QEMU's and KVM's do. At another frequency the bound of
 * a sleep is longer or shorter. */
static uint32_t timer_count(uint64_t ns)
{
    return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static uint32_t tick_count; /* of the timer, between two ticks; 0: there are none */
static void (*on_tick)(void);

static void tick(void)
{
    on_tick();
    apic_write(APIC_TIMER_COUNT, tick_count);
}

void interrupts_tick(uint64_t ns, void (*handler)(void))
{
    on_tick = handler;
    tick_count = timer_count(ns);
    handlers[INTERRUPT_TIMER - INTERRUPT_FIRST] = tick;
    apic_write(APIC_TIMER_COUNT, tick_count);
}

void interrupts_sleep(uint64_t ns)
{
    x86_interrupts_off();
    if (nb_interrupts == nb_seen) {
        apic_write(APIC_TIMER_COUNT, timer_count(ns));
        x86_sleep();
        apic_write(APIC_TIMER_COUNT, tick_count);
    }
    nb_seen = nb_interrupts;
    x86_interrupts_on();
}

/* ---- called by entry.S ---- */

void interrupt(uint64_t vector);
_Noreturn void trap(const struct trap_frame *frame);

void interrupt(uint64_t vector)
{
    if (vector == INTERRUPT_SPURIOUS) /* 10.9: must not be acknowledged */
        return;
    nb_interrupts++;
    if (handlers[vector - INTERRUPT_FIRST] != NULL)
        handlers[vector - INTERRUPT_FIRST]();
    apic_write(APIC_EOI, 0);
}

_Noreturn void trap(const struct trap_frame *frame)
{
    static bool is_trapped;
    struct layout layout = layout_of_image();
    char sentence[TRAP_TEXT_BYTES];
    struct text text = text_in(sentence, sizeof(sentence));

    if (is_trapped) /* a trap while the first was being reported */
        power_off();
    is_trapped = true;
    trap_text(&text, frame, x86_fault_address(), &layout);
    console_fail(sentence);
}
