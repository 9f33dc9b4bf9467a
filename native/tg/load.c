/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A life of the target is preload, verify, warm-up and measured time. It ends when the time is
 * over, at a signal, or, with --stay, when the target has been silent for a second: then we poll
 * until it answers, forget what it knew, and the next life begins. What was measured adds up.
 */
#include "load.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "loop.h"
#include "lines.h"

#define SILENCE_DOWN_NS NS_PER_S          /* --stay */
#define SILENCE_FAILED_NS (10 * NS_PER_S) /* preload and verify */
#define POLL_NS (NS_PER_S / 100)

enum outcome { OUTCOME_DONE, OUTCOME_STOPPED, OUTCOME_DOWN, OUTCOME_FAILED };

struct load {
    const struct load_options *options;
    uint64_t tsc_hz;
    uint64_t left_ns; /* of the measured time */
    struct loop loop;
    uint64_t nb_malformed; /* of the port, when last taken */
    struct measured second, total;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static uint64_t to_cycles(const struct load *load, uint64_t ns)
{
    return (uint64_t)((double)ns * 1e-9 * (double)load->tsc_hz);
}

static uint64_t to_ns(const struct load *load, uint64_t cycles)
{
    return (uint64_t)((double)cycles * 1e9 / (double)load->tsc_hz);
}

static enum outcome failed(const char *phase, const char *what, const char *said)
{
    fprintf(stderr, "%s: %s: %s%s%s%s\n", load_name(), phase, what, said[0] == '\0' ? "" : " \"",
            said, said[0] == '\0' ? "" : "\"");
    return OUTCOME_FAILED;
}

/* Preload or verify: every key once. */
static enum outcome keys_run(struct load *load, enum phase phase)
{
    const char *name = phase == PHASE_PRELOAD ? "preload" : "verify";
    bool stay = load->options->stay;
    uint64_t silence = to_cycles(load, stay ? SILENCE_DOWN_NS : SILENCE_FAILED_NS);
    struct loop *loop = &load->loop;
    uint64_t begin = clock_cycles(), now = begin;

    loop_start(loop, phase, false);
    while (loop->source.nb_done < loop->keys.nb_keys) {
        now = loop_turn(loop);
        if (stopped)
            return OUTCOME_STOPPED;
        if (now - loop->last_reply_cycles > silence)
            return stay ? OUTCOME_DOWN
                        : failed(name, "no answer from the target for 10 s; does it listen there?",
                                 "");
        if (loop->gave_up)
            return stay ? OUTCOME_DOWN
                        : failed(name,
                                 "a request stayed unanswered 16 times: the target loses too "
                                 "many",
                                 "");
        if (phase == PHASE_PRELOAD && loop->phase_wrong > 0)
            return failed(name, "the target did not store a key, it said", loop->said);
    }
    if (phase == PHASE_PRELOAD)
        line_preloaded(loop->keys.nb_keys, to_ns(load, now - begin), loop->phase_lost);
    else
        line_verified(loop->keys.nb_keys, to_ns(load, now - begin), loop->phase_wrong,
                      loop->phase_lost, loop->phase_missed);
    return OUTCOME_DONE;
}

/* What is malformed has no id, so it belongs to whatever was going on when it came. */
static uint64_t malformed_take(struct load *load)
{
    struct port_stats stats;
    uint64_t before = load->nb_malformed;

    port_stats(load->loop.port, &stats);
    load->nb_malformed = stats.nb_malformed;
    return stats.nb_malformed - before;
}

/* Move what the loop has counted since the last time into `second` and `total`. */
static void counted_take(struct load *load, uint64_t duration_ns)
{
    struct loop *loop = &load->loop;
    struct measured *total = &load->total;

    loop->counts.malformed = malformed_take(load);
    load->second.duration_ns = duration_ns;
    load->second.counts = loop->counts;
    load->second.cycles = loop->cycles;
    load->second.latency = loop->latency;
    total->duration_ns += duration_ns;
#define X(name) total->counts.name += loop->counts.name;
    COUNTS(X)
#undef X
    total->cycles.receive += loop->cycles.receive;
    total->cycles.empty += loop->cycles.empty;
    total->cycles.check += loop->cycles.check;
    total->cycles.send += loop->cycles.send;
    record_merge(&total->latency, &loop->latency);
    memset(&loop->counts, 0, sizeof(loop->counts));
    memset(&loop->cycles, 0, sizeof(loop->cycles));
    record_reset(&loop->latency);
}

static enum outcome warmup_run(struct load *load)
{
    uint64_t begin = clock_cycles(), time = to_cycles(load, load->options->warmup_ns), now = begin;
    uint64_t silence = to_cycles(load, SILENCE_DOWN_NS);

    loop_start(&load->loop, PHASE_MIX, false);
    while (now - begin < time) {
        now = loop_turn(&load->loop);
        if (stopped)
            return OUTCOME_STOPPED;
        if (load->options->stay && now - load->loop.last_reply_cycles > silence)
            return OUTCOME_DOWN;
    }
    return OUTCOME_DONE;
}

/* Why measuring ends before its time; OUTCOME_DONE: it does not. */
static enum outcome measure_end(const struct load *load, uint64_t now)
{
    if (stopped)
        return OUTCOME_STOPPED;
    if (load->options->stay &&
        now - load->loop.last_reply_cycles > to_cycles(load, SILENCE_DOWN_NS))
        return OUTCOME_DOWN;
    return OUTCOME_DONE;
}

static enum outcome measure_run(struct load *load)
{
    struct loop *loop = &load->loop;
    bool endless = load->options->time_ns == 0;
    uint64_t time = to_cycles(load, load->left_ns), begin, second, now;
    enum outcome outcome = OUTCOME_DONE;

