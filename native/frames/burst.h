/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frames of a datagram datapath over frames (udp.c, lwip.c): the burst received, the spares
 * lent, and the frames to send.
 *
 * A received frame becomes a reply or an answer (to ARP or ICMP) and is sent, or burst_release
 * frees it. A spare is sent as a further datagram of a reply, or stays and is lent again. A slot
 * whose data is NULL is empty: its frame was sent. A frame that the wire did not take returns to
 * its slot.
 *
 * After burst_open, each turn calls burst_begin, and burst_answer for each answer; then, once or
 * more often, burst_lend, burst_put_answers, burst_put for each reply, burst_send; at last
 * burst_release.
 */
#ifndef NEARMETAL_BURST_H
#define NEARMETAL_BURST_H

#include "net.h"
#include "turns.h"

#define BURST_NOT_SENT UINT8_MAX

struct burst {
    struct frames *frames;
    unsigned nb_rx, nb_left;            /* frames of the burst; how many of them are not sent */
    struct frame rx[SERVICE_BURST_MAX]; /* data NULL: sent */
    unsigned nb_answers;                /* frames of rx that hold answers to ARP or ICMP */
    uint8_t answers[SERVICE_BURST_MAX]; /* their indices in rx */
    unsigned nb_spares, nb_spares_left;
    struct frame spares[SERVICE_BURST_MAX]; /* data NULL: sent */
    uint8_t lost[SERVICE_DATAGRAM_BYTES];   /* lent when no frame is free; never sent */
};

/* The frames of one tx_burst: first the answers, then the replies. */
struct outgoing {
    unsigned nb;
    struct frame list[2 * SERVICE_BURST_MAX];
    uint8_t position[SERVICE_BURST_MAX]; /* index of reply i in the list, or BURST_NOT_SENT */
};

/* Open the frames, and what else every datagram datapath over frames needs. */
static inline const char *burst_open(struct burst *burst, struct net *net, struct turns *turns,
                                     const struct datapath_config *config)
{
    uint8_t mac[6];
    const char *error = net_check_listen(&config->listen);
    if (error == NULL)
        error = frames_open(&burst->frames, config);
    if (error != NULL)
        return error;
    frames_mac(burst->frames, mac);
    net_open(net, mac, config->listen.addr + 12, config->listen.port);
    turns_open(turns, config->poll, frames_tsc_hz(burst->frames));
    return NULL;
}

/* Begin a burst with nb_rx frames in rx. */
static inline void burst_begin(struct burst *burst, unsigned nb_rx)
{
    burst->nb_rx = burst->nb_left = nb_rx;
    burst->nb_answers = 0;
}

/* Note that frame `index` now holds an answer, to be sent with the replies. */
static inline void burst_answer(struct burst *burst, unsigned index)
{
    burst->answers[burst->nb_answers++] = (uint8_t)index;
}

/* Peek at the payloads of frames of the next bursts, where usual requests have their bytes. */
static inline unsigned burst_ahead(struct burst *burst, struct request *requests, unsigned nb)
{
    struct frame ahead[SERVICE_BURST_MAX];

    nb = frames_ahead(burst->frames, ahead, nb < SERVICE_BURST_MAX ? nb : SERVICE_BURST_MAX);
    for (unsigned i = 0; i < nb; i++) {
        uint32_t len = ahead[i].len < FRAME_BYTES_MAX ? ahead[i].len : FRAME_BYTES_MAX;
        requests[i].data = ahead[i].data + FRAME_PAYLOAD_OFFSET;
        requests[i].len = len > FRAME_PAYLOAD_OFFSET ? len - FRAME_PAYLOAD_OFFSET : 0;
    }
    return nb;
}

/* Remove the empty slots. */
static inline void burst_compact_spares(struct burst *burst)
{
    unsigned nb = 0;
    for (unsigned i = 0; i < burst->nb_spares; i++) {
        if (burst->spares[i].data != NULL)
            burst->spares[nb++] = burst->spares[i];
    }
    burst->nb_spares = nb;
}

static inline void burst_refill_spares(struct burst *burst)
{
    burst_compact_spares(burst);
    burst->nb_spares += frames_alloc(burst->frames, burst->spares + burst->nb_spares,
                                     SERVICE_BURST_MAX - burst->nb_spares);
    burst->nb_spares_left = burst->nb_spares;
}

