/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-null-vhost: the thinnest server for a vhost-user wire. It returns every frame in place, with
 * MACs, addresses and ports swapped. The generator's rate against it is the ceiling of the wire.
 *
 * One pool of buffers, as many as a ring has places. A buffer that the generator has written to (rx
 * ring) is offered for reading (tx ring), is returned, and is offered for writing again. Buffer i
 * is descriptor i of both rings.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tmmintrin.h>
#include <x86intrin.h>

#include "vhost_front.h"
#include "vring_driver.h"

#define BURST_MAX 64u
#define LOOK_TURNS 4096u /* turns between checks that the generator is still connected */
#define RING_DEFAULT 1024u
#define RING_MAX 4096u
#define HEADERS_BYTES 42u /* Ethernet, IPv4, UDP */
#define ROOM_BYTES (VIRTIO_NET_HEADER_BYTES + 1514u)
/* An odd number of cache lines: buffers whose distance is a power of two would compete for the same
 * few cache sets. */
#define STRIDE_BYTES 1600u

static const char mac[] = "02:00:00:00:00:02";

struct null {
    struct vhost_front front;
    struct vring_driver rx, tx;
    uint16_t rx_order[RING_MAX], tx_order[RING_MAX];
    uint32_t tx_len[RING_MAX]; /* the length in descriptor i of tx */
    bool unkicked;
    uint64_t nb_received, nb_bad, busy_cycles, empty_cycles;
};

static volatile sig_atomic_t stop, say, wake; /* wake: ends a wait for a generator */

static void on_signal(int number)
{
    if (number == SIGUSR1)
        say = 1;
    else
        stop = 1;
    wake = 1;
}

static uint8_t *buffer(const struct null *null, uint16_t i)
{
    return null->front.buffers + (size_t)i * STRIDE_BYTES;
}

/* MACs are bytes 0 to 11; IPv4 addresses 26 to 33 and ports 34 to 37, if IPv4 has no options. */
static void turn_round(uint8_t *frame)
{
    const __m128i macs = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);
    const __m128i ends = _mm_setr_epi8(4, 5, 6, 7, 0, 1, 2, 3, 10, 11, 8, 9, 12, 13, 14, 15);
    __m128i *first = (__m128i *)(void *)frame;
    __m128i *second = (__m128i *)(void *)(frame + HEADERS_BYTES - sizeof(__m128i));

    _mm_storeu_si128(first, _mm_shuffle_epi8(_mm_loadu_si128(first), macs));
    _mm_storeu_si128(second, _mm_shuffle_epi8(_mm_loadu_si128(second), ends));
}

/* Return frames from the generator to it. Returns how many were received. */
static unsigned answer(struct null *null)
{
    unsigned nb = vring_driver_ready(&null->rx, BURST_MAX);

    nb = nb < BURST_MAX ? nb : BURST_MAX;
    for (unsigned i = 0; i < nb; i++)
        vring_prefetch_write(buffer(null, vring_driver_peek(&null->rx, (uint16_t)i)));
    for (unsigned i = 0; i < nb; i++) {
        uint32_t len;
        uint16_t id = vring_driver_take(&null->rx, &len);
        if (len < VIRTIO_NET_HEADER_BYTES + HEADERS_BYTES || len > ROOM_BYTES) {
            null->nb_bad++;
            vring_driver_offer(&null->rx, id);
            continue;
        }
        turn_round(buffer(null, id) + VIRTIO_NET_HEADER_BYTES);
        if (null->tx_len[id] != len) {
            null->tx_len[id] = len;
            atomic_store_explicit(&null->tx.ring.desc[id].len, len, memory_order_relaxed);
        }
        vring_driver_offer(&null->tx, id);
    }
    null->nb_received += nb;
    vring_driver_publish(&null->tx);
    return nb;
}

/* Offer buffers that the generator has read for writing again. Only when idle, or when many are
 * out: reading the generator's index may transfer its cache line. */
static unsigned recycle(struct null *null, bool rests)
{
    uint16_t nb_out = (uint16_t)(null->tx.nb_offered - null->tx.nb_taken);

    if (!rests && nb_out < vring_many(null->tx.ring.size))
        return 0;
    unsigned nb = vring_driver_used(&null->tx);

    for (unsigned i = 0; i < nb; i++) {
        uint32_t len;
        vring_driver_offer(&null->rx, vring_driver_take(&null->tx, &len));
    }
    vring_driver_publish(&null->rx);
    return nb;
}

/* Kick a generator that sleeps, after the last frame of a burst: a generator that polls needs no
 * kick, and under load no turn is empty. */
