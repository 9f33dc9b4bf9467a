/* SPDX-License-Identifier: BSD-3-Clause */
/* A DUT as a Linux program (boot.h): options, signals, memory, lines on stdout. */
#include <linux/mman.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot.h"

#define HUGEPAGE_BYTES (2ull << 20)

static atomic_int stop, ask;
static struct options options;

static void on_signal(int signal_number)
{
    if (signal_number == SIGUSR1)
        ask = 1;
    else
        stop = 1;
}

/* Without SA_RESTART: a signal must end a receive that waits. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

int main(int argc, char **argv)
{
    const char *error = options_parse(&options, argc, argv);

    if (error != NULL)
        boot_fail(BOOT_REFUSED, error);
    catch_signals();
    image_main();
}

void boot_open(struct boot *boot)
{
    *boot = (struct boot){.options = &options,
                          .pid = (uint32_t)getpid(),
                          .every_s = options.every_s,
                          .stop = &stop,
                          .ask = &ask};
}

/* Ask for 2 MiB pages: the index is read at random, so they save TLB misses. */
void *boot_memory(uint64_t bytes, bool hugepages)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;

    if (hugepages) {
        /* The kernel reserves the pages now, so that touching one cannot fail later. */
        flags |= MAP_HUGETLB | MAP_HUGE_2MB;
        bytes = (bytes + HUGEPAGE_BYTES - 1) & ~(HUGEPAGE_BYTES - 1);
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (!hugepages)
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* only an optimisation: errors are ignored */
    return memory;
}

void boot_ready(const struct source *listen)
{
    print_ready(&(struct ready){.datapath = datapath_name,
                                .service = service_words.name,
                                .listen = listen,
                                .pid = getpid(),
                                .store_budget_bytes = options.memory_bytes});
}

/* Clear `ask` first: a request that arrives while this prints gets a report of its own. */
void boot_report(const struct report *report)
{
    ask = 0;
    print_report("counters", report, &service_words);
}

_Noreturn void boot_exit(const struct report *report)
{
    print_report("final", report, &service_words);
    exit(0);
}

_Noreturn void boot_fail(enum boot_failure failure, const char *error)
{
    /* A signal may interrupt the opening of a datapath, which then fails. */
    if (failure == BOOT_FAILED && stop)
        error = "stopped before it was ready";
    fprintf(stderr, "nm-%s-%s: %s\n", datapath_name, service_words.name, error);
    exit((int)failure);
}
