/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-<udp or lwip>-<service>: cycles per request of a datagram datapath over frames with its
 * service, on a wire in memory.
 *
 *     bench-lwip-kv [REQUESTS [KEYS [checksum]]]
 *
 * Requests (95 % GET, Zipf 0.99) are rendered beforehand and copied into the frames of a ring in
 * turn; replies are checked (length, IPv4 checksum, first bytes). The first figure is the cost of
 * that wire alone; the second figure includes it. The tests run it with few requests.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bed.h"
#include "../check.h"
#include "checksum.h"
#include "clock.h"
#include "workload.h"

#define RING_FRAMES 256u /* a generator's window */
#define SLOT_BYTES 2048u
#define STREAM_FRAMES 65536u
#define STREAM_SLOT 128u
#define MEMORY_PER_KEY 256u
#define NB_ROUNDS 9u

const char datapath_name[] __attribute__((weak)) = "memory";

struct frames {
    uint8_t (*ring)[SLOT_BYTES];
    uint8_t *free[RING_FRAMES]; /* first in, first out, like the buffers of a ring */
    uint32_t head, nb_free;
    uint8_t (*stream)[STREAM_SLOT];
    uint32_t stream_len[STREAM_FRAMES];
    uint32_t next;
    uint64_t nb_left, nb_sent, nb_bad, nb_long;
    uint32_t hit_bytes;
};

static struct frames wire;

static uint8_t *take(struct frames *frames)
{
    frames->nb_free--;
    return frames->free[frames->head++ % RING_FRAMES];
}

static void give(struct frames *frames, uint8_t *data)
{
    frames->free[(frames->head + frames->nb_free++) % RING_FRAMES] = data;
}

const char *frames_open(struct frames **frames, const struct datapath_config *config)
{
    (void)config;
    *frames = &wire;
    wire.ring = aligned_alloc(4096, sizeof(*wire.ring) * RING_FRAMES);
    wire.stream = aligned_alloc(4096, sizeof(*wire.stream) * STREAM_FRAMES);
    CHECK(wire.ring != NULL && wire.stream != NULL);
    memset(wire.ring, 0, sizeof(*wire.ring) * RING_FRAMES);
    for (unsigned i = 0; i < RING_FRAMES; i++)
        give(&wire, wire.ring[i]);
    return NULL;
}

void frames_mac(const struct frames *frames, uint8_t mac[6])
{
    (void)frames;
    memcpy(mac, bed_server_mac, 6);
}

uint64_t frames_tsc_hz(const struct frames *frames)
{
    (void)frames;
    return 2000000000;
}

unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb)
{
    if (nb > frames->nb_left)
        nb = (unsigned)frames->nb_left;
    for (unsigned i = 0; i < nb; i++) {
        uint32_t at = frames->next++ % STREAM_FRAMES;
        uint8_t *data = take(frames);
        memcpy(data, frames->stream[at], STREAM_SLOT);
        out[i] = (struct frame){.data = data, .len = frames->stream_len[at], .buffer = data};
    }
    frames->nb_left -= nb;
    return nb;
}

unsigned frames_ahead(struct frames *frames, struct frame *out, unsigned nb)
{
    (void)frames, (void)out, (void)nb;
    return 0;
}

unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        if (frames->nb_free <= RING_FRAMES / 2)
            return i;
        uint8_t *data = take(frames);
        out[i] = (struct frame){.data = data, .buffer = data};
    }
    return nb;
}

unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        const uint8_t *data = list[i].data;
        frames->nb_long += list[i].len == FRAME_PAYLOAD_OFFSET + frames->hit_bytes;
        if ((frames->nb_sent++ & 63) == 0)
            frames->nb_bad +=
                checksum_fold(checksum_add(0, data + FRAME_NETWORK_OFFSET, 20)) != 0xffff ||
                memcmp(data, bed_client_mac, 6) != 0 || memcmp(data + 30, bed_client_ip, 4) != 0 ||
                bed_get16(data + 36) != 40000 || bed_get16(data + 38) + 34 != list[i].len;
        give(frames, list[i].buffer);
    }
    return nb;
}

void frames_free(struct frames *frames, const struct frame *list, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        give(frames, list[i].buffer);
}

bool frames_wait(struct frames *frames, uint64_t ns)
{
    (void)frames;
    (void)ns;
    return true;
}

void frames_stats(const struct frames *frames, struct datapath_stats *stats)
{
    (void)frames;
    (void)stats;
}

void frames_close(struct frames *frames)
{
    free(frames->ring);
    free(frames->stream);
}

