/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A datagram datapath (datapath.h) made of a frame datapath (frames.h).
 *
 * The frame of a request becomes its reply: the payload is the request's room, and the headers are
 * turned round in front of it. Frames that are no request to us are passed on with their drop
 * reason set; the answers to ARP and ICMP among them leave with the burst's replies.
 */
#include "burst.h"
#include "usual.h"

struct datapath {
    struct net net;
    struct source listen;
    struct turns turns;
    struct burst burst;
    uint8_t turned[FRAME_PAYLOAD_OFFSET]; /* headers of the last reply, for its next datagram */
};

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    static struct datapath udp;

    *datapath = &udp;
    udp.listen = config->listen;
    return burst_open(&udp.burst, &udp.net, &udp.turns, config);
}

struct source datapath_listen(const struct datapath *dp)
{
    return dp->listen;
}

static void receive_unusual(struct datapath *dp, unsigned index, struct request *request)
{
    bool answer;
    net_receive(&dp->net, &dp->burst.rx[index], request, &answer);
    if (answer)
        burst_answer(&dp->burst, index);
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    turns_begin(&dp->turns);
    unsigned nb_rx = frames_rx_burst(dp->burst.frames, dp->burst.rx, nb);
    turns_found(&dp->turns, dp->burst.frames, nb_rx);
    if (nb_rx == 0)
        return 0;
    burst_begin(&dp->burst, nb_rx);
    for (unsigned i = 0; i < nb_rx; i++) {
        if (__builtin_expect(!net_usual(&dp->net, &dp->burst.rx[i], &requests[i]), 0))
            receive_unusual(dp, i, &requests[i]);
    }
    return nb_rx;
}

unsigned datapath_ahead(struct datapath *dp, struct request *requests, unsigned nb)
{
    return burst_ahead(&dp->burst, requests, nb);
}

unsigned datapath_lend(struct datapath *dp, struct reply *replies, unsigned nb)
{
    return burst_lend(&dp->burst, replies, nb);
}

/* Write the headers of each reply and put it on the list. */
static void put_replies(struct datapath *dp, const struct reply *replies, unsigned nb,
                        struct outgoing *out)
{
    const uint8_t *turned = dp->turned; /* headers of the previous reply */
    for (unsigned i = 0; i < nb; i++) {
        const struct reply *reply = &replies[i];
        struct frame *frame = burst_frame_of(&dp->burst, reply);
        uint8_t *data = frame->data;
        uint32_t len;
        out->position[i] = BURST_NOT_SENT;
        if (burst_is_spare(reply)) {
            if (burst_is_lost(&dp->burst, reply))
                continue;
            len = net_continue(&dp->net, data, turned, reply->len);
        } else {
            len = net_turn(&dp->net, data, reply->len);
        }
        burst_put(&dp->burst, out, reply, i, frame, len);
        turned = data;
    }
    if (turned != dp->turned)
        __builtin_memcpy(dp->turned, turned, sizeof(dp->turned));
}

void datapath_tx_burst(struct datapath *dp, const struct reply *replies, unsigned nb, bool *sent)
{
    struct outgoing out;

    burst_put_answers(&dp->burst, &out);
    put_replies(dp, replies, nb, &out);
    burst_send(&dp->burst, replies, nb, &out, sent);
}

void datapath_release(struct datapath *dp)
{
    burst_release(&dp->burst);
}

void datapath_stats(const struct datapath *dp, struct datapath_stats *stats)
{
    *stats = dp->turns.stats;
    frames_stats(dp->burst.frames, stats);
}

void datapath_close(struct datapath *dp)
{
    burst_close(&dp->burst);
}