static inline unsigned burst_lend(struct burst *burst, struct reply *replies, unsigned nb)
{
    if (__builtin_expect(burst->nb_spares_left < SERVICE_BURST_MAX, 0))
        burst_refill_spares(burst);
    if (__builtin_expect(burst->nb_spares == 0, 0)) {
        replies[0].spare = burst->lost;
        return 1;
    }
    nb = nb < burst->nb_spares ? nb : burst->nb_spares;
    for (unsigned i = 0; i < nb; i++) {
        replies[i].spare = burst->spares[i].data + FRAME_PAYLOAD_OFFSET;
        replies[i].slot = (uint16_t)i;
    }
    return nb;
}

static inline bool burst_is_spare(const struct reply *reply)
{
    return __builtin_expect(reply->data == reply->spare, 0);
}

static inline bool burst_is_lost(const struct burst *burst, const struct reply *reply)
{
    return __builtin_expect(reply->data == burst->lost, 0);
}

static inline struct frame *burst_frame_of(struct burst *burst, const struct reply *reply)
{
    return burst_is_spare(reply) ? &burst->spares[reply->slot] : &burst->rx[reply->request];
}

/* Append a frame to the list. Its slot becomes empty until burst_take_back refills it. */
static inline void burst_put_frame(struct outgoing *out, struct frame *frame, uint32_t len)
{
    struct frame *to = &out->list[out->nb++];
    *to = *frame;
    to->len = len;
    frame->data = NULL;
}

/* Begin the list, with the answers. */
static inline void burst_put_answers(struct burst *burst, struct outgoing *out)
{
    out->nb = 0;
    for (unsigned i = 0; i < burst->nb_answers; i++) {
        struct frame *frame = &burst->rx[burst->answers[i]];
        burst_put_frame(out, frame, frame->len);
        burst->nb_left--;
    }
}

/* Append reply `index` in its frame, which is complete. */
static inline void burst_put(struct burst *burst, struct outgoing *out, const struct reply *reply,
                             unsigned index, struct frame *frame, uint32_t len)
{
    if (burst_is_spare(reply))
        burst->nb_spares_left--;
    else
        burst->nb_left--;
    out->position[index] = (uint8_t)out->nb;
    burst_put_frame(out, frame, len);
}

/* Return the frames that were not taken to their slots. */
static inline void burst_take_back(struct burst *burst, const struct reply *replies, unsigned nb,
                                   const struct outgoing *out, unsigned nb_taken)
{
    for (unsigned i = nb_taken; i < burst->nb_answers; i++) {
        burst->rx[burst->answers[i]] = out->list[i];
        burst->nb_left++;
    }
    for (unsigned i = 0; i < nb; i++) {
        uint8_t position = out->position[i];
        if (position == BURST_NOT_SENT || position < nb_taken)
            continue;
        *burst_frame_of(burst, &replies[i]) = out->list[position];
        if (burst_is_spare(&replies[i]))
            burst->nb_spares_left++;
        else
            burst->nb_left++;
    }
}

static inline void burst_send(struct burst *burst, const struct reply *replies, unsigned nb,
                              const struct outgoing *out, bool *sent)
{
    unsigned nb_taken = frames_tx_burst(burst->frames, out->list, out->nb);
    if (__builtin_expect(nb_taken < out->nb, 0))
        burst_take_back(burst, replies, nb, out, nb_taken);
    for (unsigned i = 0; i < nb; i++)
        sent[i] = out->position[i] < nb_taken;
    burst->nb_answers = 0;
}

static inline void burst_release(struct burst *burst)
{
    unsigned nb = 0;
    if (burst->nb_left == 0)
        return;
    for (unsigned i = 0; i < burst->nb_rx; i++) {
        if (burst->rx[i].data != NULL)
            burst->rx[nb++] = burst->rx[i];
    }
    frames_free(burst->frames, burst->rx, nb);
    burst->nb_left = 0;
}

static inline void burst_close(struct burst *burst)
{
    burst_compact_spares(burst);
    frames_free(burst->frames, burst->spares, burst->nb_spares);
    burst->nb_spares = burst->nb_spares_left = 0;
    frames_close(burst->frames);
}

#endif
