/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop: receive, handle, send. One turn handles one burst. */
#include "serve.h"

static inline bool is_set(const atomic_int *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed) != 0;
}

/* Send. A request whose reply, or a part of it, did not leave becomes a drop. */
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

/* Announce each request to the service once, as early as the datapath can see it. */
static void look_ahead(struct serve *serve, const struct request *requests, unsigned nb_rx)
{
    struct request next[SERVICE_BURST_MAX];
    unsigned nb_known = serve->nb_ahead < nb_rx ? serve->nb_ahead : nb_rx;
    unsigned nb_next = datapath_ahead(serve->datapath, next, SERVICE_BURST_MAX);

    if (nb_known < nb_rx)
        service_ahead(serve->service, requests + nb_known, nb_rx - nb_known);
    if (nb_next > 0)
        service_ahead(serve->service, next, nb_next);
    serve->nb_ahead += nb_next - nb_known;
}

/* Handle one burst, from the announcement to release. */
static void turn(struct serve *serve, uint64_t now_ns, unsigned nb_rx, struct request *requests)
{
    struct reply replies[SERVICE_BURST_MAX];
    struct admission_sent sent = {0};
    unsigned nb_new = nb_rx;
    bool more;

    look_ahead(serve, requests, nb_rx);
    bool all_trusted =
        admission_admit(&serve->admission, service_request_bytes_min, requests, nb_rx);
    do {
        unsigned room = datapath_lend(serve->datapath, replies, SERVICE_BURST_MAX);
        unsigned nb =
            service_handle_burst(serve->service, now_ns, requests, nb_new, replies, room, &more);
        if (__builtin_expect(!all_trusted, 0))
            nb = admission_bound(&sent, requests, replies, nb);
        send_replies(serve, requests, replies, nb);
        nb_new = 0;
    } while (more);

    /* Count answered requests in a register: incrementing one counter in memory for each would make
     * every increment wait for the one before. */
    unsigned nb_answered = 0;
    for (unsigned i = 0; i < nb_rx; i++) {
        if (__builtin_expect(requests[i].drop == DROP_NONE, 1))
            nb_answered++;
        else
            serve->counters.nb_by_reason[requests[i].drop]++;
    }
    serve->counters.nb_by_reason[DROP_NONE] += nb_answered;
    serve->counters.nb_received += nb_rx;
    datapath_release(serve->datapath);
}

void serve_until(struct serve *serve, uint64_t until_ns)
{
    struct request requests[SERVICE_BURST_MAX];
    uint64_t now_ns = serve_now_ns();

    while (!is_set(serve->stop) && !is_set(serve->ask) && now_ns < until_ns) {
        unsigned nb_rx = datapath_rx_burst(serve->datapath, requests, serve->batch);
        now_ns = serve_now_ns(); /* after the wait, so that no request gets an old time */
        if (nb_rx > 0)
            turn(serve, now_ns, nb_rx, requests);
        else
            serve->nb_ahead = 0; /* announced frames of a lost ring never arrive */
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
