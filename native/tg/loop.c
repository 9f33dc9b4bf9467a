/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

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

static void flow_free(struct loop *loop, uint32_t flow)
{
    uint32_t at = loop->free_head + loop->nb_free++;

    assert(loop->nb_free <= loop->window);
    loop->free_flows[at < loop->window ? at : at - loop->window] = flow;
}

static uint32_t flow_take(struct loop *loop)
{
    uint32_t flow = loop->free_flows[loop->free_head];

    loop->nb_free--;
    if (++loop->free_head == loop->window)
        loop->free_head = 0;
    return flow;
}

bool loop_open(struct loop *loop, const struct loop_config *config)
{
    uint32_t share = (config->window + config->nb_flows - 1) / config->nb_flows;
    uint64_t timeout = (uint64_t)((double)config->timeout_ns * 1e-9 * (double)config->tsc_hz);

    loop->window = config->window;
    loop->ns_per_cycle = 1e9 / (double)config->tsc_hz;
    loop->free_flows = calloc(config->window, sizeof(*loop->free_flows));
    record_reset(&loop->latency);
    if (loop->free_flows == NULL || !keys_open(&loop->keys, loop->workload.nb_keys) ||
        !source_open(&loop->source, &loop->workload, config->window) ||
        !match_open(&loop->match, config->nb_flows, share, timeout, REST_TIMEOUTS * timeout))
        return false;
    for (uint32_t i = 0; i < config->window; i++)
        flow_free(loop, i * config->nb_flows / config->window % config->nb_flows);
    return true;
}

void loop_close(struct loop *loop)
{
    match_close(&loop->match);
    source_close(&loop->source);
    keys_close(&loop->keys);
    free(loop->free_flows);
}

void loop_start(struct loop *loop, enum phase phase, bool counted)
{
    source_start(&loop->source, phase);
    loop->counted = counted;
    loop->phase_lost = loop->phase_wrong = loop->phase_missed = 0;
    loop->gave_up = false;
    loop->said[0] = '\0';
    loop->last_reply_cycles = loop->round_cycles = clock_cycles();
}

/* Keep the first wrong answer of a phase, for the message that may have to explain it. */
static void said_keep(struct loop *loop, const struct datagram *reply)
{
    uint32_t n = 0;

    if (loop->said[0] != '\0')
        return;
    for (uint32_t i = FRAME_BYTES; i < reply->len && n < LOOP_SAID_BYTES - 1; i++) {
        if (reply->data[i] == '\r' || reply->data[i] == '\n')
            break;
        loop->said[n++] = reply->data[i] < 32 || reply->data[i] > 126 ? '.' : (char)reply->data[i];
    }
    loop->said[n] = '\0';
}

static enum verdict reply_verdict(struct loop *loop, const struct slot *slot,
                                  const struct datagram *reply, uint16_t id)
{
    struct key_versions *versions;
    struct expected expected = {.id = id,
                                .op = (uint8_t)slot->op,
                                .number = slot->number,
                                .version = slot->version,
                                .acked = slot->version,
                                .sent = keys_versions(&loop->keys, slot->number).sent};
    enum verdict verdict;
    uint32_t found;

    if (loop->echo)
        return check_echo(&loop->format, &expected, reply->data, reply->len);
    verdict = check_kv(&loop->format, &expected, reply->data, reply->len, &found);
    if (loop->source.phase != PHASE_VERIFY || slot->op != OP_GET)
        return verdict;
    if (loop->adopt && found != 0) {
        versions = &loop->keys.versions[slot->number];
        versions->sent = versions->acked = found;
        return VERDICT_RIGHT;
    }
    return verdict == VERDICT_RIGHT && found == 0 ? VERDICT_UNEXPECTED_MISS : verdict;
}

static void verdict_count(struct loop *loop, enum verdict verdict, uint64_t age_cycles)
{
    struct counts *counts = &loop->counts;

    if (verdict == VERDICT_RIGHT) {
        counts->answered++;
        record_add(&loop->latency, (uint64_t)((double)age_cycles * loop->ns_per_cycle));
        return;
    }
    counts->wrong++;
    counts->stale += verdict == VERDICT_STALE;
    counts->unexpected_miss += verdict == VERDICT_UNEXPECTED_MISS;
}

static void answer_take(struct loop *loop, const struct slot *slot, const struct datagram *reply,
                        uint16_t id, uint64_t now)
{
    enum verdict verdict = reply_verdict(loop, slot, reply, id);

    if (slot->op == OP_SET)
        keys_set_end(&loop->keys, slot->number, verdict == VERDICT_RIGHT);
    if (slot->counted)
        verdict_count(loop, verdict, slot_age(slot, now));
    if (verdict == VERDICT_UNEXPECTED_MISS)
        loop->phase_missed++;
    if (verdict != VERDICT_RIGHT) {
        loop->phase_wrong++;
        said_keep(loop, reply);
    }
    loop->source.nb_done++;
    flow_free(loop, reply->flow);
}

