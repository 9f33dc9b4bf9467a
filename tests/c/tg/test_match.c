/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots: time-outs, rest, reuse, duplicates, exhaustion. The test chooses the time. */
#include <string.h>

#include "../check.h"
#include "match.h"

#define TIMEOUT 100u
#define REST 1000u

static struct match match;

static struct slot *take(uint32_t flow, uint64_t now, uint16_t *id)
{
    uint32_t turn;
    struct slot *slot = match_take(match, &match.flows[flow], now, &turn);

    if (slot == NULL)
        return NULL;
    slot_leave(slot, now, slot_what(63 << 8 | 1, true));
    match.nb_in_flight++;
    *id = match_id(&match, turn);
    return slot;
}

/* Return the slot that a reply answers, and its state before; NULL: never sent. */
static struct slot *reply(uint32_t flow, uint16_t id, enum slot_state *before)
{
    struct slot *slot = match_find(&match, flow, id);

    *before = slot == NULL ? SLOT_FREE : match_reply(slot);
    match.nb_in_flight -= *before == SLOT_IN_FLIGHT;
    return *before == SLOT_FREE ? NULL : slot;
}

static void begin(uint32_t nb_flows)
{
    CHECK(match_open(&match, nb_flows, 1, TIMEOUT, REST));
}

static void answered_once_then_duplicate(void)
{
    enum slot_state before;
    struct slot *slot;
    uint16_t id;

    begin(2);
    slot = take(1, 10, &id);
    CHECK(slot != NULL && slot_state(slot) == SLOT_IN_FLIGHT && match.nb_in_flight == 1);
    CHECK(reply(0, id, &before) == NULL); /* the other flow did not send this id */
    CHECK(reply(1, id, &before) == slot && before == SLOT_IN_FLIGHT);
    CHECK(match.nb_in_flight == 0);
    CHECK(reply(1, id, &before) == slot && before == SLOT_ANSWERED);
    CHECK(reply(1, (uint16_t)(id + 1), &before) == NULL);
    CHECK(match_expire(&match, 1, 1000000) == NULL);
    match_close(&match);
}

static void lost_then_late_then_duplicate(void)
{
    enum slot_state before;
    struct slot *slot;
    uint16_t id;

    begin(1);
    slot = take(0, 10, &id);
    CHECK(match_expire(&match, 0, 5) == NULL); /* a time before the request was sent */
    CHECK(match_expire(&match, 0, 10 + TIMEOUT - 1) == NULL);
    CHECK(match_expire(&match, 0, 10 + TIMEOUT) == slot);
    CHECK(slot_state(slot) == SLOT_LOST && match.nb_in_flight == 0);
    CHECK(match_expire(&match, 0, 10 + TIMEOUT) == NULL);
    CHECK(reply(0, id, &before) == slot && before == SLOT_LOST);
    CHECK(reply(0, id, &before) == slot && before == SLOT_LATE);
    CHECK(match.nb_in_flight == 0);
    match_close(&match);
}

static void the_oldest_are_lost_first(void)
{
    enum slot_state before;
    struct slot *slots[4];
    uint16_t ids[4];

    begin(1);
    for (unsigned i = 0; i < 4; i++)
        slots[i] = take(0, 10 * i, &ids[i]);
    reply(0, ids[1], &before);
    CHECK(match_expire(&match, 0, TIMEOUT + 25) == slots[0]);
    CHECK(match_expire(&match, 0, TIMEOUT + 25) == slots[2]);
    CHECK(match_expire(&match, 0, TIMEOUT + 25) == NULL);
    CHECK(match.nb_in_flight == 1);
    match_close(&match);
}

/* Answer every request at once, over all ids; return how often `id` was used. */
static unsigned round_count(uint64_t now, uint16_t id)
{
    enum slot_state before;
    unsigned nb = 0;

    for (uint32_t i = 0; i < match.nb_ids; i++) {
        uint16_t taken;

        CHECK(take(0, now, &taken) != NULL);
        CHECK(reply(0, taken, &before) != NULL && before == SLOT_IN_FLIGHT);
        nb += taken == id;
    }
    return nb;
}

static void a_lost_id_rests(void)
{
    uint16_t id;

    begin(1);
    CHECK(take(0, 0, &id) != NULL);
    CHECK(match_expire(&match, 0, TIMEOUT) != NULL);
    CHECK(round_count(TIMEOUT + REST - 1, id) == 0);
    CHECK(round_count(TIMEOUT + REST, id) == 1);
    match_close(&match);
}

