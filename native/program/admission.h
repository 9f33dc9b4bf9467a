/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admission: which sources are answered, which may administer, which may get long replies. One
 * place for every service: serve.c has each burst admitted before the service sees it.
 *
 * A list of networks is compiled once into masks, so that the test of a source is two ANDs and two
 * compares per network. The test runs for every request, so the first network is tested without a
 * loop. The compiled lists are copies.
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
    struct network usual; /* the first of `allow` where the three lists are equal; else `nothing` */
};

/* Compile the lists. Returns NULL, or one sentence for the user. */
const char *admission_open(struct admission *admission, const struct admission_config *config);

/* Admit a burst. For each request that is not dropped: drop it (too short, or source not allowed),
 * or set its rights. Returns whether all that remain are trusted, so that no reply is bounded. */
bool admission_admit(const struct admission *admission, uint32_t request_bytes_min,
                     struct request *requests, unsigned nb_requests);

/* Bytes sent so far for the request answered last: a reply of many datagrams takes several calls.
 * Set to zeros at the start of each burst. */
struct admission_sent {
    uint32_t request, bytes;
};

/* Remove replies that exceed request_reply_bytes_max, so that no service amplifies; their requests
 * become drops. The other replies keep their order. Returns how many remain. */
unsigned admission_bound(struct admission_sent *sent, struct request *requests,
                         struct reply *replies, unsigned nb);

bool admission_has(const struct admission_list *list, const struct source *source);

#endif
