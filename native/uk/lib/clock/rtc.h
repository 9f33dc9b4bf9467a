/* SPDX-License-Identifier: BSD-3-Clause */
/* rtc: the PC's real-time clock (Motorola MC146818), assumed to run in UTC. */
#ifndef NEARMETAL_UK_RTC_H
#define NEARMETAL_UK_RTC_H

#include <stdint.h>

struct rtc_registers {
    uint8_t second, minute, hour, day, month, year, century, format;
};

/* Seconds since 1970; 0: there is no clock. */
uint64_t rtc_unix_s(void);

/* Seconds since 1970 from register values; 0: they are not a valid time. */
uint64_t rtc_seconds_of(const struct rtc_registers *registers);

#endif
