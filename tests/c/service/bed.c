/* SPDX-License-Identifier: BSD-3-Clause */
/* The test bed; see bed.h. Networks: 10/8 all rights, 10.1/16 no admin rights, 10.2/16 no trust. */
#include "bed.h"

#include <stddef.h>
#include <string.h>

#include "../check.h"

static struct cidr ipv4(uint8_t a, uint8_t b, uint32_t bits)
{
    return (struct cidr){.addr = {[10] = 255, 255, a, b}, .prefix_bits = 96 + bits};
}

struct source bed_source(enum bed_who who)
{
    static const uint8_t second[] = {[BED_ADMIN] = 0, [BED_USER] = 1, [BED_UNTRUSTED] = 2};
    struct source source = {.addr = {[10] = 255, 255, 10}, .port = 7};
    if (who == BED_STRANGER)
        source.addr[12] = 11;
    else
        source.addr[13] = second[who];
    return source;
}

void bed_open(struct bed *bed, uint64_t memory_bytes)
{
    static struct cidr allow[1], admin[1], trusted[2];
    allow[0] = ipv4(10, 0, 8);
    admin[0] = ipv4(10, 0, 16);
    trusted[0] = ipv4(10, 0, 16);
    trusted[1] = ipv4(10, 1, 16);
    void *memory = bed->memory;
    memset(bed, 0, offsetof(struct bed, message));
    bed->memory = memory != NULL ? memory : aligned_alloc(64, memory_bytes);
    CHECK(bed->memory != NULL);
    memset(bed->memory, 0, memory_bytes);
    struct service_config config = {.memory = bed->memory,
                                    .memory_bytes = memory_bytes,
                                    .seed = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
                                    .now_ns = BED_START_NS,
                                    .pid = 4711};
    const struct admission_config admitted = {{allow, 1}, {admin, 1}, {trusted, 2}};
    CHECK(admission_open(&bed->admission, &admitted) == NULL);
    CHECK(service_open(&bed->service, &config) == NULL);
    bed->now_ns = BED_START_NS;
    bed->nb_slots = SERVICE_BURST_MAX;
}

void bed_close(struct bed *bed)
{
    free(bed->memory);
    bed->memory = NULL;
}

unsigned bed_handle_burst(struct bed *bed, struct request *requests, unsigned nb_requests,
                          struct reply *replies, unsigned nb_replies, bool *more)
{
    service_ahead(bed->service, requests, nb_requests);
    admission_admit(&bed->admission, service_request_bytes_min, requests, nb_requests);
    if (nb_requests > 0)
        bed->sent = (struct admission_sent){0};
    unsigned nb = service_handle_burst(bed->service, bed->now_ns, requests, nb_requests, replies,
                                       nb_replies, more);
    CHECK(admission_bound(&bed->sent, requests, replies, nb) == nb); /* already bounded */
    return nb;
}

static uint32_t big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void take_datagram(struct bed *bed, const struct reply *reply, const uint8_t *id,
                          uint32_t *total)
{
    CHECK(reply->request == 0);
    CHECK(reply->len > 8 && reply->len <= SERVICE_DATAGRAM_BYTES);
    CHECK(memcmp(reply->data, id, 2) == 0);
    CHECK(big16(reply->data + 2) == bed->nb_datagrams);
    CHECK(big16(reply->data + 6) == 0);
    CHECK(bed->nb_datagrams == 0 || *total == big16(reply->data + 4));
    *total = big16(reply->data + 4);
    memcpy(bed->message + bed->message_bytes, reply->data + 8, reply->len - 8);
    bed->message_bytes += reply->len - 8;
    bed->nb_datagrams++;
}

void bed_ask_raw(struct bed *bed, const void *datagram, uint32_t nb_bytes)
{
    uint32_t room_bytes = nb_bytes > SERVICE_DATAGRAM_BYTES ? nb_bytes : SERVICE_DATAGRAM_BYTES;
    uint8_t *data = malloc(bed->alias ? room_bytes : nb_bytes), *room = malloc(room_bytes);
    uint8_t *spare = malloc(SERVICE_BURST_MAX * SERVICE_DATAGRAM_BYTES), id[2] = {0};
    struct reply replies[SERVICE_BURST_MAX];
    uint32_t nb_new = 1, total = 0, nb_calls = 0;
    bool more;
    CHECK(data != NULL && room != NULL && spare != NULL);
    memcpy(data, datagram, nb_bytes);
    memcpy(id, datagram, nb_bytes < 2 ? nb_bytes : 2);
    struct request request = {.data = data, .len = nb_bytes, .source = bed_source(bed->who)};
    request.room = bed->alias ? data : room;
    request.room_bytes = room_bytes;
    bed->nb_datagrams = bed->message_bytes = 0;
    do {
        for (unsigned i = 0; i < bed->nb_slots; i++)
            replies[i].spare = spare + i * SERVICE_DATAGRAM_BYTES;
        unsigned nb = bed_handle_burst(bed, &request, nb_new, replies, bed->nb_slots, &more);
        CHECK(nb <= bed->nb_slots && (nb > 0 || !more));
        for (unsigned i = 0; i < nb; i++)
            take_datagram(bed, &replies[i], id, &total);
        nb_new = 0;
        CHECK(++nb_calls <= SERVICE_REPLY_DATAGRAMS_MAX + 1);
    } while (more);
    CHECK(total == bed->nb_datagrams);
    CHECK((bed->nb_datagrams > 0) == (request.drop == DROP_NONE));
    bed->drop = request.drop;
    free(data);
    free(room);
    free(spare);
}

void bed_ask_bytes(struct bed *bed, const void *data, uint32_t nb_bytes)
{
    static uint8_t datagram[1 << 17];
    const uint8_t frame[8] = {0x12, 0x34, 0xff, 0, 0, 1, 9, 9};
    CHECK(nb_bytes <= sizeof(datagram) - sizeof(frame));
    memcpy(datagram, frame, sizeof(frame));
    memcpy(datagram + sizeof(frame), data, nb_bytes);
    bed_ask_raw(bed, datagram, nb_bytes + (uint32_t)sizeof(frame));
}

void bed_expect(struct bed *bed, const char *text, const char *answer)
{
    bed_ask_bytes(bed, text, (uint32_t)strlen(text));
    if (bed->message_bytes != strlen(answer) ||
        memcmp(bed->message, answer, bed->message_bytes) != 0) {
        fprintf(stderr, "asked %s\nexpected %s\nfound %.*s\n", text, answer,
                (int)bed->message_bytes, (const char *)bed->message);
        exit(1);
    }
}
