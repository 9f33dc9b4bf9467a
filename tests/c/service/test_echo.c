/* SPDX-License-Identifier: BSD-3-Clause */
/* Echo: any bytes are returned unchanged, to allowed sources, with few slots too. */
#include <string.h>

#include "bed.h"
#include "../check.h"

enum { NB = 5, ROOM = 3000 };

static uint8_t data[NB][ROOM], rooms[NB][ROOM];

static void fill(struct request *requests, bool alias)
{
    static const uint32_t lens[NB] = {1, 0, 1400, 2000, 9};
    for (unsigned i = 0; i < NB; i++) {
        memset(data[i], (int)('a' + i), ROOM);
        memset(rooms[i], 0, ROOM);
        requests[i] = (struct request){.data = data[i],
                                       .len = lens[i],
                                       .source = bed_source(BED_USER),
                                       .room = alias ? data[i] : rooms[i],
                                       .room_bytes = alias ? ROOM : SERVICE_DATAGRAM_BYTES};
    }
    requests[4].source = bed_source(BED_STRANGER);
}

/* Answer all requests, check each reply, and return the number of replies. */
static unsigned run(struct bed *bed, struct request *requests, unsigned nb_slots)
{
    struct reply replies[NB];
    unsigned nb_new = NB, nb_replies = 0;
    bool more;
    do {
        unsigned nb = bed_handle_burst(bed, requests, nb_new, replies, nb_slots, &more);
        CHECK(nb <= nb_slots && (nb > 0 || !more));
        for (unsigned i = 0; i < nb; i++) {
            const struct request *request = &requests[replies[i].request];
            CHECK(replies[i].data == request->room && replies[i].len == request->len);
            for (uint32_t k = 0; k < request->len; k++)
                CHECK(replies[i].data[k] == 'a' + replies[i].request);
        }
        nb_replies += nb;
        nb_new = 0;
    } while (more);
    return nb_replies;
}

int main(void)
{
    static struct bed bed;
    struct request requests[NB];
    bed_open(&bed, 1 << 20);
    CHECK(strcmp(service_words.name, "echo") == 0);
    for (unsigned nb_slots = 1; nb_slots <= NB; nb_slots++) {
        fill(requests, false);
        CHECK(run(&bed, requests, nb_slots) == 2);
        CHECK(requests[0].drop == DROP_NONE && requests[2].drop == DROP_NONE);
        CHECK(requests[1].drop == DROP_SHORT && requests[4].drop == DROP_SOURCE);
        CHECK(requests[3].drop == DROP_TRUNCATED); /* no room for it */
        fill(requests, true);
        requests[0].drop = DROP_TRUNCATED; /* set by the datapath: skipped */
        CHECK(run(&bed, requests, nb_slots) == 2);
        CHECK(requests[0].drop == DROP_TRUNCATED && requests[3].drop == DROP_NONE);
    }
    bed_close(&bed);
    return 0;
}
