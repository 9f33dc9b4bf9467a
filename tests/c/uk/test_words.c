/* SPDX-License-Identifier: BSD-3-Clause */
/* Text in and out of an image: command lines split into words, numbers and addresses without a C
 * library (compared with the C library), messages of traps, times from a timer and from a clock. */
#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include "../check.h"
#include "command_line.h"
#include "pit.h"
#include "rtc.h"
#include "text.h"
#include "trap.h"

static void test_command_line(void)
{
    static struct command_line line;
    static char long_text[COMMAND_LINE_BYTES + 1], many[COMMAND_LINE_BYTES];

    CHECK(command_line_read(&line, "") == NULL && line.nb_words == 1 && line.nb_devices == 0);
    CHECK(command_line_read(&line, "  --listen\t10.0.0.2:1  --poll\n") == NULL);
    CHECK(line.nb_words == 4 && strcmp(line.words[1], "--listen") == 0);
    CHECK(strcmp(line.words[2], "10.0.0.2:1") == 0 && strcmp(line.words[3], "--poll") == 0);
    CHECK(command_line_read(&line, "--poll virtio_mmio.device=512@0xfeb00e00:12 "
                                   "virtio_mmio.device=4K@268435456:5:0") == NULL);
    CHECK(line.nb_words == 2 && line.nb_devices == 2);
    CHECK(line.devices[0].address == 0xfeb00e00 && line.devices[0].nb_bytes == 512);
    CHECK(line.devices[0].line == 12 && line.devices[1].line == 5);
    CHECK(line.devices[1].address == 268435456 && line.devices[1].nb_bytes == 4096);
    static const char *const odd[] = {"",
                                      "512",
                                      "512@",
                                      "@0x1:1",
                                      "512@0x:1",
                                      "512@0x1",
                                      "512@0x1:",
                                      "512@0x1:256",
                                      "512@0x11112222333344445:1",
                                      "x@1:1",
                                      "99999999999999999999@1:1"};
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "virtio_mmio.device=%s --poll", odd[i]);
        CHECK(command_line_read(&line, text) == NULL && line.nb_devices == 0);
        CHECK(line.nb_words == 2);
    }
    memset(long_text, 'x', sizeof(long_text) - 1);
    CHECK(command_line_read(&line, long_text) != NULL);
    long_text[COMMAND_LINE_BYTES - 1] = '\0';
    CHECK(command_line_read(&line, long_text) == NULL && line.nb_words == 2);
    for (unsigned i = 0; i + 1 < sizeof(many); i++)
        many[i] = i % 2 ? ' ' : 'x';
    CHECK(command_line_read(&line, many) != NULL);
}

static void test_numbers(void)
{
    uint64_t number;
    char to[32];
    struct text text = text_in(to, sizeof(to));

    CHECK(text_is_number("18446744073709551615", UINT64_MAX, &number) && number == UINT64_MAX);
    CHECK(!text_is_number("18446744073709551616", UINT64_MAX, &number));
    CHECK(!text_is_number("", 1, &number) && !text_is_number("1x", 9, &number));
    CHECK(!text_is_number("-1", 9, &number) && !text_is_number("+1", 9, &number));
    CHECK(text_is_number("007", 7, &number) && !text_is_number("8", 7, &number));
    text_number(&text, UINT64_MAX);
    text_hex(&text, 0xabc0);
    CHECK(strcmp(to, "184467440737095516150xabc0") == 0);
    text_put(&text, "more than there is room for");
    CHECK(strlen(to) == sizeof(to) - 1);
}