static void reply_take(struct loop *loop, const struct datagram *reply, uint64_t now)
{
    struct slot *slot = NULL;
    enum slot_state before = SLOT_FREE;
    uint16_t id = 0;

    if (reply->len >= FRAME_BYTES) {
        id = (uint16_t)(reply->data[0] << 8 | reply->data[1]);
        slot = match_reply(&loop->match, reply->flow, id, &before);
    }
    if (slot == NULL)
        loop->counts.unmatched += loop->counted;
    else if (before == SLOT_IN_FLIGHT)
        answer_take(loop, slot, reply, id, now);
    else if (before == SLOT_LOST)
        loop->counts.late += slot->counted;
    else
        loop->counts.duplicate += slot->counted;
}

/* A loss is held against a request only where the target answered others meanwhile. */
static bool target_answers(const struct loop *loop)
{
    return (int64_t)(loop->round_cycles - loop->last_reply_cycles) <
           (int64_t)loop->match.timeout_cycles;
}

static void lost_take(struct loop *loop, const struct slot *slot, uint32_t flow)
{
    struct draw again = {
        .number = slot->number, .op = (uint8_t)slot->op, .tries = (uint8_t)slot->tries};

    loop->counts.lost += slot->counted;
    loop->phase_lost++;
    if (slot->op == OP_SET)
        keys_set_end(&loop->keys, slot->number, false);
    if (loop->source.phase == PHASE_PRELOAD || loop->source.phase == PHASE_VERIFY) {
        if (target_answers(loop) && ++again.tries >= TRIES_MAX)
            loop->gave_up = true;
        source_again(&loop->source, again);
    }
    flow_free(loop, flow);
}

/*
 * A round of the port has ended: whatever had come before it began has been taken. So a request
 * that had timed out by then is lost, however long this program itself was held up.
 */
static void round_end(struct loop *loop, uint64_t now)
{
    struct slot *slot;

    for (uint32_t flow = 0; flow < loop->match.nb_flows; flow++)
        while ((slot = match_expire(&loop->match, flow, loop->round_cycles)) != NULL)
            lost_take(loop, slot, flow);
    loop->round_cycles = now;
}

static bool conflicts(const struct loop *loop, const struct draw *draw)
{
    return (draw->op == OP_SET || loop->no_overlap) && keys_setting(&loop->keys, draw->number);
}

/* Draw again while a SET of the key is in flight; at last walk to a key that is free. */
static bool draw_settle(struct loop *loop, struct draw *draw)
{
    for (unsigned i = 0; i < REDRAWS_MAX && conflicts(loop, draw); i++)
        workload_redraw(&loop->workload, draw);
    for (uint32_t i = 0; i < loop->window && conflicts(loop, draw); i++)
        draw->number = (draw->number + 1) % loop->workload.nb_keys;
    return !conflicts(loop, draw);
}

static bool request_make(struct loop *loop, struct draw draw, struct datagram *request,
                         uint64_t now)
{
    struct slot *slot;
    uint16_t id;

    if (!draw_settle(loop, &draw)) /* fewer keys than the window: this turn goes by */
        return false;
    slot = match_take(&loop->match, request->flow, now, &id);
    if (slot == NULL) {
        loop->counts.window_limited += loop->counted;
        if (loop->source.phase != PHASE_MIX)
            source_again(&loop->source, draw);
        return false;
    }
    slot->op = draw.op;
    slot->tries = draw.tries;
    slot->counted = loop->counted;
    slot->number = draw.number;
    slot->version = draw.op == OP_SET ? keys_set_begin(&loop->keys, draw.number)
                                      : keys_versions(&loop->keys, draw.number).acked;
    request->len = format_request(&loop->format, request->data, id, (enum op)draw.op, draw.number,
                                  slot->version);
    loop->counts.sent += loop->counted;
    if (draw.op == OP_SET)
        loop->counts.sets += loop->counted;
    else
        loop->counts.gets += loop->counted;
    return true;
}

static void requests_send(struct loop *loop, uint64_t now)
{
    unsigned nb = loop->nb_free < TX_BURST ? loop->nb_free : TX_BURST, made = 0;
    struct datagram requests[TX_BURST];
    struct draw draws[TX_BURST];

    nb = port_lend(loop->port, requests, nb);
    nb = source_fill(&loop->source, draws, nb);
    for (unsigned i = 0; i < nb; i++)
        if (draws[i].number < loop->keys.nb_keys)
            __builtin_prefetch(&loop->keys.versions[draws[i].number]);
    for (unsigned i = 0; i < nb; i++) {
        requests[made].flow = flow_take(loop);
        if (request_make(loop, draws[i], &requests[made], now))
            made++;
        else
            flow_free(loop, requests[made].flow);
    }
    if (made > 0)
        port_tx_burst(loop->port, requests, made);
}

uint64_t loop_turn(struct loop *loop)
{
    struct datagram replies[PORT_BURST_MAX];
    uint64_t begin = clock_cycles(), received, checked, end;
    bool round = false;
    unsigned nb = port_rx_burst(loop->port, replies, PORT_BURST_MAX, &round);

    received = clock_cycles();
    for (unsigned i = 0; i < nb; i++)
        reply_take(loop, &replies[i], received);
    if (nb > 0)
        loop->last_reply_cycles = received;
    if (round)
        round_end(loop, begin);
    checked = clock_cycles();
    if (loop->nb_free > 0)
        requests_send(loop, checked);
    end = clock_cycles();
    if (nb > 0)
        loop->cycles.receive += received - begin;
    else
        loop->cycles.empty += received - begin;
    loop->cycles.check += checked - received;
    loop->cycles.send += end - checked;
    return end;
}
