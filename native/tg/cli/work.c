/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A life of the target consists of what is asked once (the records of `before`; preload and verify
 * of keys), warm-up and measured time. It ends when the
 * time is over, at a signal, or, with --stay, when the target has been silent for a second. Then
 * the generator polls until the target answers, forgets all versions, and the next life begins. The
 * results of all lives are added.
 */
#include "work.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "lines.h"
#include "load.h"
#include "load_shares.h"

#define SILENCE_DOWN_NS NS_PER_S          /* --stay */
#define SILENCE_FAILED_NS (10 * NS_PER_S) /* phases that ask each request once */
#define POLL_NS (NS_PER_S / 100)
#define HOLD_NS (NS_PER_S / 1000)

volatile sig_atomic_t work_stopped;
volatile sig_atomic_t work_going;

static uint64_t to_cycles(const struct load *load, uint64_t ns)
{
    return (uint64_t)((double)ns * 1e-9 * (double)load->tsc_hz);
}

static uint64_t to_ns(const struct load *load, uint64_t cycles)
{
    return (uint64_t)((double)cycles * 1e9 / (double)load->tsc_hz);
}

static enum outcome outcome_of(const struct load *load)
{
    return (enum outcome)atomic_load_explicit(&load->over, memory_order_relaxed);
}

/* End the phase for all workers. True: this call is the first to end it. */
static bool end(struct load *load, enum outcome outcome)
{
    int none = OUTCOME_DONE;

    return atomic_compare_exchange_strong(&load->over, &none, (int)outcome);
}

static void fail(struct load *load, const char *phase, const char *what, const char *said)
{
    if (end(load, OUTCOME_FAILED))
        fprintf(stderr, "%s: %s: %s%s%s%s\n", load_name(), phase, what,
                said[0] == '\0' ? "" : " \"", said, said[0] == '\0' ? "" : "\"");
}

static bool is_over(struct load *load)
{
    if (work_stopped)
        (void)end(load, OUTCOME_STOPPED);
    return outcome_of(load) != OUTCOME_DONE;
}

/* Wait for all workers and return how the phase ended. No worker begins the next phase, which may
 * end otherwise, before all have read the outcome. */
static enum outcome phase_end(struct load *load)
{
    enum outcome outcome;

    meet(&load->meeting);
    outcome = outcome_of(load);
    meet(&load->meeting);
    return outcome;
}

/* End a phase that asks each request once early: the target refuses a key, answers a record of
 * `before` wrongly, is silent, or loses too many requests. */
static void once_watch(struct worker *worker, enum phase phase, const char *name, uint64_t now)
{
    struct load *load = worker->load;
    const struct loop *loop = &worker->loop;
    bool stay = load->options->stay;
    uint64_t silence = to_cycles(load, stay ? SILENCE_DOWN_NS : SILENCE_FAILED_NS);
    bool silent = (int64_t)(now - loop->last_reply_cycles) > (int64_t)silence;

    if (phase == PHASE_PRELOAD && loop->phase_wrong > 0)
        fail(load, name, "the target did not store a key; its reply:", loop->said);
    else if (phase == PHASE_BEFORE && loop->phase_wrong > 0)
        fail(load, name, "the target gave a wrong answer:", loop->said);
    else if (stay && (silent || loop->gave_up))
        (void)end(load, OUTCOME_DOWN);
    else if (silent)
        fail(load, name, "no answer from the target for 10 s; does it listen there?", "");
    else if (loop->gave_up)
        fail(load, name, "one request got no answer 16 times: the target loses too many requests",
             "");
}

static void once_say(const struct load *load, enum phase phase)
{
    uint64_t duration_ns = to_ns(load, clock_cycles() - load->begin_cycles);
    uint64_t nb_lost = 0, nb_wrong = 0, nb_missed = 0;
    uint32_t nb_keys = shares_ours(load->options, load->options->workload.nb_keys);

    for (unsigned i = 0; i < load->nb_workers; i++) {
        nb_lost += load->workers[i].loop.phase_lost;
        nb_wrong += load->workers[i].loop.phase_wrong;
        nb_missed += load->workers[i].loop.phase_missed;
    }
    if (phase == PHASE_BEFORE)
        line_before(load->options->records.nb_before, duration_ns, nb_lost);
    else if (phase == PHASE_PRELOAD)
        line_preloaded(nb_keys, duration_ns, nb_lost);
    else
        line_verified(nb_keys, duration_ns, nb_wrong, nb_lost, nb_missed);
}

