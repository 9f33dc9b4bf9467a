/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop: receive, handle, send. One turn is one burst. */
#include "serve.h"

#include <time.h>

uint64_t serve_now_ns(void)
{
    /* The coarse clocks are read in a few nanoseconds and resolve a few milliseconds: the service
     * counts seconds. Monotonic from the first call on, so that a clock step expires nothing. */
    static int64_t wall_minus_monotonic_ns;
    struct timespec monotonic;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &monotonic);
    int64_t monotonic_ns = monotonic.tv_sec * 1000000000ll + monotonic.tv_nsec;
    if (wall_minus_monotonic_ns == 0) {
        struct timespec wall;
        clock_gettime(CLOCK_REALTIME_COARSE, &wall);
        wall_minus_monotonic_ns = wall.tv_sec * 1000000000ll + wall.tv_nsec - monotonic_ns;
    }
    return (uint64_t)(monotonic_ns + wall_minus_monotonic_ns);
}

/* What did not leave makes its request a drop: it was not answered whole. */
static void send_replies(struct serve *serve, struct request *requests, const struct reply *replies,
                         unsigned nb)
{
    bool sent[SERVICE_BURST_MAX];

    datapath_tx_burst(serve->datapath, replies, nb, sent);
    for (unsigned i = 0; i < nb; i++) {
        if (sent[i])
            serve->counters.nb_replies++;
        else
            requests[replies[i].request].drop = DROP_TX;
    }
}

/* One burst, from the service to release. */
static void turn(struct serve *serve, uint64_t now_ns, unsigned nb_rx, struct request *requests)
{
    struct reply replies[SERVICE_BURST_MAX];
    unsigned nb_new = nb_rx;
    bool more;

    do {
        unsigned room = datapath_lend(serve->datapath, replies, SERVICE_BURST_MAX);
        unsigned nb =
            service_handle_burst(serve->service, now_ns, requests, nb_new, replies, room, &more);
        send_replies(serve, requests, replies, nb);
        nb_new = 0;
    } while (more);

    for (unsigned i = 0; i < nb_rx; i++)
        serve->counters.nb_by_reason[requests[i].drop]++;
    serve->counters.nb_received += nb_rx;
    datapath_release(serve->datapath);
}

void serve_until(struct serve *serve, uint64_t until_ns)
{
    struct request requests[SERVICE_BURST_MAX];
    uint64_t now_ns = serve_now_ns();

    while (!*serve->stop && !*serve->ask && now_ns < until_ns) {
        unsigned nb_rx = datapath_rx_burst(serve->datapath, requests, serve->batch);
        now_ns = serve_now_ns(); /* after the wait: a request must not meet a stale clock */
        if (nb_rx > 0)
            turn(serve, now_ns, nb_rx, requests);
    }
}

void serve_drain(struct serve *serve, unsigned max_turns)
{
    struct request requests[SERVICE_BURST_MAX];

    for (unsigned i = 0; i < max_turns; i++) {
        unsigned nb_rx = datapath_rx_burst(serve->datapath, requests, serve->batch);
        if (nb_rx == 0)
            return;
        turn(serve, serve_now_ns(), nb_rx, requests);
    }
}
