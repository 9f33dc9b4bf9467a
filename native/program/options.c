/* SPDX-License-Identifier: BSD-3-Clause */
/* Command line of a DUT, for programs and images. Freestanding. */
#include "options.h"

#include "text.h"

#define MEMORY_BYTES_DEFAULT (64ull << 20)
#define BATCH_DEFAULT 32u
#define PORT_DEFAULT 11211u

static char error_text[256];

static const char *fail(const char *option, const char *value, const char *remedy)
{
    struct text text = text_in(error_text, sizeof(error_text));

    text_put(&text, "--");
    text_put(&text, option);
    text_put(&text, " ");
    text_put_at_most(&text, value, 80);
    text_put(&text, ": ");
    text_put(&text, remedy);
    return error_text;
}

/* Return the last place of this byte in a text, or NULL. */
static const char *last_of(const char *text, char byte)
{
    const char *last = NULL;

    for (; *text != '\0'; text++)
        last = *text == byte ? text : last;
    return last;
}

static const char *parse_listen(const char *value, struct source *listen)
{
    static const char remedy[] =
        "not an address; give ADDR:PORT, as 127.0.0.1:11211 or [::1]:11211";
    char text[64];
    uint64_t port;
    bool is_v4;

    const char *colon = last_of(value, ':');
    if (colon == NULL || (size_t)(colon - value) >= sizeof(text) ||
        !text_is_number(colon + 1, 65535, &port))
        return fail("listen", value, remedy);
    size_t bytes = (size_t)(colon - value);
    bool bracketed = bytes >= 2 && value[0] == '[' && value[bytes - 1] == ']';
    if (bracketed) {
        value++;
        bytes -= 2;
    }
    __builtin_memcpy(text, value, bytes);
    text[bytes] = '\0';
    if (!text_is_addr(text, listen->addr, &is_v4) || bracketed == is_v4)
        return fail("listen", text, remedy);
    listen->port = (uint16_t)port;
    return NULL;
}

static const char *parse_network(const char *option, const char *value, struct networks *list)
{
    static const char remedy[] = "not a network; give ADDR/BITS, as 10.0.0.0/8 or ::1/128";
    char text[64];
    uint64_t bits;
    bool is_v4;

    if (list->nb_networks == OPTIONS_NETWORKS_MAX)
        return fail(option, value, "too many networks; at most 16");
    const char *slash = last_of(value, '/');
    size_t bytes = slash != NULL ? (size_t)(slash - value) : text_bytes(value);
    if (bytes >= sizeof(text))
        return fail(option, value, remedy);
    __builtin_memcpy(text, value, bytes);
    text[bytes] = '\0';

    struct cidr *cidr = &list->networks[list->nb_networks];
    if (!text_is_addr(text, cidr->addr, &is_v4))
        return fail(option, value, remedy);
    unsigned width = is_v4 ? 32 : 128;
    bits = width;
    if (slash != NULL && !text_is_number(slash + 1, width, &bits))
        return fail(option, value, remedy);
    cidr->prefix_bits = (uint32_t)bits + (128 - width);
    list->nb_networks++;
    return NULL;
}

static const char *parse_memory(const char *value, uint64_t *memory_bytes)
{
    static const struct {
        const char *suffix;
        unsigned shift;
    } units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"", 0}};
    uint64_t number;
    const char *behind = text_read_number(value, &number);

    for (unsigned i = 0; behind != NULL && i < sizeof(units) / sizeof(units[0]); i++) {
        if (!text_same(behind, units[i].suffix))
            continue;
        if (number > (1ull << 40) >> units[i].shift)
            return fail("memory", value, "more than 1 TiB");
        *memory_bytes = number << units[i].shift;
        if (*memory_bytes < SERVICE_MEMORY_BYTES_MIN)
            return fail("memory", value, "too small; give at least 1MiB");
        return NULL;
    }
    return fail("memory", value, "not a size; give bytes, or a number with KiB, MiB or GiB");
}

static const char *parse_seed(const char *value, uint8_t seed[16])
{
    bool is_seed = text_bytes(value) == 32;

    for (unsigned i = 0; is_seed && i < 16; i++) {
        unsigned high = text_hex_digit(value[2 * i]), low = text_hex_digit(value[2 * i + 1]);
        is_seed = high < 16 && low < 16;
        seed[i] = (uint8_t)(high << 4 | low);
    }
    return is_seed ? NULL : fail("seed", value, "not 32 hexadecimal digits");
}