    loop_start(loop, PHASE_MIX, true);
    memset(&loop->cycles, 0, sizeof(loop->cycles)); /* those of preload to warm-up */
    malformed_take(load);
    line_event("measuring");
    begin = second = now = clock_cycles();
    while (outcome == OUTCOME_DONE && (endless || now - begin < time)) {
        now = loop_turn(loop);
        outcome = measure_end(load, now);
        if (now - second < load->tsc_hz)
            continue;
        counted_take(load, to_ns(load, now - second));
        line_measured("second", &load->second, NULL);
        second = now;
    }
    counted_take(load, to_ns(load, now - second));
    if (load->second.duration_ns > NS_PER_S / 10) /* of an odd rest only the total speaks */
        line_measured("second", &load->second, NULL);
    load->left_ns -= endless || now - begin > time ? load->left_ns : to_ns(load, now - begin);
    return outcome;
}

/*
 * Send nothing more; wait until nothing is in flight, then a time-out longer for what comes late
 * or twice. Bounded: what is in flight is lost after a time-out.
 */
static void drain_run(struct load *load)
{
    struct loop *loop = &load->loop;
    uint64_t timeout = loop->match.timeout_cycles, quiet = clock_cycles(), now = quiet;
    bool counted = loop->counted;

    loop_start(loop, PHASE_DRAIN, counted);
    while (now - quiet < timeout) {
        now = loop_turn(loop);
        if (loop->match.nb_in_flight > 0)
            quiet = now;
    }
    memset(&loop->cycles, 0, sizeof(loop->cycles)); /* waiting is no work of the trial */
    if (counted)
        counted_take(load, 0);
    loop->counted = false;
}

static enum outcome life_run(struct load *load)
{
    const struct load_options *options = load->options;
    enum outcome outcome = OUTCOME_DONE;

    load->loop.adopt = !options->preload;
    if (!options->echo && options->preload)
        outcome = keys_run(load, PHASE_PRELOAD);
    if (!options->echo && outcome == OUTCOME_DONE)
        outcome = keys_run(load, PHASE_VERIFY);
    if (outcome == OUTCOME_DONE)
        outcome = warmup_run(load);
    if (outcome == OUTCOME_DONE)
        outcome = measure_run(load);
    return outcome;
}

/* Ask once every 10 ms until anything comes back. False: a signal came first. */
static bool up_wait(struct load *load)
{
    while (!stopped)
        if (answer_ask(load->loop.port, &load->loop.format, POLL_NS)) {
            answers_drain(load->loop.port, load->options->timeout_ns);
            return true;
        }
    return false;
}

/* --await: the target is only just starting. */
static enum outcome target_await(struct load *load)
{
    const struct load_options *options = load->options;

    if (!first_answer_wait(options, load->loop.port, &load->loop.format, &stopped))
        return stopped ? OUTCOME_STOPPED : failed("await", FIRST_ANSWER_NONE, "");
    line_first_answer(clock_ns());
    answers_drain(load->loop.port, options->timeout_ns);
    return OUTCOME_DONE;
}

static enum outcome lives_run(struct load *load)
{
    enum outcome outcome = load->options->await ? target_await(load) : OUTCOME_DONE;

    if (outcome == OUTCOME_DONE)
        outcome = life_run(load);
    while (outcome == OUTCOME_DOWN) {
        drain_run(load);
        line_event("down");
        if (!up_wait(load))
            return OUTCOME_STOPPED;
        line_event("up");
        keys_reset(&load->loop.keys);
        outcome = life_run(load);
    }
    return outcome;
}

static const char *load_open(struct load *load)
{
    const struct load_options *options = load->options;
    struct loop *loop = &load->loop;
    uint32_t nb_flows = options->nb_flows < options->window ? options->nb_flows : options->window;
    struct port_config port = {
        .target = options->target,
        .frames = options->frames,
        .nb_flows = nb_flows,
        .window = options->window,
    };
    struct loop_config config = {
        .nb_flows = nb_flows, .window = options->window, .timeout_ns = options->timeout_ns};
    const char *why;

    load->tsc_hz = config.tsc_hz = clock_calibrate();
    load->second.tsc_hz = load->total.tsc_hz = load->tsc_hz;
    load->left_ns = options->time_ns;
    record_reset(&load->total.latency);
    format_init(&loop->format, options->key_bytes, options->value_bytes);
    workload_init(&loop->workload, &options->workload);
    loop->echo = options->echo;
    loop->no_overlap = options->no_overlap;
    port.request_bytes = loop->format.set_bytes;
    port.reply_bytes = options->echo ? loop->format.set_bytes : loop->format.hit_bytes;
    why = port_open(&loop->port, &port);
    if (why != NULL)
        return why;
    if (!loop_open(loop, &config))
        return "out of memory: fewer --keys need less";
    line_ready(nb_flows, options->window);
    return NULL;
}

int load_run(const struct load_options *options)
{
    struct load *load = calloc(1, sizeof(*load));
    struct sigaction action = {.sa_handler = on_signal};
    struct port_stats stats;
    enum outcome outcome;
    const char *why;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (load == NULL)
        return 1;
    load->options = options;
    why = load_open(load);
    if (why != NULL) {
        fprintf(stderr, "%s: %s\n", load_name(), why);
        return 1;
    }
    outcome = lives_run(load);
    if (outcome != OUTCOME_FAILED) {
        line_event("draining");
        drain_run(load);
        port_stats(load->loop.port, &stats);
        line_measured("result", &load->total, &stats);
    }
    loop_close(&load->loop);
    port_close(load->loop.port);
    free(load);
    return outcome == OUTCOME_FAILED ? 1 : 0;
}
