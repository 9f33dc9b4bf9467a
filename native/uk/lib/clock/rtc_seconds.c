/* SPDX-License-Identifier: BSD-3-Clause */
/* rtc: the arithmetic; see rtc.h. */
#include "rtc.h"

#include <stdbool.h>

#define FORMAT_24_HOURS 0x02u
#define FORMAT_BINARY 0x04u
#define HOUR_PM 0x80u
#define DAYS_TO_1970 719468u /* from 1 March of year 0 */

static unsigned from_bcd(uint8_t value, bool is_binary)
{
    return is_binary ? value : (value & 0x0fu) + (value >> 4) * 10u;
}

/* Let years begin in March, so that the leap day is the last day of a year. */
static uint64_t days_to(unsigned year, unsigned month, unsigned day)
{
    unsigned from_march = (month + 9) % 12;

    year -= month <= 2;
    return year * 365ull + year / 4 - year / 100 + year / 400 + (from_march * 306 + 5) / 10 + day -
           1 - DAYS_TO_1970;
}

uint64_t rtc_seconds_of(const struct rtc_registers *registers)
{
    bool is_binary = registers->format & FORMAT_BINARY;
    unsigned hour = from_bcd(registers->hour & (uint8_t)~HOUR_PM, is_binary);
    unsigned month = from_bcd(registers->month, is_binary);
    unsigned day = from_bcd(registers->day, is_binary);
    unsigned minute = from_bcd(registers->minute, is_binary);
    unsigned second = from_bcd(registers->second, is_binary);
    unsigned century = from_bcd(registers->century, is_binary);
    unsigned year = from_bcd(registers->year, is_binary);

    if (!(registers->format & FORMAT_24_HOURS))
        hour = hour % 12 + (registers->hour & HOUR_PM ? 12 : 0);
    /* Without a valid century register, assume the 21st century. */
    year += 100 * (century >= 19 && century <= 21 ? century : 20);
    if (month - 1 > 11 || day - 1 > 30 || hour > 23 || minute > 59 || second > 60 || year < 1970)
        return 0;
    return (days_to(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
}