/* Send each record of `before`, or (preload, verify) one request for every key. */
static enum outcome once_run(struct worker *worker, enum phase phase)
{
    static const char *const names[] = {
        [PHASE_BEFORE] = "before", [PHASE_PRELOAD] = "preload", [PHASE_VERIFY] = "verify"};
    const char *name = names[phase];
    struct load *load = worker->load;
    struct loop *loop = &worker->loop;
    enum outcome outcome;

    if (worker->index == 0)
        load->begin_cycles = clock_cycles();
    loop_start(loop, phase, false);
    while (loop->source.nb_done < loop->source.nb_once && !is_over(load))
        once_watch(worker, phase, name, loop_turn(loop));
    outcome = phase_end(load);
    if (worker->index == 0 && outcome == OUTCOME_DONE)
        once_say(load, phase);
    meet(&load->meeting);
    return outcome;
}

/* Do turns of the mix until `until`, or until the phase ends. Returns the time. */
static uint64_t mix_turns(struct worker *worker, uint64_t until)
{
    struct load *load = worker->load;
    struct loop *loop = &worker->loop;
    uint64_t silence = to_cycles(load, SILENCE_DOWN_NS), now = clock_cycles();

    while ((int64_t)(until - now) > 0 && !is_over(load)) {
        now = loop_turn(loop);
        if (load->options->stay && (int64_t)(now - loop->last_reply_cycles) > (int64_t)silence)
            (void)end(load, OUTCOME_DOWN);
    }
    return now;
}

/* --share: wait until all generators have stored their keys; SIGUSR1 announces it. */
static enum outcome hold_run(struct worker *worker)
{
    const struct timespec wait = {.tv_nsec = HOLD_NS};

    if (worker->index == 0) {
        line_event("holding");
        while (!work_going && !is_over(worker->load))
            nanosleep(&wait, NULL);
    }
    return phase_end(worker->load);
}

static enum outcome warmup_run(struct worker *worker)
{
    uint64_t time = to_cycles(worker->load, worker->load->options->warmup_ns);

    loop_start(&worker->loop, PHASE_MIX, false);
    mix_turns(worker, clock_cycles() + time);
    return phase_end(worker->load);
}

/* Malformed frames have no id, so they count in the part of the run in which they arrived. */
static uint64_t malformed_take(struct worker *worker)
{
    struct port_stats stats;
    uint64_t before = worker->nb_malformed;

    port_stats(worker->loop.port, &stats);
    worker->nb_malformed = stats.nb_malformed;
    return stats.nb_malformed - before;
}

/* Move the counts of all loops since the last call into `second` and `total`. */
static void counted_take(struct load *load, uint64_t duration_ns)
{
    measured_reset(&load->second);
    load->second.duration_ns = duration_ns;
    for (unsigned i = 0; i < load->nb_workers; i++) {
        struct worker *worker = &load->workers[i];

        worker->loop.counts.malformed = malformed_take(worker);
        measured_take(&load->second, &worker->loop);
    }
    measured_add(&load->total, &load->second);
}

/* Run one second of the measured time, or what is left of it. last: nothing is due after it. */
static enum outcome second_run(struct worker *worker, uint64_t until, bool last, uint64_t *since)
{
    struct load *load = worker->load;
    uint64_t now = mix_turns(worker, until);
    enum outcome outcome;

    if (last || is_over(load))
        loop_unpace(&worker->loop, now < until ? now : until);
    outcome = phase_end(load);
    if (worker->index == 0) {
        counted_take(load, to_ns(load, now - *since));
        if (load->second.duration_ns > NS_PER_S / 10) /* a shorter rest is in the total only */
            line_measured("second", &load->second, NULL);
        *since = now;
    }
    meet(&load->meeting);
    return outcome;
}

static enum outcome measure_run(struct worker *worker)
{
    struct load *load = worker->load;
    bool endless = load->options->time_ns == 0;
    uint64_t time = to_cycles(load, load->left_ns), gone = 0, since;
    enum outcome outcome = OUTCOME_DONE;

    meet(&load->meeting);
    if (worker->index == 0) {
        line_event("measuring");
        load->begin_cycles = clock_cycles();
    }
    meet(&load->meeting);
    loop_start(&worker->loop, PHASE_MIX, true);
    measured_forget(&worker->loop); /* drop the cycles of preload to warm-up */
    malformed_take(worker);
    since = load->begin_cycles;
    while (outcome == OUTCOME_DONE && (endless || gone < time)) {
        gone += endless || time - gone > load->tsc_hz ? load->tsc_hz : time - gone;
        outcome = second_run(worker, load->begin_cycles + gone, !endless && gone == time, &since);
    }
    if (worker->index == 0) {
        uint64_t spent = to_ns(load, since - load->begin_cycles);

        load->left_ns -= endless || spent > load->left_ns ? load->left_ns : spent;
    }
    return outcome;
}

