/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions of a C library that DPDK's objects call for texts (C11, 7.21.6, 7.24), and the
 * checked forms of them that a distribution's compiler inserts. lib/string has memcpy and its like.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "console.h"
#include "environment.h"

/* ---- compare and copy ---- */

size_t strnlen(const char *text, size_t most)
{
    size_t nb = 0;

    while (nb < most && text[nb] != '\0')
        nb++;
    return nb;
}

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        if (a[i] != b[i])
            return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
        if (a[i] == '\0')
            return 0;
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strcpy(char *to, const char *from)
{
    return memcpy(to, from, strlen(from) + 1);
}

/* As libbsd's: the text that results always ends, and the length is that of `from`. */
size_t strlcpy(char *to, const char *from, size_t nb_bytes);
size_t strlcat(char *to, const char *from, size_t nb_bytes);
ssize_t rte_strscpy(char *to, const char *from, size_t nb_bytes);

size_t strlcpy(char *to, const char *from, size_t nb_bytes)
{
    size_t nb = strlen(from);

    if (nb_bytes > 0) {
        size_t copied = nb < nb_bytes ? nb : nb_bytes - 1;
        memcpy(to, from, copied);
        to[copied] = '\0';
    }
    return nb;
}

size_t strlcat(char *to, const char *from, size_t nb_bytes)
{
    size_t nb = strnlen(to, nb_bytes);

    return nb + strlcpy(to + nb, from, nb_bytes - nb);
}

/* As DPDK's (rte_string_fns.h): negative where it does not fit. */
ssize_t rte_strscpy(char *to, const char *from, size_t nb_bytes)
{
    size_t nb = strlcpy(to, from, nb_bytes);

    return nb < nb_bytes ? (ssize_t)nb : -7; /* -E2BIG */
}

/* ---- print ---- */

struct out {
    char *to;
    size_t nb_bytes, nb; /* nb: also of what did not fit */
};

struct conversion {
    bool is_left, is_zero, is_signed;
    int width, precision; /* -1: none */
    unsigned nb_long;
};

static void put(struct out *out, char c)
{
    if (out->nb + 1 < out->nb_bytes)
        out->to[out->nb] = c;
    out->nb++;
}

static void put_padded(struct out *out, const char *text, size_t nb, const struct conversion *how)
{
    size_t width = how->width < 0 ? 0 : (size_t)how->width;

    for (size_t i = nb; !how->is_left && i < width; i++)
        put(out, how->is_zero ? '0' : ' ');
    for (size_t i = 0; i < nb; i++)
        put(out, text[i]);
    for (size_t i = nb; how->is_left && i < width; i++)
        put(out, ' ');
}

static void put_number(struct out *out, uint64_t value, bool is_negative, unsigned base,
                       struct conversion how, const char *digits)
{
    char text[72];
    size_t at = sizeof(text);
    int nb_least = how.precision < 0 ? 1 : how.precision;

    if (how.precision >= 0)
        how.is_zero = false;
    for (; (value > 0 || nb_least > 0) && at > 1; value /= base, nb_least--)
        text[--at] = digits[value % base];
    if (is_negative)
        text[--at] = '-';
    put_padded(out, text + at, sizeof(text) - at, &how);
}

static int read_number(const char **format, va_list *values)
{
    int number = 0;

    if (**format == '*') {
        ++*format;
        return va_arg(*values, int);
    }
    for (; **format >= '0' && **format <= '9'; ++*format)
        number = number * 10 + (**format - '0');
    return number;
}

static struct conversion read_conversion(const char **format, va_list *values)
{
    struct conversion how = {.width = -1, .precision = -1};

    for (;; ++*format) {
        if (**format == '-')
            how.is_left = true;
        else if (**format == '0')
            how.is_zero = true;
        else if (**format != '#' && **format != '+' && **format != ' ')
            break;
    }
    how.width = read_number(format, values);
    if (**format == '.') {
        ++*format;
        how.precision = read_number(format, values);
    }
    for (; **format == 'l' || **format == 'z' || **format == 'j' || **format == 'h'; ++*format)
        how.nb_long += **format != 'h';
    return how;
}

static void put_value(struct out *out, char kind, struct conversion how, va_list *values)
{
    if (kind == 's') {
        const char *text = va_arg(*values, const char *);
        text = text == NULL ? "(null)" : text;
        how.is_zero = false;
        put_padded(out, text, strnlen(text, how.precision < 0 ? SIZE_MAX : (size_t)how.precision),
                   &how);
    } else if (kind == 'c') {
        char c = (char)va_arg(*values, int);
        put_padded(out, &c, 1, &how);
    } else if (kind == 'd' || kind == 'i') {
        int64_t value = how.nb_long > 0 ? va_arg(*values, int64_t) : va_arg(*values, int);
        put_number(out, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0, 10, how,
                   "0123456789");
    } else if (kind == 'p') {
        put_number(out, (uint64_t)va_arg(*values, void *), false, 16, how, "0123456789abcdef");
    } else if (kind == 'u' || kind == 'x' || kind == 'X') {
        uint64_t value = how.nb_long > 0 ? va_arg(*values, uint64_t) : va_arg(*values, unsigned);
        put_number(out, value, false, kind == 'u' ? 10 : 16, how,
                   kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef");
    } else {
        put(out, kind); /* %%, and conversions that no message has */
    }
}

int environment_print(char *to, size_t nb_bytes, const char *format, va_list values)
{
    struct out out = {to, nb_bytes, 0};
    va_list rest;

    va_copy(rest, values);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        format++;
        struct conversion how = read_conversion(&format, &rest);
        if (*format == '\0')
            break;
        put_value(&out, *format, how, &rest);
    }
    va_end(rest);
    if (nb_bytes > 0)
        to[out.nb < nb_bytes ? out.nb : nb_bytes - 1] = '\0';
    return (int)out.nb;
}

int snprintf(char *to, size_t nb_bytes, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    int nb = environment_print(to, nb_bytes, format, values);
    va_end(values);
    return nb;
}

/* ---- the checked forms: the last argument before the format is the size of the buffer ---- */

int __snprintf_chk(char *to, size_t nb_bytes, int flag, size_t room, const char *format, ...);
void *__memcpy_chk(void *to, const void *from, size_t nb_bytes, size_t room);

int __snprintf_chk(char *to, size_t nb_bytes, int flag, size_t room, const char *format, ...)
{
    va_list values;

    (void)flag;
    if (nb_bytes > room)
        console_fail("the image stopped: DPDK printed past a buffer's end");
    va_start(values, format);
    int nb = environment_print(to, nb_bytes, format, values);
    va_end(values);
    return nb;
}

void *__memcpy_chk(void *to, const void *from, size_t nb_bytes, size_t room)
{
    if (nb_bytes > room)
        console_fail("the image stopped: DPDK copied past a buffer's end");
    return memcpy(to, from, nb_bytes);
}
