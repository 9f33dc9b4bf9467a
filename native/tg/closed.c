/* SPDX-License-Identifier: BSD-3-Clause */
#include "closed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"

#define TX_BURST 32u
_Static_assert(SLOT_TRIES_MAX >= 16, "a slot can count the tries");
#define TRIES_MAX 16u /* of one request in preload and verify */
#define REDRAWS_MAX 8u
#define REST_TIMEOUTS 10u /* a lost id rests ten time-outs: 1 s */

static void flow_free(struct closed *closed, uint32_t flow)
{
    uint32_t at = closed->free_head + closed->nb_free++;

    assert(closed->nb_free <= closed->window);
    closed->free_flows[at < closed->window ? at : at - closed->window] = flow;
}

static uint32_t flow_take(struct closed *closed)
{
    uint32_t flow = closed->free_flows[closed->free_head];

    closed->nb_free--;
    if (++closed->free_head == closed->window)
        closed->free_head = 0;
    return flow;
}

bool closed_open(struct closed *closed, const struct closed_config *config)
{
    uint32_t share = (config->window + config->nb_flows - 1) / config->nb_flows;
    uint64_t timeout = (uint64_t)((double)config->timeout_ns * 1e-9 * (double)config->tsc_hz);

    closed->window = config->window;
    closed->ns_per_cycle = 1e9 / (double)config->tsc_hz;
    closed->free_flows = calloc(config->window, sizeof(*closed->free_flows));
    record_reset(&closed->latency);
    if (closed->free_flows == NULL || !keys_open(&closed->keys, closed->workload.nb_keys) ||
        !source_open(&closed->source, &closed->workload, config->window) ||
        !match_open(&closed->match, config->nb_flows, share, timeout, REST_TIMEOUTS * timeout))
        return false;
    for (uint32_t i = 0; i < config->window; i++)
        flow_free(closed, i * config->nb_flows / config->window % config->nb_flows);
    return true;
}

void closed_close(struct closed *closed)
{
    match_close(&closed->match);
    source_close(&closed->source);
    keys_close(&closed->keys);
    free(closed->free_flows);
}

void closed_start(struct closed *closed, enum phase phase, bool counted)
{
    source_start(&closed->source, phase);
    closed->counted = counted;
    closed->phase_lost = closed->phase_wrong = closed->phase_missed = 0;
    closed->gave_up = false;
    closed->said[0] = '\0';
    closed->last_reply_cycles = closed->round_cycles = clock_cycles();
}

/* Keep the first wrong answer of a phase, for the message that may have to explain it. */
static void said_keep(struct closed *closed, const struct datagram *reply)
{
    uint32_t n = 0;

    if (closed->said[0] != '\0')
        return;
    for (uint32_t i = FRAME_BYTES; i < reply->len && n < CLOSED_SAID_BYTES - 1; i++) {
        if (reply->data[i] == '\r' || reply->data[i] == '\n')
            break;
        closed->said[n++] =
            reply->data[i] < 32 || reply->data[i] > 126 ? '.' : (char)reply->data[i];
    }
    closed->said[n] = '\0';
}

static enum verdict reply_verdict(struct closed *closed, const struct slot *slot,
                                  const struct datagram *reply, uint16_t id)
{
    struct key_versions *versions;
    struct expected expected = {.id = id,
                                .op = (uint8_t)slot->op,
                                .number = slot->number,
                                .version = slot->version,
                                .acked = slot->version,
                                .sent = keys_versions(&closed->keys, slot->number).sent};
    enum verdict verdict;
    uint32_t found;

    if (closed->echo)
        return check_echo(&closed->format, &expected, reply->data, reply->len);
    verdict = check_kv(&closed->format, &expected, reply->data, reply->len, &found);
    if (closed->source.phase != PHASE_VERIFY || slot->op != OP_GET)
        return verdict;
    if (closed->adopt && found != 0) {
        versions = &closed->keys.versions[slot->number];
        versions->sent = versions->acked = found;
        return VERDICT_RIGHT;
    }
    return verdict == VERDICT_RIGHT && found == 0 ? VERDICT_UNEXPECTED_MISS : verdict;
}

static void verdict_count(struct closed *closed, enum verdict verdict, uint64_t age_cycles)
{
    struct counts *counts = &closed->counts;

    if (verdict == VERDICT_RIGHT) {
        counts->answered++;
        record_add(&closed->latency, (uint64_t)((double)age_cycles * closed->ns_per_cycle));
        return;
    }
    counts->wrong++;
    counts->stale += verdict == VERDICT_STALE;
    counts->unexpected_miss += verdict == VERDICT_UNEXPECTED_MISS;
}

static void answer_take(struct closed *closed, const struct slot *slot,
                        const struct datagram *reply, uint16_t id, uint64_t now)
{
    enum verdict verdict = reply_verdict(closed, slot, reply, id);

    if (slot->op == OP_SET)
        keys_set_end(&closed->keys, slot->number, verdict == VERDICT_RIGHT);
    if (slot->counted)
        verdict_count(closed, verdict, slot_age(slot, now));
    if (verdict == VERDICT_UNEXPECTED_MISS)
        closed->phase_missed++;
    if (verdict != VERDICT_RIGHT) {
        closed->phase_wrong++;
        said_keep(closed, reply);
    }
    closed->source.nb_done++;
    flow_free(closed, reply->flow);
}

