/* SPDX-License-Identifier: BSD-3-Clause */
/* Admission: networks match by prefix, an empty list matches no source; bad lists get a message. */
#include <string.h>

#include "admission.h"
#include "../check.h"

static struct source source(const uint8_t addr[16])
{
    struct source result = {.port = 1};
    memcpy(result.addr, addr, 16);
    return result;
}

static bool is_in(const struct cidr *networks, uint32_t nb, const uint8_t addr[16])
{
    static struct admission admission;
    struct admission_config config = {.allow = {networks, nb}};
    struct source from = source(addr);
    memset(&admission, 0, sizeof(admission));
    CHECK(admission_open(&admission, &config) == NULL);
    CHECK(!admission_has(&admission.admin, &from) && !admission_has(&admission.trusted, &from));
    return admission_has(&admission.allow, &from);
}

/* Every prefix length: flipping the last bit inside excludes, the first outside does not. */
static void prefixes(void)
{
    uint8_t base[16] = {0x20, 1, 0xd, 0xb8, 0x5a, 0xa5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    for (uint32_t bits = 0; bits <= 128; bits++) {
        struct cidr network = {.prefix_bits = bits};
        memcpy(network.addr, base, 16);
        for (uint32_t flip = 0; flip < 128; flip++) {
            uint8_t addr[16];
            memcpy(addr, base, 16);
            addr[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
            CHECK(is_in(&network, 1, addr) == (flip >= bits));
        }
        CHECK(is_in(&network, 1, base));
    }
}

/* 10/8 has all rights, 11/8 is answered but not trusted. */
static struct admission two_kinds(void)
{
    static struct cidr all[2] = {{.addr = {[10] = 255, 255, 10}, .prefix_bits = 104},
                                 {.addr = {[10] = 255, 255, 11}, .prefix_bits = 104}};
    struct admission admission;
    const struct admission_config config = {{all, 2}, {all, 1}, {all, 1}};
    CHECK(admission_open(&admission, &config) == NULL);
    return admission;
}

static struct request request(uint8_t network, uint32_t len)
{
    return (struct request){.len = len,
                            .source = {.addr = {[10] = 255, 255, network, 0, 0, 1}, .port = 9}};
}

static void told_whether_all_are_trusted(void)
{
    struct admission admission = two_kinds();
    struct request requests[3];
    for (unsigned bounded = 0; bounded < 3; bounded++) {
        for (unsigned i = 0; i < 3; i++)
            requests[i] = request(i == bounded ? 11 : 10, 5);
        CHECK(!admission_admit(&admission, 1, requests, 3));
        for (unsigned i = 0; i < 3; i++)
            CHECK(requests[i].drop == DROP_NONE &&
                  requests[i].rights == (i == bounded ? 0 : REQUEST_ADMIN | REQUEST_TRUSTED));
    }
    requests[0] = request(10, 5); /* trusted */
    requests[1] = request(12, 5); /* not in the list */
    requests[2] = request(11, 0); /* too short */
    CHECK(admission_admit(&admission, 1, requests, 3));
    CHECK(requests[1].drop == DROP_SOURCE && requests[2].drop == DROP_SHORT);
}

static struct reply reply(uint16_t request, uint32_t len, uint16_t slot)
{
    return (struct reply){.len = len, .request = request, .slot = slot};
}

/* Three times the request and no byte more, over all its datagrams and calls; others are kept. */
static void replies_are_bounded(void)
{
    struct admission admission = two_kinds();
    struct request requests[4] = {request(11, 10), request(11, 10), request(10, 1), request(11, 2)};
    struct admission_sent sent = {0};
    CHECK(!admission_admit(&admission, 1, requests, 4));
    struct reply first[] = {reply(0, 30, 0), reply(1, 31, 1), reply(2, 1400, 2), reply(2, 1400, 3),
                            reply(3, 4, 4)};
    CHECK(admission_bound(&sent, requests, first, 5) == 4);
    CHECK(first[1].slot == 2 && first[2].slot == 3 && first[3].slot == 4);
    CHECK(requests[0].drop == DROP_NONE && requests[1].drop == DROP_AMPLIFY &&
          requests[2].drop == DROP_NONE);
    struct reply next[] = {reply(3, 2, 0), reply(3, 1, 1), reply(3, 0, 2)};
    CHECK(admission_bound(&sent, requests, next, 3) == 1 && next[0].len == 2);
    CHECK(requests[3].drop == DROP_AMPLIFY);
    struct reply last = reply(3, 0, 0);
    CHECK(admission_bound(&sent, requests, &last, 1) == 0);
    CHECK(admission_bound(&sent, requests, &last, 0) == 0);
}

int main(void)
{
    told_whether_all_are_trusted();
    replies_are_bounded();
    const uint8_t loopback[16] = {[10] = 255, 255, 127, 9, 9, 9}, ipv6_loopback[16] = {[15] = 1};
    const uint8_t zero[16] = {0};
    struct cidr networks[ADMISSION_NETWORKS_MAX + 1] = {
        {.addr = {[10] = 255, 255, 127}, .prefix_bits = 104},
        {.addr = {[15] = 1}, .prefix_bits = 128},
        {.addr = {[0] = 0x20}, .prefix_bits = 8},
    };
    CHECK(is_in(networks, 3, loopback) && is_in(networks, 3, ipv6_loopback));
    CHECK(!is_in(networks, 3, zero) && !is_in(networks, 1, ipv6_loopback));
    CHECK(!is_in(networks, 0, loopback) && !is_in(networks, 0, zero));
    prefixes();

    static struct admission admission;
    struct admission_config config = {.allow = {networks, ADMISSION_NETWORKS_MAX + 1}};
    CHECK(admission_open(&admission, &config) != NULL);
    networks[0].prefix_bits = 129;
    config.allow.nb_networks = 1;
    CHECK(admission_open(&admission, &config) != NULL);
    return 0;
}
