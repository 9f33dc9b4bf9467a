/* SPDX-License-Identifier: BSD-3-Clause */
#include "load_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "load_shares.h"
#include "pace.h"
#include "port.h"

#define WINDOW_MAX 65536u
#define FLOWS_MAX 1024u

static const char help[] =
    "Ask a UDP key-value store, check every answer\n"
    "\n"
    "  --target ADDR:PORT    whom to ask; it WRITES there: keys begin with \"nm\"\n"
    "  --service kv|echo     what answers (default kv)\n"
    "  --keys N              number of keys (1000000)\n"
    "  --key-bytes N         12..250 (16)\n"
    "  --value-bytes N       from 16 to what one reply datagram carries (32)\n"
    "  --get F --set F --miss F   shares of requests, adding up to 1 (0.95 0.05 0)\n"
    "  --zipf S | --uniform  popularity of keys (--zipf 0.99)\n"
    "  --flows N             source ports, 1..1024, never more than the window (16)\n"
    "  --window N            requests in flight, 1..65536 (128)\n"
    "  --warmup SECONDS      (1)\n"
    "  --time SECONDS        measured time; 0: until SIGINT or SIGTERM (3)\n"
    "  --timeout SECONDS     unanswered for longer is lost (0.1)\n"
    "  --seed N              (1)\n"
    "  --no-preload          store nothing first, take the versions found\n"
    "  --no-overlap          no GET while a SET of its key is in flight\n"
    "  --stay                outlive the target: report down and up, preload again\n"
    "  --first-answer        print when the first right answer came, and end\n"
    "  --await               wait for the first right answer, print it, go on\n"
    "  --rate R              open loop: R requests a second, whatever is answered\n"
    "  --arrivals constant|poisson  evenly spaced or at random (constant)\n"
    "  --lcores LIST         a thread on each of these cores, as 1,3 (sockets)\n"
    "  --share I/N           one of N generators: its part of flows, keys, window and rate;\n"
    "                        preloaded, it says holding and goes on at SIGUSR1\n"
    "\n"
    "Of whole frames (nm-load-vhost, nm-load-ethdev):\n"
    "\n"
    "  --source ADDR         the IPv4 address that requests come from\n"
    "  --target-mac MAC      the target's; else it is asked, by ARP\n"
    "  --checksums           real UDP checksums both ways; else 0\n"
    "  --faults LIST         loss=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01:1ms\n"
    "  --socket PATH         nm-load-vhost: listen there for the server's vhost-user front end\n"
    "  --connect             connect to it instead\n"
    "  -- ARGUMENTS          nm-load-ethdev: of DPDK's EAL\n";

enum {
    OPT_TARGET = 256,
    OPT_SERVICE,
    OPT_KEYS,
    OPT_KEY_BYTES,
    OPT_VALUE_BYTES,
    OPT_GET,
    OPT_SET,
    OPT_MISS,
    OPT_ZIPF,
    OPT_UNIFORM,
    OPT_FLOWS,
    OPT_WINDOW,
    OPT_WARMUP,
    OPT_TIME,
    OPT_TIMEOUT,
    OPT_SEED,
    OPT_NO_PRELOAD,
    OPT_NO_OVERLAP,
    OPT_STAY,
    OPT_FIRST_ANSWER,
    OPT_AWAIT,
    OPT_RATE,
    OPT_ARRIVALS,
    OPT_LCORES,
    OPT_SHARE,
    OPT_SOURCE,
    OPT_TARGET_MAC,
    OPT_CHECKSUMS,
    OPT_FAULTS,
    OPT_SOCKET,
    OPT_CONNECT,
    OPT_HELP
};

