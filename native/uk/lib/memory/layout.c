/* SPDX-License-Identifier: BSD-3-Clause */
/* layout: the linker script's symbols as numbers. */
#include "layout.h"

/* Symbols of the linker script: only their addresses have a meaning. */
extern const char image_text[], image_rodata[], image_data[], image_guards[], image_stack[],
    image_stack_end[], image_trap_stack[], image_trap_stack_end[], image_double_stack[],
    image_double_stack_end[], image_interrupt_stack[], image_interrupt_stack_end[],
    image_text_end[], image_rodata_end[], image_data_end[], image_end[];

static struct span span(const char *begin, const char *end)
{
    return (struct span){(uint64_t)begin, (uint64_t)end};
}

struct layout layout_of_image(void)
{
    return (struct layout){
        .text = span(image_text, image_text_end),
        .rodata = span(image_rodata, image_rodata_end),
        .data = span(image_data, image_data_end),
        .stack = span(image_stack, image_stack_end),
        .trap_stack = span(image_trap_stack, image_trap_stack_end),
        .double_stack = span(image_double_stack, image_double_stack_end),
        .interrupt_stack = span(image_interrupt_stack, image_interrupt_stack_end),
        .guards = {span(image_guards, image_stack), span(image_stack_end, image_trap_stack),
                   span(image_trap_stack_end, image_double_stack),
                   span(image_double_stack_end, image_interrupt_stack),
                   span(image_interrupt_stack_end, image_end)},
    };
}
