/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: any frame, checked against what holds for all (bed_receive). The first byte
 * says what the wire vouches for, and which checksums are made right, or few would come past them.
 */
#include <stddef.h>
#include <string.h>

#include "bed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    static struct bed_frame frame;
    struct net net;
    if (nb_bytes < 1 || nb_bytes > BED_ROOM - 8)
        return 0;
    bed_open(&net);
    memset(&frame, 0, sizeof(frame));
    frame.len = (uint32_t)nb_bytes - 1;
    memcpy(frame.bytes, data + 1, frame.len);
    if (data[0] & 4)
        bed_seal_ip(&frame);
    if (data[0] & 8 && bed_get16(frame.bytes + 38) < BED_ROOM - 34)
        bed_seal_udp(&frame);
    uint32_t icmp_total = bed_get16(frame.bytes + 16);
    if (data[0] & 16 && icmp_total >= 28 && icmp_total < BED_ROOM - 34)
        bed_seal_icmp(&frame);
    (void)bed_receive(&net, frame.bytes, frame.len, data[0] & 3);
    return 0;
}
