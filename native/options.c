/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing the command line of a DUT. */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MEMORY_BYTES_DEFAULT (64ull << 20)
#define BATCH_DEFAULT 32u
#define PORT_DEFAULT 11211u

static char error_text[256];

static const char *fail(const char *option, const char *value, const char *remedy)
{
    snprintf(error_text, sizeof(error_text), "--%s %.80s: %s", option, value, remedy);
    return error_text;
}

/* Text to 16 bytes, IPv4 mapped; false where it is no address. */
static bool parse_addr(const char *text, uint8_t addr[16], bool *is_v4)
{
    memset(addr, 0, 16);
    *is_v4 = inet_pton(AF_INET, text, addr + 12) == 1;
    if (*is_v4) {
        addr[10] = addr[11] = 0xff;
        return true;
    }
    return inet_pton(AF_INET6, text, addr) == 1;
}

/* A whole decimal number with nothing behind it. */
static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *number <= max;
}

static const char *parse_listen(const char *value, struct source *listen)
{
    static const char remedy[] =
        "not an address; give ADDR:PORT, as 127.0.0.1:11211 or [::1]:11211";
    char text[64];
    uint64_t port;
    bool is_v4;

    const char *colon = strrchr(value, ':');
    if (colon == NULL || (size_t)(colon - value) >= sizeof(text) ||
        !parse_number(colon + 1, 65535, &port))
        return fail("listen", value, remedy);
    size_t bytes = (size_t)(colon - value);
    bool bracketed = bytes >= 2 && value[0] == '[' && value[bytes - 1] == ']';
    if (bracketed) {
        value++;
        bytes -= 2;
    }
    memcpy(text, value, bytes);
    text[bytes] = '\0';
    if (!parse_addr(text, listen->addr, &is_v4) || bracketed == is_v4)
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
    const char *slash = strchr(value, '/');
    size_t bytes = slash != NULL ? (size_t)(slash - value) : strlen(value);
    if (bytes >= sizeof(text))
        return fail(option, value, remedy);
    memcpy(text, value, bytes);
    text[bytes] = '\0';

    struct cidr *cidr = &list->networks[list->nb_networks];
    if (!parse_addr(text, cidr->addr, &is_v4))
        return fail(option, value, remedy);
    unsigned width = is_v4 ? 32 : 128;
    bits = width;
    if (slash != NULL && !parse_number(slash + 1, width, &bits))
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
    char *end;

    errno = 0;
    uint64_t number = strtoull(value, &end, 10);
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (errno != 0 || *value < '0' || *value > '9' || strcmp(end, units[i].suffix) != 0)
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
    if (strlen(value) != 32 || strspn(value, "0123456789abcdefABCDEF") != 32)
        return fail("seed", value, "not 32 hexadecimal digits");
    for (unsigned i = 0; i < 16; i++) {
        char byte[3] = {value[2 * i], value[2 * i + 1], '\0'};
        seed[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return NULL;
}

static bool is_loopback(const struct source *source)
{
    static const uint8_t mapped_127[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};

    return memcmp(source->addr, mapped_127, sizeof(mapped_127)) == 0 ||
           memcmp(source->addr, &in6addr_loopback, 16) == 0;
}

/* Loopback where nothing was said, and never wider by accident. */
static const char *complete(struct options *options)
{
    if (options->allow.nb_networks == 0 && !is_loopback(&options->datapath.listen))
        return "--listen beyond loopback needs --allow CIDR: say which sources may ask";
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
        if (!parse_number(value, SERVICE_BURST_MAX, &number) || number == 0)
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
        if (!parse_number(value, 86400, &number))
            return fail("every", value, "not a number of seconds");
        options->every_s = (unsigned)number;
        return NULL;
    default:
        return "unknown option or missing value; docs/programs.md lists them";
    }
}

const char *options_parse(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"listen", required_argument, NULL, 'l'},  {"memory", required_argument, NULL, 'm'},
        {"allow", required_argument, NULL, 'a'},   {"admin", required_argument, NULL, 'A'},
        {"trusted", required_argument, NULL, 't'}, {"batch", required_argument, NULL, 'b'},
        {"segment", no_argument, NULL, 'g'},       {"poll", no_argument, NULL, 'p'},
        {"hugepages", no_argument, NULL, 'h'},     {"seed", required_argument, NULL, 's'},
        {"every", required_argument, NULL, 'e'},   {NULL, 0, NULL, 0}};
    int option;

    *options = (struct options){.memory_bytes = MEMORY_BYTES_DEFAULT,
                                .datapath = {.batch = BATCH_DEFAULT}};
    options->datapath.listen.port = PORT_DEFAULT;
    memcpy(options->datapath.listen.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
    if (getrandom(options->seed, sizeof(options->seed), 0) != sizeof(options->seed))
        return "the kernel gives no random bytes for the hash key; give --seed";
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        const char *error = parse_one(options, option, optarg);
        if (error != NULL)
            return error;
    }
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
        return fail("listen", argv[optind], "a word too many on the command line");
    options->datapath.args = argv + optind;
    options->datapath.nb_args = argc - optind;
    return complete(options);
}

void source_format(const struct source *source, char *text)
{
    char addr[INET6_ADDRSTRLEN];

    if (source->addr[10] == 0xff && source->addr[11] == 0xff && source->addr[0] == 0) {
        inet_ntop(AF_INET, source->addr + 12, addr, sizeof(addr));
        snprintf(text, 64, "%s:%u", addr, source->port);
    } else {
        inet_ntop(AF_INET6, source->addr, addr, sizeof(addr));
        snprintf(text, 64, "[%s]:%u", addr, source->port);
    }
}
