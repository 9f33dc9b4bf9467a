/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults on a wire that is an array: schedules, the effect of each fault, and counts that add up.
 */
#include <string.h>

#include "clock.h"
#include "../check.h"
#include "faults.h"
#include "faults_plan.h"
#include "random.h"

#define FRAME_LEN 64u
#define FRAMES_MAX 100000u
#define NUMBER_AT 30u

/* The frames that were sent and those still to arrive, each with its number inside. */
struct wire {
    uint32_t nb_sent, nb_waiting, nb_received, nb_room;
    bool returned;
    uint8_t rooms[64][WIRE_FRAME_BYTES_MAX];
    uint8_t sent[FRAMES_MAX][FRAME_LEN];
    uint8_t incoming[64][FRAME_LEN];
};

static struct wire wire;

static void frame_make(uint8_t *frame, uint32_t number)
{
    memset(frame, 0xa5, FRAME_LEN);
    frame[12] = 0x08;
    frame[13] = 0x00;
    memcpy(frame + NUMBER_AT, &number, sizeof(number));
}

static uint32_t frame_number(const uint8_t *frame)
{
    uint32_t number;

    memcpy(&number, frame + NUMBER_AT, sizeof(number));
    return number;
}

static unsigned bits_changed(const uint8_t *frame, uint32_t number)
{
    uint8_t whole[FRAME_LEN];
    unsigned nb = 0;

    frame_make(whole, number);
    for (unsigned i = 0; i < FRAME_LEN; i++)
        nb += (unsigned)__builtin_popcount(whole[i] ^ frame[i]);
    return nb;
}

unsigned wire_lend(struct wire *w, struct wire_frame *rooms, unsigned nb)
{
    nb = nb < w->nb_room ? nb : w->nb_room;
    for (unsigned i = 0; i < nb; i++)
        rooms[i] = (struct wire_frame){w->rooms[i], WIRE_FRAME_BYTES_MAX};
    return nb;
}

void wire_send(struct wire *w, const struct wire_frame *frames, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        CHECK(frames[i].data == w->rooms[i] && frames[i].len == FRAME_LEN);
        CHECK(w->nb_sent < FRAMES_MAX);
        memcpy(w->sent[w->nb_sent++], frames[i].data, FRAME_LEN);
    }
}

unsigned wire_receive(struct wire *w, struct wire_frame *frames, unsigned nb)
{
    nb = nb < w->nb_waiting ? nb : w->nb_waiting;
    for (unsigned i = 0; i < nb; i++) {
        frame_make(w->incoming[i], w->nb_received++);
        frames[i] = (struct wire_frame){w->incoming[i], FRAME_LEN};
    }
    w->nb_waiting -= nb;
    w->returned = false;
    return nb;
}

void wire_return(struct wire *w)
{
    w->returned = true;
    memset(w->incoming, 0, sizeof(w->incoming)); /* a later read sees zeros */
}

static struct faults *begin(const char *text, uint64_t seed)
{
    struct faults *faults;

    wire.nb_sent = wire.nb_waiting = wire.nb_received = 0;
    wire.nb_room = 64;
    CHECK(faults_open(&faults, text, seed, &wire) == NULL);
    return faults;
}

static void send(struct faults *faults, uint32_t first, unsigned nb)
{
    struct wire_frame rooms[64];

    CHECK(nb <= 64 && faults_lend(faults, rooms, nb) == nb);
    for (unsigned i = 0; i < nb; i++) {
        frame_make(rooms[i].data, first + i);
        rooms[i].len = FRAME_LEN;
    }
    faults_send(faults, rooms, nb);
}

static void conserved(const struct fault_counts *counts)
{
    CHECK(counts->frames + counts->duplicated == counts->lost + counts->held + counts->passed);
}

/* Turn until no frame is held: this takes the plan's delay; 10 s are far more. */
static struct faults_stats drain(struct faults *faults)
{
    uint64_t end_ns = clock_ns() + 10 * NS_PER_S;
    struct wire_frame frames[64];
    struct faults_stats stats;

    do {
        CHECK(clock_ns() < end_ns);
        faults_receive(faults, frames, 64);
        faults_return(faults);
        faults_stats(faults, &stats);
        conserved(&stats.tx);
        conserved(&stats.rx);
    } while (stats.tx.held + stats.rx.held > 0);
    return stats;
}

static void send_all(struct faults *faults, uint32_t nb_frames, unsigned burst)
{
    for (uint32_t i = 0; i < nb_frames; i += burst)
        send(faults, i, nb_frames - i < burst ? nb_frames - i : burst);
}