static void reply_take(struct closed *closed, const struct datagram *reply, uint64_t now)
{
    struct slot *slot = NULL;
    enum slot_state before = SLOT_FREE;
    uint16_t id = 0;

    if (reply->len >= FRAME_BYTES) {
        id = (uint16_t)(reply->data[0] << 8 | reply->data[1]);
        slot = match_reply(&closed->match, reply->flow, id, &before);
    }
    if (slot == NULL)
        closed->counts.unmatched += closed->counted;
    else if (before == SLOT_IN_FLIGHT)
        answer_take(closed, slot, reply, id, now);
    else if (before == SLOT_LOST)
        closed->counts.late += slot->counted;
    else
        closed->counts.duplicate += slot->counted;
}

/* A loss is held against a request only where the target answered others meanwhile. */
static bool target_answers(const struct closed *closed)
{
    return (int64_t)(closed->round_cycles - closed->last_reply_cycles) <
           (int64_t)closed->match.timeout_cycles;
}

static void lost_take(struct closed *closed, const struct slot *slot, uint32_t flow)
{
    struct draw again = {
        .number = slot->number, .op = (uint8_t)slot->op, .tries = (uint8_t)slot->tries};

    closed->counts.lost += slot->counted;
    closed->phase_lost++;
    if (slot->op == OP_SET)
        keys_set_end(&closed->keys, slot->number, false);
    if (closed->source.phase == PHASE_PRELOAD || closed->source.phase == PHASE_VERIFY) {
        if (target_answers(closed) && ++again.tries >= TRIES_MAX)
            closed->gave_up = true;
        source_again(&closed->source, again);
    }
    flow_free(closed, flow);
}

/*
 * A round of the port has ended: whatever had come before it began has been taken. So a request
 * that had timed out by then is lost, however long this program itself was held up.
 */
static void round_end(struct closed *closed, uint64_t now)
{
    struct slot *slot;

    for (uint32_t flow = 0; flow < closed->match.nb_flows; flow++)
        while ((slot = match_expire(&closed->match, flow, closed->round_cycles)) != NULL)
            lost_take(closed, slot, flow);
    closed->round_cycles = now;
}

static bool conflicts(const struct closed *closed, const struct draw *draw)
{
    return (draw->op == OP_SET || closed->no_overlap) && keys_setting(&closed->keys, draw->number);
}

/* Draw again while a SET of the key is in flight; at last walk to a key that is free. */
static bool draw_settle(struct closed *closed, struct draw *draw)
{
    for (unsigned i = 0; i < REDRAWS_MAX && conflicts(closed, draw); i++)
        workload_redraw(&closed->workload, draw);
    for (uint32_t i = 0; i < closed->window && conflicts(closed, draw); i++)
        draw->number = (draw->number + 1) % closed->workload.nb_keys;
    return !conflicts(closed, draw);
}

static bool request_make(struct closed *closed, struct draw draw, struct datagram *request,
                         uint64_t now)
{
    struct slot *slot;
    uint16_t id;

    if (!draw_settle(closed, &draw)) /* fewer keys than the window: this turn goes by */
        return false;
    slot = match_take(&closed->match, request->flow, now, &id);
    if (slot == NULL) {
        closed->counts.window_limited += closed->counted;
        if (closed->source.phase != PHASE_MIX)
            source_again(&closed->source, draw);
        return false;
    }
    slot->op = draw.op;
    slot->tries = draw.tries;
    slot->counted = closed->counted;
    slot->number = draw.number;
    slot->version = draw.op == OP_SET ? keys_set_begin(&closed->keys, draw.number)
                                      : keys_versions(&closed->keys, draw.number).acked;
    request->len = format_request(&closed->format, request->data, id, (enum op)draw.op, draw.number,
                                  slot->version);
    closed->counts.sent += closed->counted;
    if (draw.op == OP_SET)
        closed->counts.sets += closed->counted;
    else
        closed->counts.gets += closed->counted;
    return true;
}

static void requests_send(struct closed *closed, uint64_t now)
{
    unsigned nb = closed->nb_free < TX_BURST ? closed->nb_free : TX_BURST, made = 0;
    struct datagram requests[TX_BURST];
    struct draw draws[TX_BURST];

    nb = source_fill(&closed->source, draws, nb);
    for (unsigned i = 0; i < nb; i++)
        if (draws[i].number < closed->keys.nb_keys)
            __builtin_prefetch(&closed->keys.versions[draws[i].number]);
    port_lend(closed->port, requests, nb);
    for (unsigned i = 0; i < nb; i++) {
        requests[made].flow = flow_take(closed);
        if (request_make(closed, draws[i], &requests[made], now))
            made++;
        else
            flow_free(closed, requests[made].flow);
    }
    if (made > 0)
        port_tx_burst(closed->port, requests, made);
}

uint64_t closed_turn(struct closed *closed)
{
    struct datagram replies[PORT_BURST_MAX];
    uint64_t begin = clock_cycles(), received, checked, end;
    bool round = false;
    unsigned nb = port_rx_burst(closed->port, replies, PORT_BURST_MAX, &round);

    received = clock_cycles();
    for (unsigned i = 0; i < nb; i++)
        reply_take(closed, &replies[i], received);
    if (nb > 0)
        closed->last_reply_cycles = received;
    if (round)
        round_end(closed, begin);
    checked = clock_cycles();
    if (closed->nb_free > 0)
        requests_send(closed, checked);
    end = clock_cycles();
    if (nb > 0)
        closed->cycles.receive += received - begin;
    else
        closed->cycles.empty += received - begin;
    closed->cycles.check += checked - received;
    closed->cycles.send += end - checked;
    return end;
}