static void render(uint32_t at, const struct format *format, struct draw draw, bool with_checksum)
{
    static struct bed_frame frame;
    uint8_t payload[STREAM_SLOT];
    uint32_t len = format_request(format, payload, (uint16_t)at,
                                  draw.op == OP_SET ? OP_SET : OP_GET, draw.number, 1);
    CHECK(len + FRAME_PAYLOAD_OFFSET <= STREAM_SLOT);
    bed_request(&frame, payload, len);
    if (with_checksum)
        bed_seal_udp(&frame);
    wire.stream_len[at] = frame.len;
    memcpy(wire.stream[at], frame.bytes, STREAM_SLOT);
}

/* Serve nb requests, from the wire and back to it, and return the cycles. */
static uint64_t serve(struct datapath *dp, struct service *service, uint64_t nb)
{
    struct request requests[SERVICE_BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX], more = false;
    uint64_t cycles = clock_cycles();
    wire.nb_left = nb;
    while (wire.nb_left > 0) {
        unsigned nb_rx = datapath_rx_burst(dp, requests, SERVICE_BURST_MAX);
        for (unsigned i = 0; i < nb_rx; i++)
            requests[i].rights = REQUEST_TRUSTED;
        unsigned room = datapath_lend(dp, replies, SERVICE_BURST_MAX);
        unsigned nb_tx =
            service_handle_burst(service, 1000000000, requests, nb_rx, replies, room, &more);
        CHECK(!more && nb_tx == nb_rx);
        datapath_tx_burst(dp, replies, nb_tx, sent);
        datapath_release(dp);
    }
    return clock_cycles() - cycles;
}

/* Return the cycles of the wire alone: every frame is sent back unchanged. */
static uint64_t turn_round(uint64_t nb)
{
    struct frame list[SERVICE_BURST_MAX];
    uint64_t cycles = clock_cycles();
    wire.nb_left = nb;
    while (wire.nb_left > 0)
        frames_tx_burst(&wire, list, frames_rx_burst(&wire, list, SERVICE_BURST_MAX));
    wire.nb_sent = wire.nb_bad = 0; /* these frames were requests */
    return clock_cycles() - cycles;
}

static struct service *open_service(uint32_t nb_keys)
{
    uint64_t nb_bytes = (64u << 20) + (uint64_t)nb_keys * MEMORY_PER_KEY;
    void *memory = mmap(NULL, nb_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    (void)madvise(memory, nb_bytes, MADV_HUGEPAGE);
    struct service_config config = {
        .memory = memory, .memory_bytes = nb_bytes, .seed = {7, 1}, .now_ns = 1000000000};
    struct service *service;
    CHECK(service_open(&service, &config) == NULL);
    return service;
}

static void preload(struct datapath *dp, struct service *service, const struct format *format,
                    uint32_t nb_keys)
{
    for (uint32_t first = 0; first < nb_keys; first += STREAM_FRAMES) {
        uint32_t nb = nb_keys - first < STREAM_FRAMES ? nb_keys - first : STREAM_FRAMES;
        for (uint32_t i = 0; i < nb; i++)
            render(i, format, (struct draw){.number = first + i, .op = OP_SET}, false);
        wire.next = 0;
        serve(dp, service, nb);
    }
}

int main(int argc, char **argv)
{
    static struct workload workload;
    uint64_t nb = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    struct workload_config load = {.nb_keys =
                                       argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000,
                                   .set = 0.05,
                                   .zipf = 0.99,
                                   .seed = 1};
    struct datapath_config config = {
        .listen = {.addr = {[10] = 255, 255, 10, 0, 0, 2}, .port = BED_PORT}, .poll = true};
    struct format format;
    struct datapath *dp;
    CHECK(datapath_open(&dp, &config) == NULL && format_init(&format, 16, 32));
    struct service *service = open_service(load.nb_keys);
    wire.hit_bytes = format.hit_bytes;
    preload(dp, service, &format, load.nb_keys);
    workload_init(&workload, &load);
    for (uint32_t i = 0; i < STREAM_FRAMES; i++)
        render(i, &format, workload_draw(&workload), argc > 3);
    wire.nb_long = wire.nb_sent = 0;
    for (unsigned round = 0; round < NB_ROUNDS; round++) {
        double alone = (double)turn_round(nb) / (double)nb;
        double whole = (double)serve(dp, service, nb) / (double)nb;
        CHECK(wire.nb_sent == nb && wire.nb_bad == 0);
        printf("{\"service\":\"%s\",\"requests\":%" PRIu64
               ",\"wire_cycles\":%.1f,\"cycles_per_request\":%.1f}\n",
               service_words.name, nb, alone, whole);
    }
    CHECK(strcmp(service_words.name, "echo") == 0 || wire.nb_long > NB_ROUNDS * nb / 2);
    datapath_close(dp);
    return 0;
}
