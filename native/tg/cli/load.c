/* SPDX-License-Identifier: BSD-3-Clause */
/* One worker a core, each with its part of flows, window, keys and rate. */
#include "load.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "lines.h"
#include "load_shares.h"
#include "work.h"

#define SEED_STEP 0x9e3779b97f4a7c15u
#define LINE_BYTES (1u << 16) /* longer than most lines, so that each is one write */

static void on_signal(int signal_number)
{
    (void)signal_number;
    work_stopped = 1;
}

static void on_go(int signal_number)
{
    (void)signal_number;
    work_going = 1;
}

/* Return the workload of this worker: its range of the keys, or all records. */
static struct workload_config worker_workload(const struct worker *worker)
{
    struct workload_config config = worker->load->options->workload;
    const struct load_options *options = worker->load->options;

    config.nb_all = config.nb_keys;
    if (!options->type->recorded) {
        config.first = shares_begin(options, config.nb_all, worker->index);
        config.nb_keys = shares_of(options, config.nb_all, worker->index);
    }
    config.seed += shares_place(options, worker->index) * SEED_STEP;
    return config;
}

static void worker_pace(struct worker *worker, const struct workload_config *workload)
{
    const struct load_options *options = worker->load->options;
    struct pace_config config = {.rate = options->rate / shares_nb_all(options),
                                 .poisson = options->poisson,
                                 .seed = ~workload->seed, /* not the sequence of the workload */
                                 .tsc_hz = worker->load->tsc_hz,
                                 .timeout_ns = options->timeout_ns};

    if (options->rate == 0)
        return;
    pace_init(&worker->pace, &config);
    worker->loop.pace = &worker->pace;
}

static const char *worker_open(struct worker *worker, uint32_t nb_flows)
{
    const struct load_options *options = worker->load->options;
    struct loop *loop = &worker->loop;
    struct workload_config workload = worker_workload(worker);
    struct load_config load = options->load;
    unsigned i = worker->index;
    struct loop_config config = {.nb_flows = shares_of(options, nb_flows, i),
                                 .window = shares_of(options, options->window, i),
                                 .timeout_ns = options->timeout_ns,
                                 .tsc_hz = worker->load->tsc_hz};
    struct port_config port = {.target = options->target,
                               .frames = options->frames,
                               .nb_flows = config.nb_flows,
                               .source_port = options->source_port,
                               .window = config.window,
                               .segment = options->segment};
    const char *why;

    if (options->source_port != 0)
        port.source_port += shares_begin(options, nb_flows, i);
    workload_init(&loop->workload, &workload);
    worker_pace(worker, &workload);
    load.adopt = !options->preload;
    load.stamp = workload.seed;
    load.asks_before = i == 0 && shares_ask_before(options);
    loop_init(loop, options->type, &load);
    port.request_bytes = loop->request_bytes;
    port.reply_bytes = loop->reply_bytes;
    why = port_open(&loop->port, &port);
    if (why != NULL) {
        loop->port = NULL;
        return why;
    }
    return loop_open(loop, &config) ? NULL : "out of memory; give fewer --keys or records";
}

static const char *load_open(struct load *load)
{
    const struct load_options *options = load->options;
    uint32_t nb_flows = options->nb_flows < options->window ? options->nb_flows : options->window;
    const char *why = NULL;

    load->nb_workers = load->meeting.nb = shares_nb_workers(options);
    load->workers = calloc(load->nb_workers, sizeof(*load->workers));
    if (load->workers == NULL)
        return "out of memory";
    /* Touch the pages here, so that the first second of the measured time does not wait for
     * them. */
    memset(&load->second, 0, sizeof(load->second));
    memset(&load->total, 0, sizeof(load->total));
    load->tsc_hz = load->second.tsc_hz = load->total.tsc_hz = clock_calibrate();
    load->second.paced = load->total.paced = options->rate > 0;
    load->left_ns = options->time_ns;
    measured_reset(&load->total);
    for (unsigned i = 0; why == NULL && i < load->nb_workers; i++) {
        load->workers[i].load = load;
        load->workers[i].index = i;
        why = worker_open(&load->workers[i], nb_flows);
    }
    return why;
}

