/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admission: who is answered, who may administer, who may be sent long replies.
 *
 * A list of networks is compiled once into masks, so that the test of a source is two ANDs and two
 * compares per network, the first of them without a loop: it runs for every request. The compiled
 * lists are copies and live in the service's own memory.
 */
#ifndef NEARMETAL_ADMISSION_H
#define NEARMETAL_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "service.h"

#define ADMISSION_NETWORKS_MAX 32u
/* A reply to a source that is not trusted is at most this many times its request (QUIC's rule,
 * RFC 9000, 8.1). */
#define ADMISSION_AMPLIFY_MAX 3u

struct network {
    uint64_t mask[2], want[2]; /* a source is inside when (addr & mask) == want */
};

struct admission_list {
    uint32_t nb_networks; /* 0: nobody; then networks[0] matches nothing */
    struct network networks[ADMISSION_NETWORKS_MAX];
};

struct admission {
    struct admission_list allow, admin, trusted;
};

/* NULL, or one sentence for the user. */
const char *admission_open(struct admission *admission, const struct service_config *config);

static inline bool network_has(const struct network *network, uint64_t high, uint64_t low)
{
    return (((high & network->mask[0]) ^ network->want[0]) |
            ((low & network->mask[1]) ^ network->want[1])) == 0;
}

static inline bool admission_has(const struct admission_list *list, const struct source *source)
{
    uint64_t high = load64(source->addr), low = load64(source->addr + 8);
    if (__builtin_expect(network_has(&list->networks[0], high, low), 1))
        return true;
    for (uint32_t i = 1; i < list->nb_networks; i++) {
        if (network_has(&list->networks[i], high, low))
            return true;
    }
    return false;
}

/* May a reply of so many bytes, all datagrams and frames together, go to this source? */
static inline bool admission_reply_fits(const struct admission *admission,
                                        const struct source *source, uint64_t request_bytes,
                                        uint64_t reply_bytes)
{
    return reply_bytes <= ADMISSION_AMPLIFY_MAX * request_bytes ||
           admission_has(&admission->trusted, source);
}

#endif
