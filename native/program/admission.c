/* SPDX-License-Identifier: BSD-3-Clause */
/* Admission lists of networks: compiled once, tested for every request; see admission.h. */
#include "admission.h"

#include <stddef.h>

/* A network that matches no source: nothing ANDed with 0 is 1. */
static const struct network nothing = {.mask = {0, 0}, .want = {1, 1}};

static inline uint64_t half(const uint8_t *addr)
{
    uint64_t value;
    __builtin_memcpy(&value, addr, sizeof value);
    return value;
}

static inline bool network_has(const struct network *network, uint64_t high, uint64_t low)
{
    return (((high & network->mask[0]) ^ network->want[0]) |
            ((low & network->mask[1]) ^ network->want[1])) == 0;
}

bool admission_has(const struct admission_list *list, const struct source *source)
{
    uint64_t high = half(source->addr), low = half(source->addr + 8);

    if (__builtin_expect(network_has(&list->networks[0], high, low), 1))
        return true;
    for (uint32_t i = 1; i < list->nb_networks; i++) {
        if (network_has(&list->networks[i], high, low))
            return true;
    }
    return false;
}

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
        network->mask[i] = half(mask + 8 * i);
        network->want[i] = half(want + 8 * i);
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
        list->networks[0] = nothing;
    }
    return NULL;
}

static bool are_equal(const struct admission_list *a, const struct admission_list *b)
{
    if (a->nb_networks != b->nb_networks)
        return false;
    for (uint32_t i = 0; i < a->nb_networks; i++) {
        const struct network *one = &a->networks[i], *other = &b->networks[i];
        if (one->mask[0] != other->mask[0] || one->mask[1] != other->mask[1] ||
            one->want[0] != other->want[0] || one->want[1] != other->want[1])
            return false;
    }
    return true;
}

const char *admission_open(struct admission *admission, const struct admission_config *config)
{
    const char *error = compile_list(&admission->allow, &config->allow);
    if (error == NULL)
        error = compile_list(&admission->admin, &config->admin);
    if (error == NULL)
        error = compile_list(&admission->trusted, &config->trusted);
    if (error != NULL)
        return error;
    bool all_may_all = are_equal(&admission->allow, &admission->admin) &&
                       are_equal(&admission->allow, &admission->trusted);
    admission->usual = all_may_all ? admission->allow.networks[0] : nothing;
    return NULL;
}

/* Admit a request that is not the usual one. Returns whether no bound on replies is needed: the
 * request is dropped, or trusted. */
static bool admit_unusual(const struct admission *admission, uint32_t request_bytes_min,
                          struct request *request)
{
    const struct source *source = &request->source;

    if (request->drop != DROP_NONE)
        return true;
    if (request->len < request_bytes_min) {
        request->drop = DROP_SHORT;
    } else if (!admission_has(&admission->allow, source)) {
        request->drop = DROP_SOURCE;
    } else {
        request->rights = admission_has(&admission->admin, source) ? REQUEST_ADMIN : 0;
        request->rights |= admission_has(&admission->trusted, source) ? REQUEST_TRUSTED : 0;
    }
    return request->drop != DROP_NONE || (request->rights & REQUEST_TRUSTED) != 0;
}

bool admission_admit(const struct admission *admission, uint32_t request_bytes_min,
                     struct request *requests, unsigned nb_requests)
{
    /* A local copy: no write to a request can change it, so that it can stay in registers. */
    const struct network usual = admission->usual;
    bool all_trusted = true;

    for (unsigned i = 0; i < nb_requests; i++) {
        struct request *request = &requests[i];
        const uint8_t *addr = request->source.addr;
        if (__builtin_expect(request->drop == DROP_NONE && request->len >= request_bytes_min &&
                                 network_has(&usual, half(addr), half(addr + 8)),
                             1))
            request->rights = REQUEST_ADMIN | REQUEST_TRUSTED;
        else
            all_trusted &= admit_unusual(admission, request_bytes_min, request);
    }
    return all_trusted;
}

unsigned admission_bound(struct admission_sent *sent, struct request *requests,
                         struct reply *replies, unsigned nb)
{
    unsigned nb_left = 0;

    for (unsigned i = 0; i < nb; i++) {
        struct request *request = &requests[replies[i].request];
        if (replies[i].request != sent->request)
            *sent = (struct admission_sent){.request = replies[i].request};
        uint32_t room = request_reply_bytes_max(request) - sent->bytes;
        if (request->drop == DROP_AMPLIFY || replies[i].len > room) {
            request->drop = DROP_AMPLIFY;
            continue;
        }
        sent->bytes += replies[i].len;
        replies[nb_left++] = replies[i];
    }
    return nb_left;
}
