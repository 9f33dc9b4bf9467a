/* SPDX-License-Identifier: BSD-3-Clause */
#include "headers.h"

static uint64_t bytes_sum(const uint8_t *data, uint32_t bytes)
{
    uint64_t sum = 0;
    uint32_t word;
    uint16_t half;

    for (; bytes >= 4; bytes -= 4, data += 4) {
        memcpy(&word, data, 4);
        sum += word;
    }
    if (bytes >= 2) {
        memcpy(&half, data, 2);
        sum += half;
        data += 2;
    }
    return (bytes & 1) != 0 ? sum + data[0] : sum; /* as if a zero followed */
}

uint32_t headers_udp_sum(const struct headers *headers, const uint8_t *udp, uint32_t bytes)
{
    uint64_t sum = headers->pseudo_sum + (uint64_t)__builtin_bswap16((uint16_t)bytes);

    return headers_fold(sum + bytes_sum(udp, bytes));
}

void headers_init(struct headers *headers, const struct headers_config *config)
{
    static const uint8_t kind[4] = {0x08, 0x00, 0x45, 0x00};
    uint8_t out[HEADERS_BYTES] = {0}, in[HEADERS_BYTES] = {0};
    uint16_t target_port = __builtin_bswap16(config->target_port);
    uint64_t word;

    memcpy(out, config->target_mac, 6);
    memcpy(out + 6, config->our_mac, 6);
    memcpy(out + 12, kind, sizeof(kind));
    out[20] = 0x40; /* do not fragment */
    out[22] = 64;
    out[23] = IPPROTO_UDP_NUMBER;
    memcpy(out + 26, config->our_address, 4);
    memcpy(out + 30, config->target_address, 4);
    memcpy(out + 36, &target_port, 2);
    headers->tx_first = _mm_loadu_si128((const __m128i *)(const void *)out);
    memcpy(&headers->tx_second, out + 16, 8);
    memcpy(&headers->tx_third, out + 24, 8);
    memcpy(&headers->tx_fourth, out + 32, 8);
    headers->tx_sum = headers_fold(bytes_sum(out + ETHERNET_BYTES, IPV4_BYTES));

    /* Whose source address it has on Ethernet is the network's affair: a switch may write its own.
     */
    memcpy(in, config->our_mac, 6);
    memcpy(in + 12, kind, sizeof(kind));
    headers->rx_first = _mm_loadu_si128((const __m128i *)(const void *)in);
    memset(in, 0, sizeof(in));
    memset(in, 0xff, 6);
    memset(in + 12, 0xff, 3);
    headers->rx_mask = _mm_loadu_si128((const __m128i *)(const void *)in);
    memset(in, 0, sizeof(in));
    memcpy(in + 26, config->target_address, 4);
    memcpy(in + 30, config->our_address, 4);
    memcpy(in + 34, &target_port, 2);
    memcpy(&word, in + 24, 8);
    headers->rx_third = word >> 16;
    memcpy(&word, in + 32, 8);
    headers->rx_fourth = word & 0xffffffff;
    headers->pseudo_sum = headers_fold(bytes_sum(out + 26, 8) + (IPPROTO_UDP_NUMBER << 8));

    headers->port_base = config->port_base;
    headers->nb_flows = config->nb_flows;
    headers->checksums = config->checksums;
}
