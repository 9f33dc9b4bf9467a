/* SPDX-License-Identifier: BSD-3-Clause */
/* rtc: access to the device; see rtc.h. */
#include "rtc.h"

#include <stdbool.h>

#include "x86.h"

#define INDEX 0x70u
#define DATA 0x71u
#define STATUS_A 0x0au
#define STATUS_B 0x0bu
#define A_UPDATING 0x80u
#define CENTURY 0x32u /* index of the century register on PCs */
#define ATTEMPTS 8u

static uint8_t read_register(uint8_t number)
{
    x86_out8(INDEX, number);
    return x86_in8(DATA);
}

static struct rtc_registers read_all(void)
{
    return (struct rtc_registers){.second = read_register(0x00),
                                  .minute = read_register(0x02),
                                  .hour = read_register(0x04),
                                  .day = read_register(0x07),
                                  .month = read_register(0x08),
                                  .year = read_register(0x09),
                                  .century = read_register(CENTURY),
                                  .format = read_register(STATUS_B)};
}

/* Retry while the clock updates its registers, or if the second changed during the read. */
uint64_t rtc_unix_s(void)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        if (read_register(STATUS_A) & A_UPDATING)
            continue;
        struct rtc_registers registers = read_all();
        if (read_register(0x00) == registers.second)
            return rtc_seconds_of(&registers);
    }
    return 0;
}
