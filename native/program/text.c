/* SPDX-License-Identifier: BSD-3-Clause */
/* Text without a C library: see text.h. */
#include "text.h"

#define GROUPS 8u /* groups of 16 bits in an IPv6 address */
#define V4_AT 12u /* offset of the IPv4 address in an IPv4-mapped one */

struct text text_in(char *to, size_t nb_bytes)
{
    to[0] = '\0';
    return (struct text){to, to + nb_bytes - 1};
}

static inline void put_byte(struct text *text, char byte)
{
    if (text->at == text->end)
        return;
    *text->at++ = byte;
    *text->at = '\0';
}

void text_put_at_most(struct text *text, const char *more, size_t nb_bytes)
{
    for (; *more != '\0' && nb_bytes > 0; nb_bytes--)
        put_byte(text, *more++);
}

void text_put(struct text *text, const char *more)
{
    text_put_at_most(text, more, SIZE_MAX);
}

static void put_in_base(struct text *text, uint64_t number, unsigned base)
{
    char digits[20];
    unsigned nb = 0;

    do {
        digits[nb++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (nb > 0)
        put_byte(text, digits[--nb]);
}

void text_number(struct text *text, uint64_t number)
{
    put_in_base(text, number, 10);
}

void text_hex(struct text *text, uint64_t number)
{
    text_put(text, "0x");
    put_in_base(text, number, 16);
}

void text_count(struct text *text, const char *key, uint64_t number)
{
    text_put(text, text->at[-1] == '{' ? "\"" : ",\"");
    text_put(text, key);
    text_put(text, "\":");
    text_number(text, number);
}

bool text_same(const char *a, const char *b)
{
    for (; *a == *b; a++, b++) {
        if (*a == '\0')
            return true;
    }
    return false;
}

bool text_begins(const char *text, const char *with)
{
    for (; *with != '\0'; text++, with++) {
        if (*text != *with)
            return false;
    }
    return true;
}

size_t text_bytes(const char *text)
{
    size_t nb = 0;

    while (text[nb] != '\0')
        nb++;
    return nb;
}

const char *text_read_number(const char *text, uint64_t *number)
{
    const char *first = text;

    for (*number = 0; *text >= '0' && *text <= '9'; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return NULL;
        *number = *number * 10 + digit;
    }
    return text == first ? NULL : text;
}

bool text_is_number(const char *text, uint64_t max, uint64_t *number)
{
    const char *behind = text_read_number(text, number);

    return behind != NULL && *behind == '\0' && *number <= max;
}

unsigned text_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0');
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

/* ---- addresses ---- */

/* Parse four decimal numbers with dots between; 010 is refused, as some programs read it as 8. */
static bool is_v4_addr(const char *text, uint8_t addr[4])
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t number;
        const char *behind = text_read_number(text, &number);
        if (behind == NULL || number > UINT8_MAX || behind - text > 3 ||
            (*text == '0' && behind - text > 1) || *behind != (i < 3 ? '.' : '\0'))
            return false;
        addr[i] = (uint8_t)number;
        text = behind + 1;
    }
    return true;
}

/* Read up to four hexadecimal digits. Returns the place behind them, or NULL without digits. */
static const char *read_group(const char *text, uint8_t group[2])
{
    unsigned value = 0, nb = 0;

    for (; nb < 4 && text_hex_digit(*text) < 16; nb++)
        value = value << 4 | text_hex_digit(*text++);
    group[0] = (uint8_t)(value >> 8);
    group[1] = (uint8_t)value;
    return nb == 0 ? NULL : text;
}

/* Move the groups that stood behind `::` to the end of the address. */
static bool spread(uint8_t addr[16], unsigned nb_bytes, unsigned gap)
{
    if (gap == UINT32_MAX)
        return nb_bytes == 16;
    if (nb_bytes > 14)
        return false;
    for (unsigned i = 1; i <= nb_bytes - gap; i++) {
        addr[16 - i] = addr[nb_bytes - i];
        addr[nb_bytes - i] = 0;
    }
    return true;
}

static bool is_v6_addr(const char *text, uint8_t addr[16])
{
    unsigned nb_bytes = 0, gap = UINT32_MAX;

    if (text[0] == ':' && text[1] != ':')
        return false;
    text += text[0] == ':';
    while (*text != '\0') {
        if (*text == ':') { /* the second of two */
            if (gap != UINT32_MAX)
                return false;
            gap = nb_bytes;
            text++;
            continue;
        }
        if (nb_bytes <= V4_AT && is_v4_addr(text, addr + nb_bytes))
            return spread(addr, nb_bytes + 4, gap);
        if (nb_bytes == 16 || (text = read_group(text, addr + nb_bytes)) == NULL)
            return false;
        nb_bytes += 2;
        if (*text == '\0')
            break;
        if (*text != ':' || text[1] == '\0')
            return false;
        text++;
    }
    return spread(addr, nb_bytes, gap);
}

bool text_is_addr(const char *text, uint8_t addr[16], bool *is_v4)
{
    __builtin_memset(addr, 0, 16);
    *is_v4 = is_v4_addr(text, addr + V4_AT);
    if (*is_v4) {
        addr[10] = addr[11] = 0xff;
        return true;
    }
    __builtin_memset(addr, 0, 16);
    return is_v6_addr(text, addr);
}

static bool is_mapped(const uint8_t addr[16])
{
    static const uint8_t prefix[V4_AT] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return __builtin_memcmp(addr, prefix, V4_AT) == 0;
}

static unsigned group_at(const uint8_t addr[16], unsigned i)
{
    return (unsigned)addr[2 * i] << 8 | addr[2 * i + 1];
}

/* Find the first of the longest runs of zero groups, which is written as `::` (RFC 5952, 4.2). */
static unsigned longest_zeros(const uint8_t addr[16], unsigned *nb_longest)
{
    unsigned at = GROUPS, nb = 0;

    *nb_longest = 1; /* one zero group alone is not shortened */
    for (unsigned i = 0; i < GROUPS; i++) {
        nb = group_at(addr, i) == 0 ? nb + 1 : 0;
        if (nb > *nb_longest) {
            *nb_longest = nb;
            at = i + 1 - nb;
        }
    }
    return at;
}

void text_addr(struct text *text, const uint8_t addr[16])
{
    unsigned nb_zeros, zeros = longest_zeros(addr, &nb_zeros);

    if (is_mapped(addr)) {
        for (unsigned i = 0; i < 4; i++) {
            text_put(text, i > 0 ? "." : "");
            text_number(text, addr[V4_AT + i]);
        }
        return;
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        if (i == zeros) {
            text_put(text, "::");
            i += nb_zeros - 1;
            continue;
        }
        text_put(text, i > 0 && i != zeros + nb_zeros ? ":" : "");
        put_in_base(text, group_at(addr, i), 16);
    }
}