/* Receive `nb_frames` frames in bursts; copy their bytes to seen. Return how many arrived. */
static uint32_t receive_all(struct faults *faults, uint32_t nb_frames, unsigned burst,
                            uint8_t (*seen)[FRAME_LEN])
{
    uint64_t end_ns = clock_ns() + 10 * NS_PER_S;
    struct wire_frame frames[64];
    struct faults_stats stats;
    uint32_t nb_seen = 0;

    do {
        uint32_t left = nb_frames - wire.nb_received;
        unsigned nb;

        CHECK(clock_ns() < end_ns);
        wire.nb_waiting = left < burst ? left : burst;
        nb = faults_receive(faults, frames, burst);
        CHECK(wire.returned);
        for (unsigned i = 0; i < nb; i++) {
            CHECK(frames[i].len == FRAME_LEN && nb_seen < FRAMES_MAX);
            memcpy(seen[nb_seen++], frames[i].data, FRAME_LEN);
        }
        faults_return(faults);
        faults_stats(faults, &stats);
        conserved(&stats.rx);
    } while (wire.nb_received < nb_frames || stats.rx.held > 0);
    return nb_seen;
}

#define EVERY_FAULT "loss=0.1,duplicate=0.1,reorder=0.1,corrupt=0.1,delay=0.1:100us"

static void the_ledger_closes_out(void)
{
    struct faults *faults = begin(EVERY_FAULT, 7);
    struct faults_stats stats;

    send_all(faults, 20000, 32);
    stats = drain(faults);
    CHECK(stats.tx.frames == 20000);
    CHECK(stats.tx.passed == wire.nb_sent);
    CHECK(wire.nb_sent == 20000 + stats.tx.duplicated - stats.tx.lost);
    for (uint64_t *count = &stats.tx.lost; count <= &stats.tx.delayed; count++)
        CHECK(*count > 1700 && *count < 2300); /* 7 standard deviations */
    faults_close(faults);
}

static void the_ledger_closes_in(void)
{
    static uint8_t seen[FRAMES_MAX][FRAME_LEN];
    struct faults *faults = begin(EVERY_FAULT, 7);
    struct faults_stats stats;
    uint32_t nb_seen = receive_all(faults, 20000, 32, seen);

    stats = drain(faults);
    CHECK(stats.rx.frames == 20000 && stats.rx.passed == nb_seen);
    CHECK(nb_seen == 20000 + stats.rx.duplicated - stats.rx.lost);
    for (uint64_t *count = &stats.rx.lost; count <= &stats.rx.delayed; count++)
        CHECK(*count > 1700 && *count < 2300);
    CHECK(stats.tx.frames == 0);
    faults_close(faults);
}

/* Faults that do not depend on time: then the seed also decides the order of the sent frames. */
#define TIMELESS "loss=0.1,duplicate=0.1,corrupt=0.1"

static void the_seed_makes_the_schedule(void)
{
    static uint8_t first[FRAMES_MAX][FRAME_LEN];
    uint32_t nb_first;
    struct faults *faults = begin(TIMELESS, 7);

    send_all(faults, 5000, 64);
    nb_first = wire.nb_sent;
    memcpy(first, wire.sent, sizeof(first));
    faults_close(faults);

    faults = begin(TIMELESS, 7);
    send_all(faults, 5000, 3); /* other burst size */
    CHECK(wire.nb_sent == nb_first && memcmp(first, wire.sent, nb_first * FRAME_LEN) == 0);
    faults_close(faults);

    faults = begin(TIMELESS, 8);
    send_all(faults, 5000, 64);
    CHECK(wire.nb_sent != nb_first || memcmp(first, wire.sent, nb_first * FRAME_LEN) != 0);
    faults_close(faults);
}

/* The counts of the timed faults also follow from the seed, independent of time. */
static void timed_faults_have_the_same_schedule(void)
{
    struct faults_stats stats[2];
    unsigned bursts[2] = {64, 1};

    for (unsigned i = 0; i < 2; i++) {
        struct faults *faults = begin(EVERY_FAULT, 11);

        send_all(faults, 5000, bursts[i]);
        stats[i] = drain(faults);
        faults_close(faults);
    }
    CHECK(memcmp(&stats[0].tx, &stats[1].tx, sizeof(stats[0].tx)) == 0);
}

static void each_fault_does_what_it_says(void)
{
    struct faults *faults = begin("loss=1", 1);

    send_all(faults, 100, 10);
    CHECK(drain(faults).tx.lost == 100 && wire.nb_sent == 0);
    faults_close(faults);

    faults = begin("duplicate=1", 1);
    send_all(faults, 100, 10);
    CHECK(wire.nb_sent == 200);
    for (uint32_t i = 0; i < 200; i++)
        CHECK(bits_changed(wire.sent[i], i / 2) == 0);
    faults_close(faults);

    faults = begin("corrupt=1", 1);
    send_all(faults, 100, 10);
    CHECK(wire.nb_sent == 100);
    for (uint32_t i = 0; i < 100; i++)
        CHECK(bits_changed(wire.sent[i], i) == 1);
    faults_close(faults);
}

