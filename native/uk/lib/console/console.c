/* SPDX-License-Identifier: BSD-3-Clause */
/* console: see console.h and README.md. Registers: National Semiconductor's PC16550D, 8. */
#include "console.h"

#include "interrupts.h"
#include "power.h"
#include "text.h"
#include "told_time.h"
#include "x86.h"

#define COM1 0x3f8u
#define DATA (COM1 + 0) /* with DLAB: the divisor's low byte */
#define IER (COM1 + 1)  /* with DLAB: the divisor's high byte */
#define FCR (COM1 + 2)
#define LCR (COM1 + 3)
#define MCR (COM1 + 4)
#define LSR (COM1 + 5)

#define IER_RECEIVED 0x01u
#define FCR_ON_AND_CLEAR 0x07u
#define LCR_8N1 0x03u
#define LCR_DLAB 0x80u
#define MCR_DTR_RTS 0x03u
#define MCR_OUT2 0x08u /* enables the port's interrupt line on a PC */
#define LSR_RECEIVED 0x01u
#define LSR_EMPTY 0x20u
#define FIFO_BYTES 16u
#define LOOKS_MAX 1000000u /* a port that takes no byte in so many polls does not exist */
#define LINE 4u            /* the interrupt line of COM1 */
#define FAIL_BYTES 512u

static atomic_int *on_stop, *on_ask;
static void (*on_time)(uint64_t unix_ns);

void console_open(void)
{
    x86_out8(LCR, LCR_DLAB | LCR_8N1);
    x86_out8(DATA, 1); /* 115,200 bits a second */
    x86_out8(IER, 0);
    x86_out8(LCR, LCR_8N1);
    x86_out8(FCR, FCR_ON_AND_CLEAR);
    x86_out8(MCR, MCR_DTR_RTS);
}

/* Fill the port's queue each time it is empty: polling the port costs as much as writing a byte. */
void console_say(const char *text, size_t nb_bytes)
{
    for (size_t i = 0; i < nb_bytes; i++) {
        for (uint32_t nb = 0; i % FIFO_BYTES == 0 && !(x86_in8(LSR) & LSR_EMPTY); nb++) {
            if (nb == LOOKS_MAX)
                return;
        }
        x86_out8(DATA, (uint8_t)text[i]);
    }
}

/* If bytes arrive faster than they are read, the line stays up, and only its rise is an interrupt.
 * Disabling and enabling the interrupt lowers the line, and raises it again if there are more
 * bytes. */
static void on_bytes(void)
{
    static struct told_time told;

    for (unsigned i = 0; i < FIFO_BYTES && x86_in8(LSR) & LSR_RECEIVED; i++) {
        uint8_t byte = x86_in8(DATA);
        if (byte == 'q')
            atomic_store_explicit(on_stop, 1, memory_order_relaxed);
        if (byte == 'c')
            atomic_store_explicit(on_ask, 1, memory_order_relaxed);
        uint64_t unix_ns = told_time_take(&told, (char)byte);
        if (unix_ns > 0)
            on_time(unix_ns);
    }
    x86_out8(IER, 0);
    x86_out8(IER, IER_RECEIVED);
}

void console_listen(atomic_int *stop, atomic_int *ask, void (*take_time)(uint64_t unix_ns))
{
    on_stop = stop;
    on_ask = ask;
    on_time = take_time;
    interrupts_line(LINE, INTERRUPT_EDGE, INTERRUPT_CONSOLE, on_bytes);
    x86_out8(MCR, MCR_DTR_RTS | MCR_OUT2);
    x86_out8(IER, IER_RECEIVED);
}

_Noreturn void console_fail(const char *error)
{
    char line[FAIL_BYTES];
    struct text text = text_in(line, sizeof(line));

    x86_interrupts_off();
    text_put(&text, "{\"event\":\"failed\",\"error\":\"");
    text_put_at_most(&text, error, FAIL_BYTES - 64);
    text_put(&text, "\"}\n");
    console_say(line, (size_t)(text.at - line));
    power_off();
}
