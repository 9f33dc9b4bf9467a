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
    if ((bytes & 1) != 0) /* an if: see checksum_add of frames/checksum.h */
        sum += data[0];   /* as if a zero followed */
    return sum;
}

uint32_t headers_udp_sum(const struct headers *headers, const uint8_t *udp, uint32_t bytes)
{
    uint64_t sum = headers->pseudo_sum + (uint64_t)__builtin_bswap16((uint16_t)bytes);

    return headers_fold(sum + bytes_sum(udp, bytes));
}

/* The five words of headers.h. */
struct words {
    uint64_t second, third, fourth;
    uint16_t checksum;
};

static struct words words_of(const struct headers_read *read)
{
    return (struct words){.second = (uint64_t)_mm_extract_epi64(read->second, 0),
                          .third = (uint64_t)_mm_extract_epi64(read->second, 1),
                          .fourth = (uint64_t)_mm_extract_epi64(_mm_srli_si128(read->third, 6), 0),
                          .checksum = (uint16_t)_mm_extract_epi16(read->third, 7)};
}

/* Join bytes 26 to 41 from the words. */
static __m128i third_of(const struct words *words)
{
    uint8_t bytes[16];

    memcpy(bytes, (const uint8_t *)&words->third + 2, 6);
    memcpy(bytes + 6, &words->fourth, 8);
    memcpy(bytes + 14, &words->checksum, 2);
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

/* Check everything but the UDP checksum. */
static bool words_sound(const struct headers *headers, __m128i first, const struct words *words)
{
    uint32_t total = __builtin_bswap16((uint16_t)words->second);
    uint64_t kind = (uint32_t)_mm_extract_epi16(first, 7); /* version, IHL, service */
    uint64_t sum = kind + (words->second & 0xffffffff) + (words->second >> 32) +
                   (words->third & 0xffffffff) + (words->third >> 32) + (words->fourth & 0xffff);
    __m128i differs = _mm_xor_si128(_mm_and_si128(first, headers->rx_mask), headers->rx_first);
    /* Any service is allowed (the last byte). */
    bool same =
        (_mm_movemask_epi8(_mm_cmpeq_epi8(differs, _mm_setzero_si128())) | 0x8000) == 0xffff;
    bool fragment = (words->second >> 32 & 0xffbf) != 0; /* MF set, or an offset; DF is ignored */
    bool alive = (words->second >> 48 & 0xff) != 0;
    bool udp = words->second >> 56 == IPPROTO_UDP_NUMBER;
    bool ours = words->third >> 16 == headers->rx_third &&
                (words->fourth & 0xffffffff) == headers->rx_fourth;

    return same && !fragment && alive && udp && ours && headers_fold(sum) == 0xffff &&
           total >= IPV4_BYTES + UDP_BYTES && total <= HEADERS_TOTAL_MAX &&
           total - IPV4_BYTES == __builtin_bswap16((uint16_t)(words->fourth >> 48));
}

/* Whether the checksum is the sum of the pseudo header alone, which is left to hardware. */
static bool is_unfinished(const struct headers *headers, const struct words *words)
{
    return words->checksum == headers_fold(headers->pseudo_sum + (words->fourth >> 48));
}

uint32_t headers_judge(struct headers *headers, struct headers_read read, const uint8_t *frame,
                       uint32_t len)
{
    struct words words = words_of(&read);
    uint32_t total = __builtin_bswap16((uint16_t)words.second);
    bool partly;

    if (total > len - ETHERNET_BYTES || !words_sound(headers, read.first, &words))
        return HEADERS_MALFORMED;
    partly = headers->unfinished && is_unfinished(headers, &words);
    /* Where none is required, a checksum that is there must still be right. */
    if (!partly && ((headers->checksums && !headers->unfinished) || words.checksum != 0) &&
        (words.checksum == 0 || headers_udp_sum(headers, frame + ETHERNET_BYTES + IPV4_BYTES,
                                                total - IPV4_BYTES) != 0xffff))
        return HEADERS_MALFORMED;
    if ((words.checksum == 0 || partly) && total + ETHERNET_BYTES == len)
        headers->seen[len] =
            (struct headers_seen){.first = _mm_and_si128(read.first, headers->rx_mask),
                                  .second = read.second,
                                  .third = _mm_insert_epi16(third_of(&words), 0, 5)};
    return total - IPV4_BYTES - UDP_BYTES;
}

static void tx_init(struct headers *headers, const uint8_t *out)
{
    uint64_t sum = bytes_sum(out + ETHERNET_BYTES, IPV4_BYTES);
    uint8_t made[HEADERS_BYTES];

    memcpy(made, out, sizeof(made));
    for (uint32_t total = IPV4_BYTES + UDP_BYTES; total <= HEADERS_TOTAL_MAX; total++) {
        uint16_t length = __builtin_bswap16((uint16_t)total);
        uint16_t udp_length = __builtin_bswap16((uint16_t)(total - IPV4_BYTES));
        uint16_t checksum = (uint16_t)~headers_fold(sum + length);

        memcpy(made + 16, &length, 2);
        memcpy(made + 24, &checksum, 2);
        memcpy(made + 38, &udp_length, 2);
        headers->tx[total] = (struct headers_bytes){
            .second = _mm_loadu_si128((const __m128i *)(const void *)(made + 16)),
            .third = _mm_loadu_si128((const __m128i *)(const void *)(made + HEADERS_THIRD))};
    }
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
    tx_init(headers, out);

    /* Accept any Ethernet source address: a switch may insert its own. */
    memcpy(in, config->our_mac, 6);
    memcpy(in + 12, kind, sizeof(kind));
    headers->rx_first = _mm_loadu_si128((const __m128i *)(const void *)in);
    memset(in, 0, sizeof(in));
    memset(in, 0xff, 6);
    memset(in + 12, 0xff, 4);
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

    memset(headers->seen, 0xff, sizeof(headers->seen));
    headers->port_base = config->port_base;
    headers->nb_flows = config->nb_flows;
    headers->checksums = config->checksums;
    headers->unfinished = config->unfinished;
}
