/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A datagram datapath (datapath.h) made of a frame datapath (frames.h).
 *
 * The frame that a request came in becomes its reply: the payload is the request's room, and the
 * headers are turned round in front of it. Frames that are no request to us reach the service with
 * their drop reason set; the answers to ARP and ICMP among them leave with the burst's replies.
 *
 * One read of the time stamp counter a turn says where its cycles went: to a turn that found
 * something or to one that found nothing. After a millisecond without a frame, empty turns sleep.
 */
#include "usual.h"

#define IDLE_PER_SECOND 1000u /* 1 ms */
#define NOT_SENT UINT8_MAX

struct datapath {
    struct net net;
    struct source listen;
    struct frames *frames;
    bool poll;
    bool is_busy;         /* the turn at hand found something */
    uint64_t turn_tsc;    /* when it began */
    uint64_t frame_tsc;   /* when a frame was last there */
    uint64_t idle_cycles; /* empty turns sleep after so many */
    struct datapath_stats stats;
    unsigned nb_rx, nb_left;            /* frames of the burst; of these still ours */
    struct frame rx[SERVICE_BURST_MAX]; /* data NULL: left */
    unsigned nb_answers;                /* of the burst's frames: now answers to ARP or ICMP */
    uint8_t answers[SERVICE_BURST_MAX]; /* which */
    unsigned nb_spares, nb_spares_left;
    struct frame spares[SERVICE_BURST_MAX]; /* data NULL: left */
    uint8_t
        turned[FRAME_PAYLOAD_OFFSET]; /* headers of the last reply, which may yet be continued */
    uint8_t lost[SERVICE_DATAGRAM_BYTES]; /* lent when no frame is to be had */
};

/* The frames of one tx_burst: first the answers, then the replies. */
struct outgoing {
    unsigned nb;
    struct frame list[2 * SERVICE_BURST_MAX];
};

static const char *check_listen(const struct source *listen)
{
    static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t first = listen->addr[12];
    if (__builtin_memcmp(listen->addr, mapped_prefix, sizeof(mapped_prefix)) != 0)
        return "--listen: a frame datapath speaks IPv4 only; give an IPv4 address";
    if (first == 0 || first == 127 || first >= 224)
        return "--listen: give the IPv4 address that this server is to have on the wire, as "
               "10.0.0.2:11211";
    if (listen->port == 0)
        return "--listen: a frame datapath cannot choose a port; give one";
    return NULL;
}

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    static struct datapath udp;
    struct datapath *dp = &udp;
    uint8_t mac[6];

    *datapath = dp;
    const char *error = check_listen(&config->listen);
    if (error == NULL)
        error = frames_open(&dp->frames, config);
    if (error != NULL)
        return error;
    frames_mac(dp->frames, mac);
    net_open(&dp->net, mac, config->listen.addr + 12, config->listen.port);
    dp->listen = config->listen;
    dp->poll = config->poll;
    dp->idle_cycles = frames_tsc_hz(dp->frames) / IDLE_PER_SECOND;
    dp->turn_tsc = dp->frame_tsc = __builtin_ia32_rdtsc();
    return NULL;
}

struct source datapath_listen(const struct datapath *dp)
{
    return dp->listen;
}

/* The turn that ends now. */
static inline void count_turn(struct datapath *dp, uint64_t now_tsc)
{
    uint64_t cycles = now_tsc - dp->turn_tsc;
    dp->stats.busy_cycles += dp->is_busy ? cycles : 0;
    dp->stats.empty_cycles += dp->is_busy ? 0 : cycles;
    dp->turn_tsc = now_tsc;
}

static void receive_unusual(struct datapath *dp, unsigned index, struct request *request)
{
    bool answer;
    net_receive(&dp->net, &dp->rx[index], request, &answer);
    if (answer)
        dp->answers[dp->nb_answers++] = (uint8_t)index;
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    uint64_t now_tsc = __builtin_ia32_rdtsc();
    count_turn(dp, now_tsc);
    unsigned nb_rx = frames_rx_burst(dp->frames, dp->rx, nb);
    dp->is_busy = nb_rx > 0;
    if (nb_rx == 0) {
        dp->stats.nb_empty_rx++;
        if (!dp->poll && now_tsc - dp->frame_tsc > dp->idle_cycles)
            frames_wait(dp->frames, DATAPATH_WAIT_NS);
        return 0;
    }
    dp->frame_tsc = now_tsc;
    dp->nb_rx = dp->nb_left = nb_rx;
    dp->nb_answers = 0;
    for (unsigned i = 0; i < nb_rx; i++) {
        if (__builtin_expect(!net_usual(&dp->net, &dp->rx[i], &requests[i]), 0))
            receive_unusual(dp, i, &requests[i]);
    }
    return nb_rx;
}

/* Spares that left make room. */
static void compact_spares(struct datapath *dp)
{
    unsigned nb = 0;
    for (unsigned i = 0; i < dp->nb_spares; i++) {
        if (dp->spares[i].data != NULL)
            dp->spares[nb++] = dp->spares[i];
    }
    dp->nb_spares = nb;
}