/* Compare with the C library's result, except for forms that only the C library accepts. */
static void check_addr(const char *text)
{
    uint8_t ours[16], theirs[16] = {[10] = 0xff, [11] = 0xff};
    bool is_v4, is_theirs_v4 = inet_pton(AF_INET, text, theirs + 12) == 1;
    bool is_theirs = is_theirs_v4 || inet_pton(AF_INET6, text, theirs) == 1;
    char to[64], named[INET6_ADDRSTRLEN];
    struct text out = text_in(to, sizeof(to));

    CHECK(text_is_addr(text, ours, &is_v4) == is_theirs);
    if (!is_theirs)
        return;
    CHECK(is_v4 == is_theirs_v4 && memcmp(ours, theirs, 16) == 0);
    text_addr(&out, ours);
    if (is_v4)
        inet_ntop(AF_INET, ours + 12, named, sizeof(named));
    else
        inet_ntop(AF_INET6, ours, named, sizeof(named));
    if (memcmp(ours, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) != 0 && strchr(named, '.') == NULL)
        CHECK(strcmp(to, named) == 0);
}

static void test_addresses(void)
{
    static const char *const some[] = {"127.0.0.1",
                                       "255.255.255.255",
                                       "256.1.1.1",
                                       "1.2.3",
                                       "1.2.3.4.5",
                                       "1.2.3.",
                                       ".1.2.3",
                                       "01.2.3.4",
                                       "0.0.0.0",
                                       "1..2.3",
                                       "::",
                                       "::1",
                                       "1::",
                                       "fe80::1:2",
                                       "1:2:3:4:5:6:7:8",
                                       "1:2:3:4:5:6:7",
                                       "1:2:3:4:5:6:7:8:9",
                                       "1:2:3:4:5:6:7::",
                                       "::2:3:4:5:6:7:8",
                                       ":1",
                                       "1:",
                                       ":::",
                                       "1:::2",
                                       "1::2::3",
                                       "12345::",
                                       "g::",
                                       "::ffff:1.2.3.4",
                                       "::1.2.3.4",
                                       "1.2.3.4::",
                                       "1:2:3:4:5:6:1.2.3.4",
                                       "1:2:3:4:5:6:7:1.2.3.4",
                                       "::1.2.3",
                                       "FE80::AbCd",
                                       "0:0:1:0:0:0:1:0",
                                       "1:0:0:2:0:0:0:3",
                                       "2001:db8:0:1:1:1:1:1",
                                       "",
                                       ":",
                                       "x",
                                       "1.2.3.4 ",
                                       " 1.2.3.4"};
    uint64_t random = 1;

    for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        check_addr(some[i]);
    for (unsigned i = 0; i < 300000; i++) {
        char text[24];
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned nb = (random >> 40) % 20;
        uint64_t bits = random;
        for (unsigned j = 0; j < nb; j++) {
            bits = bits * 6364136223846793005u + 1442695040888963407u;
            text[j] = "0011:::.f."[bits >> 60 & 7];
        }
        text[nb] = '\0';
        check_addr(text);
    }
}

static void check_trap(struct trap_frame frame, uint64_t address, const char *said)
{
    static const struct layout layout = {.text = {0x100000, 0x10e000},
                                         .rodata = {0x10e000, 0x111000},
                                         .data = {0x111000, 0x113000},
                                         .guards = {{0x113000, 0x114000}, {0x134000, 0x135000}}};
    char to[512], where[64];
    struct text text = text_in(to, sizeof(to));

    trap_text(&text, &frame, address, &layout);
    CHECK(strstr(to, said) != NULL);
    if (frame.vector == 14) {
        snprintf(where, sizeof(where), "address 0x%llx,", (unsigned long long)address);
        CHECK(strstr(to, where) != NULL);
    }
    CHECK(strlen(to) < TRAP_TEXT_BYTES);
}