static void a_reordered_frame_is_overtaken(void)
{
    struct faults *faults = begin("reorder=0.2", 3);
    uint32_t nb_behind = 0;
    uint8_t seen[2000] = {0};

    for (uint32_t i = 0; i < 2000; i += 50)
        send(faults, i, 50);
    drain(faults);
    CHECK(wire.nb_sent == 2000);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t number = frame_number(wire.sent[i]);

        CHECK(number < 2000 && seen[number]++ == 0);
        nb_behind += i > 0 && number < frame_number(wire.sent[i - 1]);
    }
    CHECK(nb_behind > 100);
    faults_close(faults);
}

/* A held frame is sent even if no frame follows it. */
static void the_last_frame_is_not_kept(void)
{
    struct faults *faults = begin("reorder=1", 3);

    send(faults, 0, 1);
    CHECK(drain(faults).tx.reordered == 1 && wire.nb_sent == 1);
    faults_close(faults);
}

static void a_delayed_frame_waits(void)
{
    struct faults *faults = begin("delay=1:20ms", 3);
    uint64_t begin_ns = clock_ns();

    send(faults, 0, 1);
    drain(faults);
    CHECK(wire.nb_sent == 1 && clock_ns() - begin_ns >= 20000000);
    faults_close(faults);
}

/* Without room on the wire a bounded number of frames is held, and none is lost. */
static void a_full_wire_is_felt(void)
{
    struct faults *faults = begin("duplicate=0.5", 3);
    struct wire_frame rooms[64];
    struct faults_stats stats;
    uint32_t nb = 0;
    unsigned room;

    wire.nb_room = 0;
    while ((room = faults_lend(faults, rooms, 64)) > 0) {
        send(faults, nb, room);
        nb += room;
        CHECK(nb < 10000);
    }
    faults_stats(faults, &stats);
    CHECK(stats.tx.held == nb + stats.tx.duplicated && wire.nb_sent == 0);
    wire.nb_room = 5;
    drain(faults);
    CHECK(wire.nb_sent == nb + stats.tx.duplicated);
    faults_close(faults);
}

static void arp_passes_unharmed(void)
{
    struct faults *faults = begin("loss=1", 3);
    struct wire_frame room;
    struct faults_stats stats;

    CHECK(faults_lend(faults, &room, 1) == 1);
    frame_make(room.data, 0);
    room.data[13] = 0x06;
    room.len = FRAME_LEN;
    faults_send(faults, &room, 1);
    stats = drain(faults);
    CHECK(wire.nb_sent == 1 && stats.tx.frames == 0 && stats.tx.passed == 0);
    faults_close(faults);
}

static void text_is_checked(void)
{
    static const char *const bad[] = {"",
                                      "loss",
                                      "loss=",
                                      "loss=x",
                                      "loss=1.1",
                                      "loss=-0.1",
                                      "loss=0",
                                      "loss=nan",
                                      "loss=0.1 ",
                                      "loss=0.1:1ms",
                                      "los=0.1",
                                      "losses=0.1",
                                      "loss=0.1,",
                                      ",loss=0.1",
                                      "loss=0.1,loss=0.1",
                                      "delay=0.1",
                                      "delay=0.1:",
                                      "delay=0.1:1",
                                      "delay=0.1:1h",
                                      "delay=0.1:0ms",
                                      "delay=1:2s",
                                      "delay=0.1:1mss",
                                      "delay=0.1:-1ms",
                                      "loss=0.6,duplicate=0.6"};
    static const char *const good[] = {"loss=1", "loss=0.5,duplicate=0.5", "delay=0.01:1ms",
                                       "delay=0.01:50us,loss=1e-3", "delay=1:1s"};
    struct faults_plan plan;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(faults_check(bad[i]) != NULL);
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(faults_check(good[i]) == NULL);
    CHECK(faults_plan_parse(&plan, "delay=0.25:1.5ms,loss=0.5") == NULL);
    CHECK(plan.delay_ns == 1500000 && plan.below[FAULT_DELAY] == 3ull << 30);
    CHECK(faults_plan_draw(&plan, 0) == FAULT_LOSS);
    CHECK(faults_plan_draw(&plan, 1u << 31) == FAULT_DELAY);
    CHECK(faults_plan_draw(&plan, 3u << 30) == NB_FAULTS);
}

int main(void)
{
    the_ledger_closes_out();
    the_ledger_closes_in();
    the_seed_makes_the_schedule();
    timed_faults_have_the_same_schedule();
    each_fault_does_what_it_says();
    a_reordered_frame_is_overtaken();
    the_last_frame_is_not_kept();
    a_delayed_frame_waits();
    a_full_wire_is_felt();
    arp_passes_unharmed();
    text_is_checked();
    return 0;
}
