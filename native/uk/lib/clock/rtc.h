/* SPDX-License-Identifier: BSD-3-Clause */
/* rtc: the PC's clock of the day (Motorola MC146818), taken to tell UTC. */
#ifndef NEARMETAL_UK_RTC_H
#define NEARMETAL_UK_RTC_H

#include <stdint.h>

struct rtc_registers {
    uint8_t second, minute, hour, day, month, year, century, format;
};

/* Seconds since 1970; 0: there is no clock. */
uint64_t rtc_unix_s(void);

/* The same of what the registers say; 0: it is no time of a day. */
uint64_t rtc_seconds_of(const struct rtc_registers *registers);

#endif
