/* SPDX-License-Identifier: BSD-3-Clause */
/* trap: see trap.h. */
#include "trap.h"

#define TRAP_DOUBLE_FAULT 8u
#define TRAP_PAGE_FAULT 14u
#define FAULT_PRESENT 0x01u
#define FAULT_WRITE 0x02u
#define FAULT_FETCH 0x10u

static bool is_in(uint64_t address, const struct span *span)
{
    return address >= span->begin && address < span->end;
}

static const char *page_fault(uint64_t error, uint64_t address, const struct layout *layout)
{
    for (unsigned i = 0; i < LAYOUT_GUARDS; i++) {
        if (is_in(address, &layout->guards[i]))
            return "it ran off its stack";
    }
    if (error & FAULT_FETCH)
        return error & FAULT_PRESENT ? "it executed data" : "it jumped to an unmapped address";
    if (is_in(address, &layout->text) && error & FAULT_WRITE)
        return "it wrote to its code";
    if (is_in(address, &layout->rodata) && error & FAULT_WRITE)
        return "it wrote to its constants";
    if (address < LAYOUT_PAGE_BYTES)
        return "it used a null pointer";
    return error & FAULT_WRITE ? "it wrote to an unmapped address" : "it read an unmapped address";
}

static const char *cause_of(uint64_t vector)
{
    switch (vector) {
    case 0:
        return "it divided by zero";
    case 2:
        return "the machine reported a fault (NMI)";
    case 6:
        return "it met an instruction that this processor does not have (images need "
               "x86-64-v2), or stopped itself";
    case TRAP_DOUBLE_FAULT:
        return "the processor could not deliver a trap (double fault)";
    case 13:
        return "it broke a rule of the processor (general protection)";
    case 16:
    case 19:
        return "a floating-point error";
    case 17:
        return "an unaligned access";
    case 18:
        return "the machine reported an error (machine check)";
    default:
        return "an unexpected trap";
    }
}

void trap_text(struct text *text, const struct trap_frame *frame, uint64_t address,
               const struct layout *layout)
{
    bool is_page_fault = frame->vector == TRAP_PAGE_FAULT;

    text_put(text, "the image stopped: ");
    text_put(text,
             is_page_fault ? page_fault(frame->error, address, layout) : cause_of(frame->vector));
    if (is_page_fault) {
        text_put(text, ", address ");
        text_hex(text, address);
    }
    text_put(text, ", instruction at ");
    text_hex(text, frame->rip);
    text_put(text, ", stack at ");
    text_hex(text, frame->rsp);
    text_put(text, " (trap ");
    text_number(text, frame->vector);
    text_put(text, ", error code ");
    text_hex(text, frame->error);
    text_put(text, ")");
}
