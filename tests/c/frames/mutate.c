/* SPDX-License-Identifier: BSD-3-Clause */
#include "mutate.h"

static uint64_t state = 88172645463325252u;

uint32_t mutate_draw(uint32_t below)
{
    state ^= state << 13; /* xorshift64 (Marsaglia, 2003) */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static void make_sound(struct bed_frame *frame)
{
    static const uint8_t text[64] = "\0\7\0\0\0\1\0\0get some-key-or-other\r\n";
    uint32_t kind = mutate_draw(4);
    if (kind == 0)
        bed_arp(frame);
    else if (kind == 1)
        bed_echo(frame, text, mutate_draw(sizeof(text)));
    else
        bed_request(frame, text, mutate_draw(sizeof(text)));
    if (kind == 3)
        bed_seal_udp(frame);
}

static void spoil(struct bed_frame *frame)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, 0x45, 0x46, 0x08};
    for (uint32_t nb = mutate_draw(4); nb > 0; nb--) {
        uint32_t at = mutate_draw(mutate_draw(2) ? 64 : 46);
        frame->bytes[at] =
            mutate_draw(2) ? telling[mutate_draw(sizeof(telling))] : (uint8_t)mutate_draw(256);
    }
    if (mutate_draw(4) == 0)
        frame->len = mutate_draw(2) ? mutate_draw(80) : mutate_draw(1600);
    if (mutate_draw(2))
        bed_seal_ip(frame);
    /* Only where the bytes that the checksum covers lie in the frame's buffer. */
    if (mutate_draw(2) && bed_get16(frame->bytes + 38) < 1600 && frame->bytes[23] == 17)
        bed_seal_udp(frame);
}

void mutate_make(struct bed_frame *frame)
{
    make_sound(frame);
    spoil(frame);
}