static void refill_spares(struct datapath *dp)
{
    compact_spares(dp);
    dp->nb_spares +=
        frames_alloc(dp->frames, dp->spares + dp->nb_spares, SERVICE_BURST_MAX - dp->nb_spares);
    dp->nb_spares_left = dp->nb_spares;
}

unsigned datapath_lend(struct datapath *dp, struct reply *replies, unsigned nb)
{
    if (__builtin_expect(dp->nb_spares_left < SERVICE_BURST_MAX, 0))
        refill_spares(dp);
    if (__builtin_expect(dp->nb_spares == 0, 0)) {
        replies[0].spare = dp->lost;
        return 1;
    }
    nb = nb < dp->nb_spares ? nb : dp->nb_spares;
    for (unsigned i = 0; i < nb; i++)
        replies[i].spare = dp->spares[i].data + FRAME_PAYLOAD_OFFSET;
    return nb;
}

static inline struct frame *frame_of(struct datapath *dp, const struct reply *reply, unsigned slot)
{
    return reply->data == reply->spare ? &dp->spares[slot] : &dp->rx[reply->request];
}

/* The frame goes to the list; it is no longer ours, unless it is given back. */
static inline void put_frame(struct outgoing *out, struct frame *frame, uint32_t len)
{
    struct frame *to = &out->list[out->nb++];
    *to = *frame;
    to->len = len;
    frame->data = NULL;
}

/* Fill the list; position[i]: where reply i is in it. */
static void put_replies(struct datapath *dp, const struct reply *replies, unsigned nb,
                        struct outgoing *out, uint8_t *position)
{
    const uint8_t *turned = dp->turned; /* headers of the reply before */
    for (unsigned i = 0; i < nb; i++) {
        const struct reply *reply = &replies[i];
        struct frame *frame = frame_of(dp, reply, i);
        uint8_t *data = frame->data;
        uint32_t len;
        position[i] = NOT_SENT;
        if (__builtin_expect(reply->data == reply->spare, 0)) {
            if (reply->data == dp->lost)
                continue;
            len = net_continue(&dp->net, data, turned, reply->len);
            dp->nb_spares_left--;
        } else {
            len = net_turn(&dp->net, data, reply->len);
            dp->nb_left--;
        }
        position[i] = (uint8_t)out->nb;
        put_frame(out, frame, len);
        turned = data;
    }
    if (turned != dp->turned)
        __builtin_memcpy(dp->turned, turned, sizeof(dp->turned));
}

/* What was not taken is ours again. */
static void take_back(struct datapath *dp, const struct reply *replies, unsigned nb,
                      const struct outgoing *out, const uint8_t *position, unsigned nb_taken)
{
    for (unsigned i = nb_taken; i < dp->nb_answers; i++) {
        dp->rx[dp->answers[i]] = out->list[i];
        dp->nb_left++;
    }
    for (unsigned i = 0; i < nb; i++) {
        if (position[i] == NOT_SENT || position[i] < nb_taken)
            continue;
        *frame_of(dp, &replies[i], i) = out->list[position[i]];
        if (replies[i].data == replies[i].spare)
            dp->nb_spares_left++;
        else
            dp->nb_left++;
    }
}

void datapath_tx_burst(struct datapath *dp, const struct reply *replies, unsigned nb, bool *sent)
{
    struct outgoing out;
    uint8_t position[SERVICE_BURST_MAX];

    out.nb = 0;
    for (unsigned i = 0; i < dp->nb_answers; i++) {
        struct frame *frame = &dp->rx[dp->answers[i]];
        put_frame(&out, frame, frame->len);
        dp->nb_left--;
    }
    put_replies(dp, replies, nb, &out, position);
    unsigned nb_taken = frames_tx_burst(dp->frames, out.list, out.nb);
    if (__builtin_expect(nb_taken < out.nb, 0))
        take_back(dp, replies, nb, &out, position, nb_taken);
    for (unsigned i = 0; i < nb; i++)
        sent[i] = position[i] < nb_taken;
    dp->nb_answers = 0;
}

void datapath_release(struct datapath *dp)
{
    unsigned nb = 0;
    if (dp->nb_left == 0)
        return;
    for (unsigned i = 0; i < dp->nb_rx; i++) {
        if (dp->rx[i].data != NULL)
            dp->rx[nb++] = dp->rx[i];
    }
    frames_free(dp->frames, dp->rx, nb);
    dp->nb_left = 0;
}

void datapath_stats(const struct datapath *dp, struct datapath_stats *stats)
{
    *stats = dp->stats;
    frames_stats(dp->frames, stats);
}

void datapath_close(struct datapath *dp)
{
    compact_spares(dp);
    frames_free(dp->frames, dp->spares, dp->nb_spares);
    dp->nb_spares = dp->nb_spares_left = 0;
    frames_close(dp->frames);
}