/*
 * Send nothing more. Wait until nothing is in flight, and one time-out longer for late and
 * duplicate replies. The wait is bounded: a request in flight is lost after a time-out.
 */
static void drain_run(struct worker *worker)
{
    struct load *load = worker->load;
    struct loop *loop = &worker->loop;
    uint64_t timeout = loop->match.timeout_cycles, quiet = clock_cycles(), now = quiet;
    bool counted = loop->counted;

    loop_start(loop, PHASE_DRAIN, counted);
    while ((int64_t)(now - quiet) < (int64_t)timeout) {
        now = loop_turn(loop);
        if (loop->match.nb_in_flight > 0)
            quiet = now;
    }
    memset(&loop->cycles, 0, sizeof(loop->cycles)); /* the wait is no work of the trial */
    meet(&load->meeting);
    if (worker->index == 0 && counted)
        counted_take(load, 0);
    meet(&load->meeting);
    loop->counted = false;
}

static enum outcome life_run(struct worker *worker)
{
    const struct load_options *options = worker->load->options;
    enum outcome outcome = OUTCOME_DONE;

    if (shares_ask_before(options))
        outcome = once_run(worker, PHASE_BEFORE);
    if (options->type->stores && options->preload)
        outcome = once_run(worker, PHASE_PRELOAD);
    if (options->type->stores && outcome == OUTCOME_DONE)
        outcome = once_run(worker, PHASE_VERIFY);
    if (options->nb_shares > 0 && outcome == OUTCOME_DONE)
        outcome = hold_run(worker);
    if (outcome == OUTCOME_DONE)
        outcome = warmup_run(worker);
    if (outcome == OUTCOME_DONE)
        outcome = measure_run(worker);
    return outcome;
}

/* Send a request every 10 ms until any reply arrives. False: a signal arrived first. */
static bool up_wait(struct worker *worker)
{
    struct loop *loop = &worker->loop;

    while (!work_stopped)
        if (answer_ask(loop, POLL_NS)) {
            answers_drain(loop->port, worker->load->options->timeout_ns, &work_stopped);
            return true;
        }
    return false;
}

/* --await: wait for a target that is starting. Only worker 0 sends requests. */
static enum outcome target_await(struct worker *worker)
{
    struct load *load = worker->load;
    struct loop *loop = &worker->loop;

    if (worker->index == 0) {
        if (first_answer_wait(loop, &work_stopped)) {
            line_first_answer(clock_ns());
            answers_drain(loop->port, load->options->timeout_ns, &work_stopped);
        } else if (!is_over(load)) {
            fail(load, "await", first_answer_none(loop->port), "");
        }
    }
    return phase_end(load);
}

/* The target is silent: wait until it answers. */
static enum outcome down_run(struct worker *worker)
{
    struct load *load = worker->load;

    drain_run(worker);
    if (worker->index == 0) {
        line_event("down");
        if (up_wait(worker)) {
            line_event("up");
            atomic_store(&load->over, OUTCOME_DONE);
        } else {
            atomic_store(&load->over, OUTCOME_STOPPED);
        }
    }
    worker->loop.type->forget(&worker->loop);
    return phase_end(load);
}

/* Without --await, on a wire of frames: wait until the other end is up. So no time is measured in
 * which nothing could be sent, and a machine may boot for longer than the load lasts. */
static enum outcome wire_await(struct worker *worker)
{
    struct load *load = worker->load;
    struct port *port = worker->loop.port;

    if (!other_end_wait(port, &work_stopped) && !is_over(load))
        fail(load, "wire", first_answer_none(port), "");
    return phase_end(load);
}

enum outcome work_run(struct worker *worker)
{
    enum outcome outcome = worker->load->options->await ? target_await(worker) : wire_await(worker);

    if (outcome == OUTCOME_DONE)
        outcome = life_run(worker);
    while (outcome == OUTCOME_DOWN) {
        outcome = down_run(worker);
        if (outcome == OUTCOME_DONE)
            outcome = life_run(worker);
    }
    if (outcome == OUTCOME_FAILED)
        return outcome;
    if (worker->index == 0)
        line_event("draining");
    drain_run(worker);
    return outcome;
}