static void test_traps(void)
{
    check_trap((struct trap_frame){.vector = 14, .error = 3}, 0x100010, "wrote to its code");
    check_trap((struct trap_frame){.vector = 14, .error = 3}, 0x10e000, "wrote to its constants");
    check_trap((struct trap_frame){.vector = 14, .error = 0x11}, 0x111010, "executed data");
    check_trap((struct trap_frame){.vector = 14, .error = 0x10}, 0x999000, "jumped to an unmapped");
    check_trap((struct trap_frame){.vector = 14, .error = 2}, 0x113ff8, "ran off its stack");
    check_trap((struct trap_frame){.vector = 14, .error = 2}, 0x134000, "ran off its stack");
    check_trap((struct trap_frame){.vector = 14, .error = 0}, 8, "null pointer");
    check_trap((struct trap_frame){.vector = 14, .error = 2}, 0x900000,
               "wrote to an unmapped address");
    check_trap((struct trap_frame){.vector = 14, .error = 0}, 0x900000, "read an unmapped address");
    for (uint64_t vector = 0; vector < 32; vector++)
        check_trap((struct trap_frame){.vector = vector, .rip = ~0ull, .rsp = ~0ull}, ~0ull,
                   "instruction at 0xffffffffffffffff");
}

/* A counter of `hz` hertz, read with an error, at increasing intervals. */
static void check_pit(uint64_t hz)
{
    struct pit_moment first = {.tsc = 12345, .count = 100};
    uint64_t estimate = 0;

    for (double s = 0.001; s < 1000; s *= 20) {
        uint64_t ticks = (uint64_t)(s * PIT_HZ) + 1; /* off by one */
        struct pit_moment now = {first.tsc + (uint64_t)(s * (double)hz),
                                 (uint32_t)(first.count - ticks) & (PIT_ROUND - 1)};
        estimate =
            estimate == 0 ? pit_first_hz(&first, &now) : pit_better_hz(&first, &now, estimate);
        double error = (double)estimate / (double)hz - 1;
        CHECK(error < 2.0 / (s * PIT_HZ) + 1e-9 && error > -2.0 / (s * PIT_HZ) - 1e-9);
    }
    /* The machine or the timer stood still meanwhile: the estimate must not change. */
    struct pit_moment later = {first.tsc + hz, first.count};
    CHECK(pit_better_hz(&first, &later, hz) / (hz / 100) == 100 ||
          pit_better_hz(&first, &later, hz) / (hz / 100) == 99);
    CHECK(pit_first_hz(&first, &first) == 0);
    later.tsc = first.tsc + hz * 3000;
    CHECK(pit_better_hz(&first, &later, hz) == hz);
}

static uint8_t bcd(int value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

static void test_rtc(void)
{
    for (time_t at = 1; at < 4102444800; at += 86400 * 13 + 7919) {
        struct tm tm;
        gmtime_r(&at, &tm);
        int hour12 = tm.tm_hour % 12 == 0 ? 12 : tm.tm_hour % 12;
        struct rtc_registers binary = {(uint8_t)tm.tm_sec,
                                       (uint8_t)tm.tm_min,
                                       (uint8_t)tm.tm_hour,
                                       (uint8_t)tm.tm_mday,
                                       (uint8_t)(tm.tm_mon + 1),
                                       (uint8_t)(tm.tm_year % 100),
                                       (uint8_t)(19 + tm.tm_year / 100),
                                       0x06};
        struct rtc_registers decimal = {bcd(tm.tm_sec),
                                        bcd(tm.tm_min),
                                        (uint8_t)(bcd(hour12) | (tm.tm_hour >= 12 ? 0x80 : 0)),
                                        bcd(tm.tm_mday),
                                        bcd(tm.tm_mon + 1),
                                        bcd(tm.tm_year % 100),
                                        bcd(19 + tm.tm_year / 100),
                                        0x00};
        CHECK(rtc_seconds_of(&binary) == (uint64_t)at);
        CHECK(rtc_seconds_of(&decimal) == (uint64_t)at);
    }
    struct rtc_registers none = {255, 255, 255, 255, 255, 255, 255, 255};
    CHECK(rtc_seconds_of(&none) == 0);
}

int main(void)
{
    test_command_line();
    test_numbers();
    test_addresses();
    test_traps();
    check_pit(2596000000);
    check_pit(1000000000);
    check_pit(5000000000);
    test_rtc();
    return 0;
}
