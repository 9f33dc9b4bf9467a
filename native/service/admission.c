/* SPDX-License-Identifier: BSD-3-Clause */
/* Compile the three lists of networks; see admission.h. */
#include "admission.h"

static uint8_t prefix_byte(uint32_t prefix_bits, uint32_t index)
{
    uint32_t before = index * 8;
    if (prefix_bits <= before)
        return 0;
    uint32_t bits = prefix_bits - before;
    return bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);
}

static void compile_network(struct network *network, const struct cidr *cidr)
{
    uint8_t mask[16], want[16];
    for (uint32_t i = 0; i < 16; i++) {
        mask[i] = prefix_byte(cidr->prefix_bits, i);
        want[i] = cidr->addr[i] & mask[i];
    }
    for (uint32_t i = 0; i < 2; i++) {
        network->mask[i] = load64(mask + 8 * i);
        network->want[i] = load64(want + 8 * i);
    }
}

static const char *compile_list(struct admission_list *list, const struct cidr_list *networks)
{
    if (networks->nb_networks > ADMISSION_NETWORKS_MAX)
        return "an admission list names more than 32 networks; merge some of them";
    list->nb_networks = networks->nb_networks;
    for (uint32_t i = 0; i < networks->nb_networks; i++) {
        if (networks->networks[i].prefix_bits > 128)
            return "a network's prefix is longer than its address";
        compile_network(&list->networks[i], &networks->networks[i]);
    }
    if (list->nb_networks == 0) {
        /* Nothing ANDed with 0 is 1: the test without a loop fails for every source. */
        list->networks[0] = (struct network){.mask = {0, 0}, .want = {1, 1}};
    }
    return NULL;
}

const char *admission_open(struct admission *admission, const struct service_config *config)
{
    const char *error = compile_list(&admission->allow, &config->allow);
    if (error == NULL)
        error = compile_list(&admission->admin, &config->admin);
    if (error == NULL)
        error = compile_list(&admission->trusted, &config->trusted);
    return error;
}
