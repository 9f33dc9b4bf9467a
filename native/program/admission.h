/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admission: who is answered, who may administer, who may be sent long replies. One place for every
 * service: serve.c has each burst admitted before the service sees it.
 *
 * A list of networks is compiled once into masks, so that the test of a source is two ANDs and two
 * compares per network, the first of them without a loop: it runs for every request. The compiled
 * lists are copies.
 */
#ifndef NEARMETAL_ADMISSION_H
#define NEARMETAL_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "service.h"

#define ADMISSION_NETWORKS_MAX 32

/* One network of a list: the first prefix_bits of addr count. */
struct cidr {
    uint8_t addr[16];     /* as in struct source: 127.0.0.0/8 is ::ffff:127.0.0.0/104 */
    uint32_t prefix_bits; /* 0..128 */
};

struct cidr_list {
    const struct cidr *networks;
    uint32_t nb_networks; /* 0: no source is inside */
};

struct admission_config {
    struct cidr_list allow;   /* sources that are answered at all */
    struct cidr_list admin;   /* of these, sources that may administer */
    struct cidr_list trusted; /* of these, sources whose replies may exceed 3 x their request */
};

struct network {
    uint64_t mask[2], want[2]; /* a source is inside when (addr & mask) == want */
};

struct admission_list {
    uint32_t nb_networks; /* 0: no source is inside, and networks[0] matches none */
    struct network networks[ADMISSION_NETWORKS_MAX];
};

struct admission {
    struct admission_list allow, admin, trusted;
    struct network usual; /* the first of `allow`, where the other lists are `allow` over again */
};

/* NULL, or one sentence for the user. */
const char *admission_open(struct admission *admission, const struct admission_config *config);

/*
 * Of each request that is not dropped yet: drop it (too short, then its source), or say what its
 * source may (its rights). True: all that are not dropped are trusted, and no reply is bounded.
 */
bool admission_admit(const struct admission *admission, uint32_t request_bytes_min,
                     struct request *requests, unsigned nb_requests);

/* What was sent of the request answered last; a reply of many datagrams takes several calls. Begins
 * each burst as zeros. */
struct admission_sent {
    uint32_t request, bytes;
};

/*
 * Take out replies that exceed request_reply_bytes_max, so that no service amplifies: what is left
 * stays in order, the others' requests become drops. Returns how many are left.
 */
unsigned admission_bound(struct admission_sent *sent, struct request *requests,
                         struct reply *replies, unsigned nb);

bool admission_has(const struct admission_list *list, const struct source *source);

#endif