static void kick(struct null *null)
{
    null->unkicked = false;
    if (vring_driver_kick_wanted(&null->tx))
        vhost_front_kick(&null->front, VHOST_FRONT_TX);
    if (vring_driver_kick_wanted(&null->rx))
        vhost_front_kick(&null->front, VHOST_FRONT_RX);
}

static void print_counts(const struct null *null, const char *event)
{
    printf("{\"event\":\"%s\",\"received\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"busy_cycles\":%" PRIu64
           ",\"empty_cycles\":%" PRIu64 "}\n",
           event, null->nb_received, null->nb_bad, null->busy_cycles, null->empty_cycles);
    fflush(stdout);
}

/* Set up the rings for a new generator, with all buffers offered for writing. */
static void fill(struct null *null)
{
    const struct vhost_front *front = &null->front;
    bool in_order = front->features & 1ull << VIRTIO_F_IN_ORDER;

    vring_driver_init(&null->rx, &front->rings[VHOST_FRONT_RX], null->rx_order, in_order);
    vring_driver_init(&null->tx, &front->rings[VHOST_FRONT_TX], null->tx_order, in_order);
    for (uint32_t i = 0; i < front->config.ring_size; i++) {
        uint64_t at = front->buffers_guest + (uint64_t)i * STRIDE_BYTES;
        vring_driver_describe(&null->rx, (uint16_t)i, at, ROOM_BYTES, VRING_DESC_F_WRITE);
        vring_driver_describe(&null->tx, (uint16_t)i, at, 0, 0);
        null->tx_len[i] = 0;
        vring_driver_offer(&null->rx, (uint16_t)i);
    }
    vring_driver_publish(&null->rx);
}

static void say_when_asked(const struct null *null)
{
    if (!say)
        return;
    say = 0;
    print_counts(null, "counters");
}

/* Serve until the generator leaves or *stop is set. */
static void serve(struct null *null)
{
    uint64_t before = __rdtsc();

    for (uint64_t turn = 1; !stop && !null->rx.broken && !null->tx.broken; turn++) {
        unsigned nb = answer(null);
        nb += recycle(null, nb == 0);
        uint64_t now = __rdtsc();
        if (nb > 0) {
            null->busy_cycles += now - before;
            null->unkicked = true;
        } else {
            null->empty_cycles += now - before;
            if (null->unkicked)
                kick(null);
        }
        before = now;
        if (turn % LOOK_TURNS == 0 && vhost_front_lost(&null->front))
            return;
        say_when_asked(null);
    }
}

/* Wait for a generator. Returns false if this program must stop. */
static bool wait_for_generator(struct null *null)
{
    do {
        wake = 0; /* before the checks: a signal after one of them ends the wait at once */
        say_when_asked(null);
        if (stop)
            return false;
    } while (!vhost_front_connect(&null->front, &wake));
    return true;
}

static int run(struct null *null, const struct vhost_front_config *config)
{
    const char *error = vhost_front_open(&null->front, config);

    if (error != NULL) {
        fprintf(stderr, "nm-null-vhost: %s\n", error);
        return 1;
    }
    printf("{\"event\":\"ready\",\"mac\":\"%s\"}\n", mac);
    fflush(stdout);
    while (wait_for_generator(null)) {
        fill(null);
        if (vhost_front_start(&null->front))
            serve(null);
    }
    print_counts(null, "final");
    vhost_front_close(&null->front);
    return 0;
}

static bool options_parse(int argc, char **argv, struct vhost_front_config *config)
{
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                          {"listen", no_argument, NULL, 'l'},
                                          {"ring", required_argument, NULL, 'r'},
                                          {"hugepages", no_argument, NULL, 'H'},
                                          {NULL, 0, NULL, 0}};
    char *end;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 's')
            config->path = optarg;
        else if (option == 'l')
            config->listen = true;
        else if (option == 'H')
            config->hugepages = true;
        else if (option == 'r')
            config->ring_size = (uint32_t)strtoul(optarg, &end, 10);
        else
            return false;
        if (option == 'r' && *end != '\0')
            return false;
    }
    config->buffers_bytes = (size_t)config->ring_size * STRIDE_BYTES;
    return config->path != NULL && vring_size_valid(config->ring_size) &&
           config->ring_size <= RING_MAX && optind == argc;
}

int main(int argc, char **argv)
{
    static struct null null;
    struct vhost_front_config config = {.ring_size = RING_DEFAULT};
    struct sigaction action = {.sa_handler = on_signal};

    if (!options_parse(argc, argv, &config)) {
        fputs("nm-null-vhost: give --socket PATH [--listen] [--ring N] [--hugepages], N a power of "
              "two, at most 4096\n",
              stderr);
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    return run(&null, &config);
}
