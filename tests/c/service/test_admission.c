/* SPDX-License-Identifier: BSD-3-Clause */
/* Admission: networks match by prefix, an empty list nobody; bad lists are refused in words. */
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

int main(void)
{
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
