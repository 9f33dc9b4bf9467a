/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program of a rung: one datapath and one service, joined by the linker, on top of boot.h.
 *
 * Order: memory, open, ready line, turns, drain, final line. docs/programs.md has the lines.
 */
#include <stddef.h>

#include "boot.h"
#include "serve.h"

/* Most turns of a drain, so that it ends even when requests keep arriving. */
#define DRAIN_TURNS_MAX 4096u

static void open_admission(struct admission *admission, const struct options *options)
{
    const struct admission_config config = {
        .allow = {options->allow.networks, options->allow.nb_networks},
        .admin = {options->admin.networks, options->admin.nb_networks},
        .trusted = {options->trusted.networks, options->trusted.nb_networks},
    };
    const char *error = admission_open(admission, &config);
    if (error != NULL)
        boot_fail(BOOT_REFUSED, error);
}

static void open_service(struct service **service, const struct boot *boot)
{
    const struct options *options = boot->options;
    struct service_config config = {
        .memory = boot_memory(options->memory_bytes, options->hugepages),
        .memory_bytes = options->memory_bytes,
        .now_ns = serve_now_ns(),
        .pid = boot->pid,
    };

    if (config.memory == NULL)
        boot_fail(BOOT_REFUSED,
                  options->hugepages
                      ? "--hugepages: fewer 2 MiB pages are free than --memory needs; reserve more "
                        "(sysctl vm.nr_hugepages), or leave --hugepages out"
                      : "the machine does not have that much memory; give a smaller --memory");
    __builtin_memcpy(config.seed, options->seed, sizeof(config.seed));
    const char *error = service_open(service, &config);
    if (error != NULL)
        boot_fail(BOOT_REFUSED, error);
}

static struct report report_of(const struct serve *serve)
{
    struct report report = {.serve = serve->counters};

    datapath_stats(serve->datapath, &report.datapath);
    service_counters(serve->service, &report.service);
    return report;
}

static void serve_until_stopped(struct serve *serve, unsigned every_s)
{
    uint64_t period_ns = every_s * 1000000000ull;

    while (atomic_load_explicit(serve->stop, memory_order_relaxed) == 0) {
        serve_until(serve, every_s > 0 ? serve_now_ns() + period_ns : UINT64_MAX);
        if (atomic_load_explicit(serve->stop, memory_order_relaxed) == 0) {
            struct report report = report_of(serve);
            boot_report(&report);
        }
    }
}

_Noreturn void image_main(void)
{
    struct boot boot;
    struct serve serve = {0};

    boot_open(&boot);
    serve.stop = boot.stop;
    serve.ask = boot.ask;
    serve.batch = boot.options->datapath.batch;
    open_admission(&serve.admission, boot.options);
    open_service(&serve.service, &boot);
    struct datapath_config config = boot.options->datapath;
    const char *error = datapath_open(&serve.datapath, &config);
    if (error != NULL)
        boot_fail(BOOT_FAILED, error);
    struct source listen = datapath_listen(serve.datapath);
    boot_ready(&listen);
    serve_until_stopped(&serve, boot.every_s);
    serve_drain(&serve, DRAIN_TURNS_MAX);
    struct report report = report_of(&serve);
    datapath_close(serve.datapath);
    boot_exit(&report);
}