static const struct option names[] = {
    {"target", required_argument, NULL, OPT_TARGET},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"key-bytes", required_argument, NULL, OPT_KEY_BYTES},
    {"value-bytes", required_argument, NULL, OPT_VALUE_BYTES},
    {"get", required_argument, NULL, OPT_GET},
    {"set", required_argument, NULL, OPT_SET},
    {"miss", required_argument, NULL, OPT_MISS},
    {"zipf", required_argument, NULL, OPT_ZIPF},
    {"uniform", no_argument, NULL, OPT_UNIFORM},
    {"flows", required_argument, NULL, OPT_FLOWS},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"time", required_argument, NULL, OPT_TIME},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"no-preload", no_argument, NULL, OPT_NO_PRELOAD},
    {"no-overlap", no_argument, NULL, OPT_NO_OVERLAP},
    {"stay", no_argument, NULL, OPT_STAY},
    {"first-answer", no_argument, NULL, OPT_FIRST_ANSWER},
    {"await", no_argument, NULL, OPT_AWAIT},
    {"rate", required_argument, NULL, OPT_RATE},
    {"arrivals", required_argument, NULL, OPT_ARRIVALS},
    {"lcores", required_argument, NULL, OPT_LCORES},
    {"share", required_argument, NULL, OPT_SHARE},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"target-mac", required_argument, NULL, OPT_TARGET_MAC},
    {"checksums", no_argument, NULL, OPT_CHECKSUMS},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"connect", no_argument, NULL, OPT_CONNECT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* NULL, or what is wanted instead. */
static const char *number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
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

static const char *small(const char *text, uint32_t low, uint32_t high, uint32_t *value)
{
    uint64_t wide;
    const char *wanted = number(text, low, high, &wide);

    *value = (uint32_t)wide;
    return wanted;
}

static const char *real(const char *text, double low, double high, double *value)
{
    static char wanted[80];
    char *end;

    *value = strtod(text, &end);
    if (end != text && *end == '\0' && *value >= low && *value <= high) /* false for NaN */
        return NULL;
    snprintf(wanted, sizeof(wanted), "a number from %g to %g", low, high);
    return wanted;
}

static const char *seconds(const char *text, double low, uint64_t *ns)
{
    double value;
    const char *wanted = real(text, low, 1e6, &value);

    *ns = wanted == NULL ? (uint64_t)(value * 1e9) : 0;
    return wanted;
}

static const char *flag(bool *value, bool to)
{
    *value = to;
    return NULL;
}

static const char *service(const char *text, bool *echo)
{
    *echo = strcmp(text, "echo") == 0;
    return *echo || strcmp(text, "kv") == 0 ? NULL : "kv or echo";
}

static const char *arrivals(const char *text, bool *poisson)
{
    *poisson = strcmp(text, "poisson") == 0;
    return *poisson || strcmp(text, "constant") == 0 ? NULL : "constant or poisson";
}

static const char *ipv4_address(const char *text, uint8_t address[4])
{
    return inet_pton(AF_INET, text, address) == 1 && address[0] != 0 ? NULL : "an IPv4 address";
}

/* Six numbers of two hexadecimal digits. */
static const char *mac_address(const char *text, struct port_frames_config *frames)
{
    frames->has_target_mac = true;
    for (unsigned i = 0; i < sizeof(frames->target_mac); i++, text += 3) {
        char digits[3] = {text[0], text[0] == '\0' ? '\0' : text[1], '\0'};
        char *end;

        frames->target_mac[i] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2 || digits[0] == '+' || digits[0] == '-' || digits[0] == ' ' ||
            text[2] != (i < 5 ? ':' : '\0'))
            return "an Ethernet address like 02:00:00:00:00:01";
    }
    return NULL;
}

/* What only whole frames need. */
static const char *frames_option_take(struct port_frames_config *frames, int option)
{
    switch (option) {
    case OPT_SOURCE:
        return ipv4_address(optarg, frames->source);
    case OPT_TARGET_MAC:
        return mac_address(optarg, frames);
    case OPT_CHECKSUMS:
        return flag(&frames->checksums, true);
    case OPT_FAULTS:
        frames->faults = optarg;
        return NULL;
    case OPT_SOCKET:
        frames->wire.socket_path = optarg;
        return NULL;
    case OPT_CONNECT:
        return flag(&frames->wire.connect, true);
    default:
        return "a known option (see --help)";
    }
}

