/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program of a rung: one datapath and one service, joined by the linker.
 *
 * Options, memory, open, ready line, turns, drain, final line. What it prints is written up in
 * docs/programs.md.
 */
#include <linux/mman.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options.h"
#include "report.h"

/* A drain ends after this many turns even when requests keep coming. */
#define DRAIN_TURNS_MAX 4096u
#define HUGEPAGE_BYTES (2ull << 20)

static atomic_int stop, ask;

static void on_signal(int signal_number)
{
    if (signal_number == SIGUSR1)
        ask = 1;
    else
        stop = 1;
}

/* No SA_RESTART: a receive that waits must come back. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

/* The service's memory. 2 MiB pages: the index is read at random (fewer TLB misses). */
static const char *open_memory(void **memory, const struct options *options)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS, huge = MAP_HUGETLB | MAP_HUGE_2MB;
    uint64_t bytes = (options->memory_bytes + HUGEPAGE_BYTES - 1) & ~(HUGEPAGE_BYTES - 1);

    if (options->hugepages) {
        /* The kernel sets the pages aside now, so that touching one cannot fail later. */
        *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | huge, -1, 0);
        if (*memory == MAP_FAILED)
            return "--hugepages: fewer 2 MiB pages are free than --memory needs; reserve more "
                   "(sysctl vm.nr_hugepages), or leave --hugepages out";
        return NULL;
    }
    *memory = mmap(NULL, options->memory_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (*memory == MAP_FAILED)
        return "the machine has not that much memory; give a smaller --memory";
    (void)madvise(*memory, options->memory_bytes, MADV_HUGEPAGE); /* refusal is no failure */
    return NULL;
}

static const char *open_service(struct service **service, const struct options *options)
{
    void *memory;
    const char *error = open_memory(&memory, options);
    if (error != NULL)
        return error;
    struct service_config config = {
        .memory = memory,
        .memory_bytes = options->memory_bytes,
        .now_ns = serve_now_ns(),
        .pid = (uint32_t)getpid(),
    };
    memcpy(config.seed, options->seed, sizeof(config.seed));
    return service_open(service, &config);
}

static const char *open_admission(struct admission *admission, const struct options *options)
{
    const struct admission_config config = {
        .allow = {options->allow.networks, options->allow.nb_networks},
        .admin = {options->admin.networks, options->admin.nb_networks},
        .trusted = {options->trusted.networks, options->trusted.nb_networks},
    };
    return admission_open(admission, &config);
}

static void say_counters(const char *event, const struct serve *serve)
{
    struct report report = {.serve = serve->counters};

    datapath_stats(serve->datapath, &report.datapath);
    service_counters(serve->service, &report.service);
    print_report(event, &report, &service_words);
}

static void serve_until_stopped(struct serve *serve, unsigned every_s)
{
    uint64_t period_ns = every_s * 1000000000ull;

    while (!stop) {
        serve_until(serve, every_s ? serve_now_ns() + period_ns : UINT64_MAX);
        ask = 0;
        if (!stop)
            say_counters("counters", serve);
    }
}

static int fail(int exit_code, const char *error)
{
    fprintf(stderr, "nm-%s-%s: %s\n", datapath_name, service_words.name, error);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct options options;
    struct serve serve = {.stop = &stop, .ask = &ask};
    const char *error;

    if ((error = options_parse(&options, argc, argv)) != NULL)
        return fail(2, error);
    catch_signals();
    if ((error = open_admission(&serve.admission, &options)) != NULL ||
        (error = open_service(&serve.service, &options)) != NULL)
        return fail(2, error);
    options.datapath.fetch_bytes = service_fetch_bytes;
    if ((error = datapath_open(&serve.datapath, &options.datapath)) != NULL)
        return fail(1, stop ? "stopped before it was ready" : error);
    serve.batch = options.datapath.batch;
    struct source listen = datapath_listen(serve.datapath);
    print_ready(&(struct ready){.datapath = datapath_name,
                                .service = service_words.name,
                                .listen = &listen,
                                .pid = getpid(),
                                .store_budget_bytes = options.memory_bytes});

    serve_until_stopped(&serve, options.every_s);
    serve_drain(&serve, DRAIN_TURNS_MAX);
    say_counters("final", &serve);
    datapath_close(serve.datapath);
    return 0;
}
