/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sound frames with random bytes changed, cut or padded: whatever comes of it, nothing outside the
 * frame is touched and both checks agree (bed_receive). Checksums are made right again half of the
 * time, or nearly nothing would come past them.
 */
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "check.h"

static uint64_t state = 88172645463325252u;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13; /* xorshift64 (Marsaglia, 2003) */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static void make(struct bed_frame *frame)
{
    static const uint8_t text[64] = "\0\7\0\0\0\1\0\0get some-key-or-other\r\n";
    uint32_t kind = draw(4);
    if (kind == 0)
        bed_arp(frame);
    else if (kind == 1)
        bed_echo(frame, text, draw(sizeof(text)));
    else
        bed_request(frame, text, draw(sizeof(text)));
    if (kind == 3)
        bed_seal_udp(frame);
}

static void spoil(struct bed_frame *frame)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, 0x45, 0x46, 0x08};
    for (uint32_t nb = draw(4); nb > 0; nb--) {
        uint32_t at = draw(draw(2) ? 64 : 46);
        frame->bytes[at] = draw(2) ? telling[draw(sizeof(telling))] : (uint8_t)draw(256);
    }
    if (draw(4) == 0)
        frame->len = draw(2) ? draw(80) : draw(1600);
    if (draw(2))
        bed_seal_ip(frame);
    /* Only where the length that the sum is over lies in the frame's room. */
    if (draw(2) && bed_get16(frame->bytes + 38) < 1600 && frame->bytes[23] == 17)
        bed_seal_udp(frame);
}

int main(int argc, char **argv)
{
    uint64_t nb_by_reason[NB_DROP_REASONS] = {0};
    uint32_t nb_frames = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000;
    struct bed_frame frame;
    struct net net;
    bed_open(&net);
    for (uint32_t i = 0; i < nb_frames; i++) {
        make(&frame);
        spoil(&frame);
        nb_by_reason[bed_receive(&net, frame.bytes, frame.len, draw(8) ? 0 : draw(4))]++;
    }
    /* Every reason of net/ came about: the test looks everywhere. */
    CHECK(nb_by_reason[DROP_NONE] > 0);
    for (uint32_t reason = DROP_FRAME; reason < NB_DROP_REASONS; reason++)
        CHECK(nb_by_reason[reason] > 0);
    return 0;
}
