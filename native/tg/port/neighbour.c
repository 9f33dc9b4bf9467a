/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbour.h"

#include <string.h>

#define ASK_AGAIN_NS 100000000u
#define OP_ASK 1u
#define OP_ANSWER 2u

/* Ethernet addresses for IPv4 ones: hardware 1, protocol 0x0800, lengths 6 and 4. */
static const uint8_t kind[6] = {0, 1, 0x08, 0x00, 6, 4};

bool neighbour_is_arp(const uint8_t *frame, uint32_t len)
{
    return len >= 14 && frame[12] == ARP_ETHERTYPE >> 8 && frame[13] == (ARP_ETHERTYPE & 0xff);
}

static void frame_make(const struct neighbour *neighbour, uint8_t *frame, uint8_t op,
                       const uint8_t *mac, const uint8_t *address)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    memcpy(frame, op == OP_ASK ? broadcast : mac, 6);
    memcpy(frame + 6, neighbour->our_mac, 6);
    frame[12] = ARP_ETHERTYPE >> 8;
    frame[13] = ARP_ETHERTYPE & 0xff;
    memcpy(frame + 14, kind, sizeof(kind));
    frame[20] = 0;
    frame[21] = op;
    memcpy(frame + 22, neighbour->our_mac, 6);
    memcpy(frame + 28, neighbour->our_address, 4);
    memcpy(frame + 32, mac, 6);
    memcpy(frame + 38, address, 4);
}

/* Whether this is the address of one station: not of a group, and not zero. */
static bool is_unicast(const uint8_t *mac)
{
    static const uint8_t zero[6];

    return (mac[0] & 1) == 0 && memcmp(mac, zero, 6) != 0;
}

bool neighbour_take(struct neighbour *neighbour, const uint8_t *frame, uint32_t len,
                    uint8_t *answer)
{
    uint8_t arp[ARP_FRAME_BYTES]; /* a copy: the bytes checked are the bytes used */

    if (len < sizeof(arp))
        return false;
    memcpy(arp, frame, sizeof(arp));
    __asm__ volatile("" : : "r"(arp) : "memory");
    if (memcmp(arp + 14, kind, sizeof(kind)) != 0 || arp[20] != 0 || !is_unicast(arp + 22) ||
        memcmp(arp + 38, neighbour->our_address, 4) != 0)
        return false;
    if (arp[21] == OP_ANSWER && neighbour->asked_ns != 0 &&
        memcmp(arp + 28, neighbour->target_address, 4) == 0) {
        memcpy(neighbour->target_mac, arp + 22, 6);
        neighbour->known = true;
        neighbour->asked_ns = 0; /* one answer to a question */
    }
    if (arp[21] != OP_ASK)
        return false;
    frame_make(neighbour, answer, OP_ANSWER, arp + 22, arp + 28);
    return true;
}

bool neighbour_ask(struct neighbour *neighbour, uint64_t now_ns, uint8_t *frame)
{
    static const uint8_t unknown[6];

    if (neighbour->known ||
        (neighbour->asked_ns != 0 && now_ns - neighbour->asked_ns < ASK_AGAIN_NS))
        return false;
    neighbour->asked_ns = now_ns;
    frame_make(neighbour, frame, OP_ASK, unknown, neighbour->target_address);
    return true;
}
