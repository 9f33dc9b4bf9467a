/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-uk-limit: the `limit-uk` responder, an image with nothing but its driver: netdev, and headers
 * turned round. No service, no checks, no ARP. The cost of a `uk` rung beyond this responder is the
 * cost of frames/ and the service.
 */
#include "boot.h"
#include "frames.h"
#include "turns.h"

const struct service_words service_words = {.name = "null"};

struct limit {
    struct frames *frames;
    struct turns turns;
    struct serve_counters counters;
};

#define TURN_ROUND_BYTES 42u /* Ethernet, IPv4, UDP */

/*
 * MACs are bytes 0 to 11; IPv4 addresses 26 to 33 and ports 34 to 37, if IPv4 has no options.
 * Swapped in whole words, without the vector shuffle of native/tools/null_vhost.c: vectors are slow
 * on an emulated processor.
 */
static inline void turn_round(uint8_t *frame)
{
    uint64_t macs, addresses;
    uint32_t rest, ports;

    __builtin_memcpy(&macs, frame, 8);
    __builtin_memcpy(&rest, frame + 8, 4);
    __builtin_memcpy(&addresses, frame + 26, 8);
    __builtin_memcpy(&ports, frame + 34, 4);
    uint64_t first = macs >> 48 | (uint64_t)rest << 16 | macs << 48;
    rest = (uint32_t)(macs >> 16);
    addresses = addresses >> 32 | addresses << 32;
    ports = ports >> 16 | ports << 16;
    __builtin_memcpy(frame, &first, 8);
    __builtin_memcpy(frame + 8, &rest, 4);
    __builtin_memcpy(frame + 26, &addresses, 8);
    __builtin_memcpy(frame + 34, &ports, 4);
}

static void count(struct limit *limit, enum drop_reason reason, unsigned nb)
{
    limit->counters.nb_received += nb;
    limit->counters.nb_by_reason[reason] += nb;
}

/* Receive a burst, turn the headers round and send. Frames without whole headers are dropped. */
static void turn(struct limit *limit, unsigned batch)
{
    struct frame list[SERVICE_BURST_MAX], *kept = list;
    turns_begin(&limit->turns);
    unsigned nb = frames_rx_burst(limit->frames, list, batch);
    turns_found(&limit->turns, limit->frames, nb);

    for (unsigned i = 0; i < nb; i++) {
        if (list[i].len - TURN_ROUND_BYTES > FRAME_BYTES_MAX - TURN_ROUND_BYTES) {
            frames_free(limit->frames, &list[i], 1);
            count(limit, DROP_FRAME, 1);
            continue;
        }
        turn_round(list[i].data);
        *kept++ = list[i];
    }
    if (kept == list)
        return;
    unsigned nb_kept = (unsigned)(kept - list);
    unsigned nb_tx = frames_tx_burst(limit->frames, list, nb_kept);
    if (nb_tx < nb_kept)
        frames_free(limit->frames, list + nb_tx, nb_kept - nb_tx);
    count(limit, DROP_NONE, nb_tx);
    count(limit, DROP_TX, nb_kept - nb_tx);
    limit->counters.nb_replies += nb_tx;
}

static struct report report_of(const struct limit *limit)
{
    struct report report = {.serve = limit->counters, .datapath = limit->turns.stats};

    frames_stats(limit->frames, &report.datapath);
    return report;
}

static bool is_set(const atomic_int *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed) != 0;
}

_Noreturn void image_main(void)
{
    static struct limit limit;
    struct boot boot;

    boot_open(&boot);
    const struct datapath_config *config = &boot.options->datapath;
    const char *error = frames_open(&limit.frames, config);
    if (error != NULL)
        boot_fail(BOOT_FAILED, error);
    turns_open(&limit.turns, config->poll, frames_tsc_hz(limit.frames));
    boot_ready(&config->listen);
    while (!is_set(boot.stop)) {
        turn(&limit, config->batch);
        if (is_set(boot.ask)) {
            struct report report = report_of(&limit);
            boot_report(&report);
        }
    }
    struct report report = report_of(&limit);
    frames_close(limit.frames);
    boot_exit(&report);
}