static const char *option_take(struct load_options *o, int option, double *get)
{
    struct workload_config *w = &o->workload;

    switch (option) {
    case OPT_TARGET:
        o->target = optarg;
        return NULL;
    case OPT_SERVICE:
        return service(optarg, &o->echo);
    case OPT_KEYS:
        return small(optarg, 1, WORKLOAD_KEYS_MAX, &w->nb_keys);
    case OPT_KEY_BYTES:
        return small(optarg, KEY_BYTES_MIN, KEY_BYTES_MAX, &o->key_bytes);
    case OPT_VALUE_BYTES:
        return small(optarg, VALUE_BYTES_MIN, REPLY_BYTES_MAX, &o->value_bytes);
    case OPT_GET:
        return real(optarg, 0, 1, get);
    case OPT_SET:
        return real(optarg, 0, 1, &w->set);
    case OPT_MISS:
        return real(optarg, 0, 1, &w->miss);
    case OPT_ZIPF:
        return real(optarg, 0.01, 2, &w->zipf);
    case OPT_UNIFORM:
        w->zipf = 0;
        return NULL;
    case OPT_FLOWS:
        return small(optarg, 1, FLOWS_MAX, &o->nb_flows);
    case OPT_WINDOW:
        return small(optarg, 1, WINDOW_MAX, &o->window);
    case OPT_WARMUP:
        return seconds(optarg, 0, &o->warmup_ns);
    case OPT_TIME:
        return seconds(optarg, 0, &o->time_ns);
    case OPT_TIMEOUT:
        return seconds(optarg, 0.001, &o->timeout_ns);
    case OPT_SEED:
        return number(optarg, 0, UINT64_MAX, &w->seed);
    case OPT_NO_PRELOAD:
        return flag(&o->preload, false);
    case OPT_NO_OVERLAP:
        return flag(&o->no_overlap, true);
    case OPT_STAY:
        return flag(&o->stay, true);
    case OPT_FIRST_ANSWER:
        return flag(&o->first_answer, true);
    case OPT_AWAIT:
        return flag(&o->await, true);
    case OPT_RATE:
        return real(optarg, PACE_RATE_MIN, PACE_RATE_MAX, &o->rate);
    case OPT_ARRIVALS:
        return arrivals(optarg, &o->poisson);
    case OPT_LCORES:
    case OPT_SHARE:
        return option == OPT_SHARE ? shares_share(optarg, o) : shares_lcores(optarg, o);
    default:
        return frames_option_take(&o->frames, option);
    }
}

/* What single options cannot know. NULL, or one sentence. */
static const char *options_check(const struct load_options *options, double get)
{
    struct port_config port = {
        .target = options->target, .frames = options->frames, .nb_lcores = options->nb_lcores};
    struct format format;
    const char *why = port_check(&port);

    if (why != NULL)
        return why;
    if (fabs(get + options->workload.set + options->workload.miss - 1) > 1e-6)
        return "--get, --set and --miss must add up to 1";
    if (!format_init(&format, options->key_bytes, options->value_bytes))
        return "--value-bytes: key and value must fit one reply datagram of 1,400 bytes";
    return shares_nb_all(options) > 1 ? shares_check(options) : NULL;
}

const char *load_name(void)
{
    return program_invocation_short_name;
}

/* What stands behind the options: behind "--", arguments of the wire. */
static const char *rest_take(struct load_options *options, int argc, char **argv)
{
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
        return "takes no arguments beside its options (see --help)";
    options->frames.wire.args = argv + optind;
    options->frames.wire.nb_args = argc - optind;
    options->frames.faults_seed = options->workload.seed;
    return NULL;
}

int load_options_parse(struct load_options *options, int argc, char **argv)
{
    double get = 0.95;
    const char *wanted;
    int option, index = 0;

    *options = (struct load_options){
        .workload = {.nb_keys = 1000000, .set = 0.05, .zipf = 0.99, .seed = 1},
        .key_bytes = 16,
        .value_bytes = 32,
        .nb_flows = 16,
        .window = 128,
        .warmup_ns = NS_PER_S,
        .time_ns = 3 * NS_PER_S,
        .timeout_ns = NS_PER_S / 10,
        .preload = true};
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", names, &index)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return 1;
        }
        wanted = option_take(options, option, &get);
        if (wanted != NULL) {
            fprintf(stderr, "%s: %s%s: %s wanted\n", load_name(), option == '?' ? "" : "--",
                    option == '?' ? argv[optind - 1] : names[option - OPT_TARGET].name, wanted);
            return 2;
        }
    }
    wanted = rest_take(options, argc, argv);
    if (wanted == NULL)
        wanted = options_check(options, get);
    if (wanted == NULL)
        return 0;
    fprintf(stderr, "%s: %s\n", load_name(), wanted);
    return 2;
}
