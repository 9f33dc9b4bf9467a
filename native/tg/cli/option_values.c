/* SPDX-License-Identifier: BSD-3-Clause */
#include "option_values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *value_number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
    static char wanted[80];
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && text[0] != '-' && *value >= low &&
        *value <= high)
        return NULL;
    snprintf(wanted, sizeof(wanted), "a whole number from %llu to %llu", (unsigned long long)low,
             (unsigned long long)high);
    return wanted;
}

const char *value_small(const char *text, uint32_t low, uint32_t high, uint32_t *value)
{
    uint64_t wide;
    const char *wanted = value_number(text, low, high, &wide);

    *value = (uint32_t)wide;
    return wanted;
}

const char *value_real(const char *text, double low, double high, double *value)
{
    static char wanted[80];
    char *end;

    *value = strtod(text, &end);
    if (end != text && *end == '\0' && *value >= low && *value <= high) /* false for NaN */
        return NULL;
    snprintf(wanted, sizeof(wanted), "a number from %g to %g", low, high);
    return wanted;
}

const char *value_seconds(const char *text, double low, uint64_t *ns)
{
    double value;
    const char *wanted = value_real(text, low, 1e6, &value);

    *ns = wanted == NULL ? (uint64_t)(value * 1e9) : 0;
    return wanted;
}

const char *value_ipv4(const char *text, uint8_t address[4])
{
    return inet_pton(AF_INET, text, address) == 1 && address[0] != 0 ? NULL : "an IPv4 address";
}

const char *value_target_mac(const char *text, struct port_frames_config *frames)
{
    frames->has_target_mac = true;
    for (unsigned i = 0; i < sizeof(frames->target_mac); i++, text += 3) {
        char digits[3] = {text[0], text[0] == '\0' ? '\0' : text[1], '\0'};
        char *end;

        frames->target_mac[i] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2 || digits[0] == '+' || digits[0] == '-' || digits[0] == ' ' ||
            text[2] != (i < 5 ? ':' : '\0'))
            return "an Ethernet address such as 02:00:00:00:00:01";
    }
    return NULL;
}