static bool is_loopback(const struct source *source)
{
    static const uint8_t mapped_127[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    static const uint8_t v6_loopback[16] = {[15] = 1};

    return __builtin_memcmp(source->addr, mapped_127, sizeof(mapped_127)) == 0 ||
           __builtin_memcmp(source->addr, v6_loopback, sizeof(v6_loopback)) == 0;
}

/* Fill in the defaults: loopback where no network was given. Sources beyond loopback must be named,
 * so that no server is opened to a network by accident. */
static const char *complete(struct options *options)
{
    if (options->allow.nb_networks == 0 && !is_loopback(&options->datapath.listen))
        return "--listen beyond loopback needs --allow CIDR: name the sources that may ask";
    struct networks loopback = {.nb_networks = 0};
    (void)parse_network("allow", "127.0.0.0/8", &loopback);
    (void)parse_network("allow", "::1/128", &loopback);
    if (options->allow.nb_networks == 0)
        options->allow = loopback;
    if (options->admin.nb_networks == 0)
        options->admin = loopback;
    if (options->trusted.nb_networks == 0)
        options->trusted = options->allow;
    return NULL;
}

static const char *parse_one(struct options *options, int option, const char *value)
{
    uint64_t number = 0;

    switch (option) {
    case 'l':
        return parse_listen(value, &options->datapath.listen);
    case 'm':
        return parse_memory(value, &options->memory_bytes);
    case 'a':
        return parse_network("allow", value, &options->allow);
    case 'A':
        return parse_network("admin", value, &options->admin);
    case 't':
        return parse_network("trusted", value, &options->trusted);
    case 'b':
        if (!text_is_number(value, SERVICE_BURST_MAX, &number) || number == 0)
            return fail("batch", value, "not a number from 1 to 64");
        options->datapath.batch = (unsigned)number;
        return NULL;
    case 'g':
        options->datapath.segment = true;
        return NULL;
    case 'p':
        options->datapath.poll = true;
        return NULL;
    case 'h':
        options->hugepages = true;
        return NULL;
    case 's':
        return parse_seed(value, options->seed);
    case 'e':
        if (!text_is_number(value, 86400, &number))
            return fail("every", value, "not a number of seconds");
        options->every_s = (unsigned)number;
        return NULL;
    default:
        return "unknown option or missing value; docs/programs.md lists them";
    }
}

/* Find the option of a word "--name" or "--name=value". Sets *value to the text behind `=`, or to
 * NULL without one. Returns '?' for an unknown option. */
static int option_of(const char *word, bool *has_value, const char **value)
{
    static const struct {
        const char *name;
        char option;
        bool has_value;
    } table[] = {
        {"listen", 'l', true},   {"memory", 'm', true},  {"allow", 'a', true},
        {"admin", 'A', true},    {"trusted", 't', true}, {"batch", 'b', true},
        {"segment", 'g', false}, {"poll", 'p', false},   {"hugepages", 'h', false},
        {"seed", 's', true},     {"every", 'e', true},
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        size_t bytes = text_bytes(table[i].name);
        if (!text_begins(word + 2, table[i].name))
            continue;
        *has_value = table[i].has_value;
        *value = word[2 + bytes] == '=' ? word + 3 + bytes : NULL;
        if (word[2 + bytes] == '\0' || (*value != NULL && *has_value))
            return table[i].option;
    }
    return '?';
}

/* Parse one option, with its value where that is the next word. Moves *at behind both. */
static const char *parse_word(struct options *options, bool *has_seed, int argc, char **argv,
                              int *at)
{
    const char *word = argv[(*at)++], *value;
    bool has_value;

    if (word[0] != '-' || word[1] != '-')
        return fail("listen", word, "a word too many on the command line");
    int option = option_of(word, &has_value, &value);
    *has_seed |= option == 's';
    if (option != '?' && has_value && value == NULL) {
        value = *at < argc ? argv[*at] : NULL;
        if (value == NULL)
            option = '?';
        else
            ++*at;
    }
    return parse_one(options, option, value);
}

const char *options_parse(struct options *options, int argc, char **argv)
{
    bool has_seed = false;
    int at = 1;

    *options = (struct options){.memory_bytes = MEMORY_BYTES_DEFAULT,
                                .datapath = {.batch = BATCH_DEFAULT}};
    options->datapath.listen.port = PORT_DEFAULT;
    __builtin_memcpy(options->datapath.listen.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
    while (at < argc && !text_same(argv[at], "--")) {
        const char *error = parse_word(options, &has_seed, argc, argv, &at);
        if (error != NULL)
            return error;
    }
    if (!has_seed && !random_bytes(options->seed, sizeof(options->seed)))
        return "this system gives no random bytes for the hash key; give --seed";
    at += at < argc; /* the `--` */
    options->datapath.args = argv + at;
    options->datapath.nb_args = argc - at;
    return complete(options);
}

void source_format(const struct source *source, char text[SOURCE_TEXT_BYTES])
{
    struct text to = text_in(text, SOURCE_TEXT_BYTES);
    bool is_mapped = source->addr[10] == 0xff && source->addr[11] == 0xff && source->addr[0] == 0;

    text_put(&to, is_mapped ? "" : "[");
    text_addr(&to, source->addr);
    text_put(&to, is_mapped ? ":" : "]:");
    text_number(&to, source->port);
}
