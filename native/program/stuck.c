/* SPDX-License-Identifier: BSD-3-Clause */
/* stuck: see stuck.h. Freestanding; called by a signal handler and by an interrupt. */
#include "stuck.h"

#define HEAD_BYTES 8u

bool stuck_look(struct stuck *stuck, const struct watch_mark *mark, uint64_t spent_ns)
{
    uint64_t inside = atomic_load_explicit(&mark->inside, memory_order_relaxed);

    if (inside == 0 || inside != stuck->inside) {
        *stuck = (struct stuck){inside, spent_ns};
        return false;
    }
    return spent_ns >= stuck->since_ns + STUCK_NS;
}

static void put_byte(struct text *text, uint8_t byte)
{
    const char *digits = "0123456789abcdef";

    text_put_at_most(text, digits + (byte >> 4), 1);
    text_put_at_most(text, digits + (byte & 15), 1);
}

void stuck_text(struct text *text, const char *service, const struct watch_mark *mark)
{
    uint64_t inside = atomic_load_explicit(&mark->inside, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&mark->head, memory_order_relaxed);
    uint64_t nb_bytes = inside & WATCH_BYTES_MASK;

    text_put(text, "service ");
    text_put(text, service);
    text_put(text, inside & WATCH_PREPARE ? ": prepare" : ": answer");
    text_put(text, " did not come back for a second; the request had ");
    text_number(text, nb_bytes);
    text_put(text, nb_bytes == 1 ? " byte: " : " bytes: ");
    for (unsigned i = 0; i < HEAD_BYTES && i < nb_bytes; i++)
        put_byte(text, (uint8_t)(head >> 8 * i));
    if (nb_bytes > HEAD_BYTES)
        text_put(text, "...");
}