static const char *pin(unsigned core)
{
    static char said[80];
    cpu_set_t cores;

    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof(cores), &cores) == 0)
        return NULL;
    snprintf(said, sizeof(said), "--lcores: core %u cannot be used: %s", core, strerror(errno));
    return said;
}

static void *worker_start(void *argument)
{
    struct worker *worker = argument;

    (void)work_run(worker);
    return NULL;
}

static void ready_print(const struct load *load)
{
    const struct load_options *options = load->options;
    uint32_t nb_flows = options->nb_flows < options->window ? options->nb_flows : options->window;
    struct port_stats stats;

    port_stats(load->workers[0].loop.port, &stats);
    line_ready(shares_ours(options, nb_flows), shares_ours(options, options->window), &stats);
}

/* Pin this thread to each worker's core before starting the worker, which inherits the core. The
 * worker with index 0 is this thread. */
static const char *workers_start(struct load *load)
{
    const struct load_options *options = load->options;
    const char *why = NULL;

    for (unsigned i = 0; why == NULL && i < options->nb_lcores; i++)
        why = pin(options->lcores[i]); /* check all cores before a thread starts */
    if (why == NULL)
        ready_print(load);
    for (unsigned i = load->nb_workers; why == NULL && i-- > 1;) {
        why = pin(options->lcores[i]);
        if (why == NULL &&
            pthread_create(&load->workers[i].thread, NULL, worker_start, &load->workers[i]) != 0) {
            fprintf(stderr, "%s: cannot start a thread\n", load_name());
            exit(1); /* other threads may already be waiting for it */
        }
    }
    return why == NULL && options->nb_lcores > 0 ? pin(options->lcores[0]) : why;
}

static void load_close(struct load *load)
{
    for (unsigned i = 0; i < load->nb_workers; i++) {
        struct loop *loop = &load->workers[i].loop;

        loop_close(loop);
        if (loop->port != NULL)
            port_close(loop->port);
    }
    free(load->workers);
    free(load);
}

/* Counters of the ports; only ports over sockets are several. */
static struct port_stats load_stats(const struct load *load)
{
    struct port_stats all, one;

    port_stats(load->workers[0].loop.port, &all);
    for (unsigned i = 1; i < load->nb_workers; i++) {
        port_stats(load->workers[i].loop.port, &one);
        all.nb_joined += one.nb_joined;
        all.nb_refused += one.nb_refused;
    }
    return all;
}

static enum outcome workers_run(struct load *load)
{
    enum outcome outcome = work_run(&load->workers[0]);
    struct port_stats stats;

    for (unsigned i = 1; i < load->nb_workers; i++)
        pthread_join(load->workers[i].thread, NULL);
    if (outcome != OUTCOME_FAILED) {
        stats = load_stats(load);
        line_measured("result", &load->total, &stats);
    }
    return outcome;
}

int load_run(const struct load_options *options)
{
    struct load *load = calloc(1, sizeof(*load));
    struct sigaction action = {.sa_handler = on_signal}, go = {.sa_handler = on_go};
    enum outcome outcome = OUTCOME_FAILED;
    const char *why;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (options->nb_shares > 0)
        sigaction(SIGUSR1, &go, NULL);
    setvbuf(stdout, NULL, _IOFBF, LINE_BYTES);
    if (load == NULL)
        return 1;
    load->options = options;
    why = load_open(load);
    if (why == NULL)
        why = workers_start(load);
    if (why != NULL)
        fprintf(stderr, "%s: %s\n", load_name(), why);
    else
        outcome = workers_run(load);
    load_close(load);
    return outcome == OUTCOME_FAILED ? 1 : 0;
}