static void a_late_id_rests_too(void)
{
    enum slot_state before;
    uint16_t id;

    begin(1);
    CHECK(take(0, 0, &id) != NULL);
    CHECK(match_expire(&match, 0, TIMEOUT) != NULL);
    CHECK(reply(0, id, &before) != NULL && before == SLOT_LOST);
    CHECK(round_count(TIMEOUT + REST - 1, id) == 0);
    match_close(&match);
}

static void ids_run_out_and_come_back(void)
{
    enum slot_state before;
    uint16_t id, first = 0;
    unsigned nb_lost = 0;

    begin(1);
    for (uint32_t i = 0; i < match.nb_ids; i++) {
        CHECK(take(0, 0, &id) != NULL);
        if (i == 0)
            first = id;
    }
    CHECK(take(0, 0, &id) == NULL); /* all are in flight */
    CHECK(reply(0, first, &before) != NULL);
    CHECK(take(0, 0, &id) != NULL && id == first);
    while (match_expire(&match, 0, TIMEOUT) != NULL)
        nb_lost++;
    CHECK(nb_lost == match.nb_ids && match.nb_in_flight == 0);
    CHECK(take(0, TIMEOUT, &id) == NULL); /* all rest */
    CHECK(take(0, TIMEOUT + REST, &id) != NULL);
    match_close(&match);
}

/* Ids that wrap around must not hide an old request behind a newer one. */
static void the_oldest_is_found_after_a_wrap(void)
{
    enum slot_state before;
    struct slot *old;
    uint16_t id;

    begin(1);
    for (uint32_t i = 0; i < match.nb_ids - 1; i++) {
        CHECK(take(0, 0, &id) != NULL);
        CHECK(reply(0, id, &before) != NULL);
    }
    old = take(0, 0, &id);
    CHECK(take(0, TIMEOUT, &id) != NULL && id == 0);
    CHECK(match_expire(&match, 0, TIMEOUT) == old);
    CHECK(match_expire(&match, 0, TIMEOUT) == NULL && match.nb_in_flight == 1);
    match_close(&match);
}

/* Long enough for every cursor to wrap around its ids many times, with losses among answers. */
static void in_flight_is_conserved(void)
{
    enum slot_state before;
    uint64_t nb_sent = 0, nb_answered = 0, nb_lost = 0;
    uint16_t id;

    begin(1024); /* the smallest number of ids a flow can have */
    for (uint64_t now = 0; now < 40 * match.nb_ids; now++) {
        if (take(3, now, &id) != NULL) {
            nb_sent++;
            if (now % 7 != 0) {
                CHECK(reply(3, id, &before) != NULL && before == SLOT_IN_FLIGHT);
                nb_answered++;
            }
        }
        while (match_expire(&match, 3, now) != NULL)
            nb_lost++;
        CHECK(nb_sent == nb_answered + nb_lost + match.nb_in_flight);
    }
    CHECK(nb_lost > 1000);
    match_close(&match);
}

/* A check for time-outs is useful from the time at which the oldest of any flow times out. */
static void it_is_known_when_to_look(void)
{
    enum slot_state before;
    uint16_t id;

    begin(2);
    CHECK(match_may_expire(&match, 0));
    CHECK(take(0, 30, &id) != NULL && take(1, 10, &id) != NULL);
    match_look_again(&match, 50);
    CHECK(!match_may_expire(&match, 10 + TIMEOUT - 1) && match_may_expire(&match, 10 + TIMEOUT));
    CHECK(reply(1, id, &before) != NULL);
    CHECK(match_expire(&match, 1, 60) == NULL); /* skips answered requests */
    match_look_again(&match, 60);
    CHECK(!match_may_expire(&match, 30 + TIMEOUT - 1) && match_may_expire(&match, 30 + TIMEOUT));
    CHECK(match_expire(&match, 0, 30 + TIMEOUT) != NULL);
    match_look_again(&match, 30 + TIMEOUT); /* nothing is in flight */
    CHECK(!match_may_expire(&match, 30 + 2 * TIMEOUT - 1));
    match_close(&match);
}

static void ids_are_checked(void)
{
    enum slot_state before;

    begin(1024);
    CHECK(match.nb_ids < 65536);
    CHECK(reply(1023, 65535, &before) == NULL);
    match_close(&match);
}

int main(void)
{
    answered_once_then_duplicate();
    lost_then_late_then_duplicate();
    the_oldest_are_lost_first();
    a_lost_id_rests();
    a_late_id_rests_too();
    ids_run_out_and_come_back();
    the_oldest_is_found_after_a_wrap();
    in_flight_is_conserved();
    it_is_known_when_to_look();
    ids_are_checked();
    return 0;
}
