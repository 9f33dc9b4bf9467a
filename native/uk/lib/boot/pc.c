/* SPDX-License-Identifier: BSD-3-Clause */
/* boot, on a machine: entered by a monitor (pc_entry.S), told by a command line, heard on a serial
 * port. */
#include "boot.h"

#include "clock.h"
#include "clock_pc.h"
#include "console.h"
#include "interrupts.h"
#include "memory.h"
#include "boot_pc.h"
#include "power.h"
#include "pvh.h"
#include "text.h"
#include "transport_pc.h"
#include "x86.h"

#define PID 1u
#define HUGEPAGE_BYTES (2ull << 20)
#define CPUID_FEATURES 1u
#define CPUID_FEATURES_7 7u
#define FEATURE_RDRAND (1u << 30) /* of leaf 1, ecx */
#define FEATURE_RDSEED (1u << 18) /* of leaf 7, ebx */
#define RANDOM_ATTEMPTS 1000u     /* a generator may be behind for a while */

/* Made by the build: the image's name, and those of its libraries with commas between. */
extern const char image_name[], image_libraries[];

static struct {
    struct command_line command_line;
    struct options options;
    void *store;
    atomic_int stop, ask;
} pc;

const struct command_line *boot_command_line(void)
{
    return &pc.command_line;
}

static void put_libraries(struct text *text)
{
    for (const char *at = image_libraries; *at != '\0';) {
        const char *end = at;
        while (*end != ',' && *end != '\0')
            end++;
        text_put(text, at == image_libraries ? "\"" : ",\"");
        text_put_at_most(text, at, (size_t)(end - at));
        text_put(text, "\"");
        at = *end == ',' ? end + 1 : end;
    }
}

/* Who this is and what it is made of: first of all, so that what came before it is the monitor's
 * and the firmware's. */
static void say_libraries(void)
{
    char line[REPORT_LINE_BYTES];
    struct text text = text_in(line, sizeof(line));

    text_put(&text, "{\"event\":\"boot\",\"image\":\"");
    text_put(&text, image_name);
    text_put(&text, "\",\"libraries\":[");
    put_libraries(&text);
    text_put(&text, "]}\n");
    console_say(line, (size_t)(text.at - line));
}

/* ---- from the monitor ---- */

_Noreturn void pc_start(const struct pvh_start *start);

/* All that firmware and monitor have left, below the image, is read here and never again: it is
 * not mapped any more. */
static const char *read_start(const struct pvh_start *start)
{
    struct span ram[MEMORY_RANGES_MAX];
    struct layout layout = layout_of_image();
    unsigned nb = 0;

    if (start->magic != PVH_MAGIC || start->version < 1)
        return "the monitor gives no memory map (PVH, version 1)";
    const struct pvh_memory *map = (const void *)start->memory_map;
    for (uint32_t i = 0; i < start->nb_memory_map && nb < MEMORY_RANGES_MAX; i++) {
        if (map[i].type == PVH_MEMORY_USABLE)
            ram[nb++] = (struct span){map[i].address, map[i].address + map[i].nb_bytes};
    }
    const char *words = start->command_line == 0 ? "" : (const char *)start->command_line;
    const char *error = command_line_read(&pc.command_line, words);
    return error != NULL ? error : memory_open(ram, nb, &layout);
}

_Noreturn void pc_start(const struct pvh_start *start)
{
    console_open();
    say_libraries();
    const char *error = read_start(start);
    if (error != NULL)
        console_fail(error);
    interrupts_open();
    error = clock_open();
    if (error != NULL)
        console_fail(error);
    image_main();
}

/* ---- random bytes: the processor's own (Intel SDM 1, 7.3.17) ---- */

static bool random_word(uint64_t *word)
{
    bool is_there = false;

    if (x86_cpuid(CPUID_FEATURES_7, 0).b & FEATURE_RDSEED)
        for (unsigned i = 0; !is_there && i < RANDOM_ATTEMPTS; i++)
            __asm__ volatile("rdseed %0" : "=r"(*word), "=@ccc"(is_there));
    if (x86_cpuid(CPUID_FEATURES, 0).c & FEATURE_RDRAND)
        for (unsigned i = 0; !is_there && i < RANDOM_ATTEMPTS; i++)
            __asm__ volatile("rdrand %0" : "=r"(*word), "=@ccc"(is_there));
    return is_there;
}

bool random_bytes(void *to, size_t nb_bytes)
{
    uint8_t *at = to;
    uint64_t word = 0;

    for (size_t i = 0; i < nb_bytes; i++, word >>= 8) {
        if (i % sizeof(word) == 0 && !random_word(&word))
            return false;
        at[i] = (uint8_t)word;
    }
    return true;
}

/* ---- boot.h ---- */

void boot_open(struct boot *boot)
{
    struct command_line *line = &pc.command_line;
    const char *error = options_parse(&pc.options, (int)line->nb_words, line->words);

    if (error != NULL)
        boot_fail(BOOT_REFUSED, error);
    console_listen(&pc.stop, &pc.ask, clock_told);
    *boot = (struct boot){.options = &pc.options,
                          .pid = PID,
                          .every_s = pc.options.every_s,
                          .stop = &pc.stop,
                          .ask = &pc.ask};
}

/* All pages are of 2 MiB here, wanted or not. */
void *boot_memory(uint64_t bytes, bool hugepages)
{
    (void)hugepages;
    return pc.store = memory_take_zeroed(bytes, HUGEPAGE_BYTES);
}

void boot_ready(const struct source *listen)
{
    char line[REPORT_LINE_BYTES];
    struct ready_machine machine = {.transport = transport_name(),
                                    .clock = clock_source(),
                                    .tsc_hz = clock_tsc_hz(),
                                    .store_address = (uint64_t)pc.store};

    console_say(line,
                ready_line(line, &(struct ready){.datapath = datapath_name,
                                                 .service = service_words.name,
                                                 .listen = listen,
                                                 .pid = PID,
                                                 .store_budget_bytes = pc.options.memory_bytes,
                                                 .machine = &machine}));
}

void boot_report(const struct report *report)
{
    char line[REPORT_LINE_BYTES];

    atomic_store_explicit(&pc.ask, 0, memory_order_relaxed);
    console_say(line, report_line(line, "counters", report, &service_words));
}

_Noreturn void boot_exit(const struct report *report)
{
    char line[REPORT_LINE_BYTES];

    console_say(line, report_line(line, "final", report, &service_words));
    power_off();
}

_Noreturn void boot_fail(enum boot_failure failure, const char *error)
{
    (void)failure; /* a machine has no exit code */
    console_fail(error);
}
