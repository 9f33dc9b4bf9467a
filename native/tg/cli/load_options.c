/* SPDX-License-Identifier: BSD-3-Clause */
#include "load_options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "load_lengths.h"
#include "load_shares.h"
#include "option_values.h"
#include "pace.h"
#include "port.h"

#define WINDOW_MAX 65536u
#define FLOWS_MAX 1024u
#define PORT_MAX 65535u

static const char help[] =
    "Send requests to a UDP key-value store and check every reply\n"
    "\n"
    "  --target ADDR:PORT    the server; nm-load WRITES there, keys that begin with \"nm\"\n"
    "  --service kv|echo|replay   the service at the target (default kv); replay: any service, by\n"
    "                        --records FILE, requests with the replies that are right\n"
    "  --keys N              number of keys (1000000)\n"
    "  --key-bytes N         8..250; below 12 there are fewer --keys (16)\n"
    "  --value-bytes N       8 and more; a reply must fit one datagram (32);\n"
    "                        N:SHARE,N:SHARE... for classes of keys by their shares\n"
    "  --get F --set F --miss F   shares of requests, adding up to 1 (0.95 0.05 0)\n"
    "  --zipf S | --uniform  popularity of keys (--zipf 0.99)\n"
    "  --stamp               echo only: 8 bytes that never repeat at the end of the key\n"
    "  --flows N             source ports, 1..1024, at most the window (16)\n"
    "  --source-port N       the first source port (sockets: any free ones; frames: 20000)\n"
    "  --window N            requests in flight, 1..65536 (128)\n"
    "  --warmup SECONDS      (1)\n"
    "  --time SECONDS        measured time; 0: until SIGINT or SIGTERM (3)\n"
    "  --timeout SECONDS     a request without a reply for so long is lost (0.1)\n"
    "  --seed N              (1)\n"
    "  --no-preload          do not store the keys first; accept the versions found\n"
    "  --no-overlap          no GET while a SET of its key is in flight\n"
    "  --stay                go on when the target stops: report down and up, preload again\n"
    "  --first-answer        print the time of the first right answer, and exit\n"
    "  --await               wait for the first right answer, print its time, continue\n"
    "  --rate R              open loop: R requests a second, independent of replies\n"
    "  --arrivals constant|poisson  evenly spaced or at random (constant)\n"
    "  --lcores LIST         one thread on each of these cores, such as 1,3 (sockets only)\n"
    "  --segment             sockets only: equal requests of a flow leave as one message, which\n"
    "                        the kernel cuts (UDP_SEGMENT); see docs/programs.md\n"
    "  --share I/N           be generator I of N: take its part of flows, keys, window, rate;\n"
    "                        after preload and verify print holding, wait for SIGUSR1\n"
    "\n"
    "For whole frames (nm-load-vhost, nm-load-ethdev, nm-load-xdp):\n"
    "\n"
    "  --source ADDR         the IPv4 source address of requests\n"
    "  --target-mac MAC      the target's MAC address; without it: found by ARP\n"
    "  --checksums           real UDP checksums in both directions; without it: 0\n"
    "  --faults LIST         loss=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01:1ms\n"
    "  --socket PATH         nm-load-vhost: listen there for the server's vhost-user front end\n"
    "  --connect             nm-load-vhost: connect to --socket instead of listening\n"
    "  --iface NAME          nm-load-xdp: the interface to send from\n"
    "  -- ARGUMENTS          nm-load-ethdev: arguments for DPDK's EAL\n";

enum {
    OPT_TARGET = 256,
    OPT_SERVICE,
    OPT_RECORDS,
    OPT_KEYS,
    OPT_KEY_BYTES,
    OPT_VALUE_BYTES,
    OPT_GET,
    OPT_SET,
    OPT_MISS,
    OPT_ZIPF,
    OPT_UNIFORM,
    OPT_STAMP,
    OPT_FLOWS,
    OPT_SOURCE_PORT,
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
    OPT_SEGMENT,
    OPT_SHARE,
    OPT_SOURCE,
    OPT_TARGET_MAC,
    OPT_CHECKSUMS,
    OPT_FAULTS,
    OPT_SOCKET,
    OPT_CONNECT,
    OPT_IFACE,
    OPT_HELP
};

static const struct option names[] = {
    {"target", required_argument, NULL, OPT_TARGET},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"records", required_argument, NULL, OPT_RECORDS},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"key-bytes", required_argument, NULL, OPT_KEY_BYTES},
    {"value-bytes", required_argument, NULL, OPT_VALUE_BYTES},
    {"get", required_argument, NULL, OPT_GET},
    {"set", required_argument, NULL, OPT_SET},
    {"miss", required_argument, NULL, OPT_MISS},
    {"zipf", required_argument, NULL, OPT_ZIPF},
    {"uniform", no_argument, NULL, OPT_UNIFORM},
    {"stamp", no_argument, NULL, OPT_STAMP},
    {"flows", required_argument, NULL, OPT_FLOWS},
    {"source-port", required_argument, NULL, OPT_SOURCE_PORT},
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
    {"segment", no_argument, NULL, OPT_SEGMENT},
    {"share", required_argument, NULL, OPT_SHARE},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"target-mac", required_argument, NULL, OPT_TARGET_MAC},
    {"checksums", no_argument, NULL, OPT_CHECKSUMS},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"connect", no_argument, NULL, OPT_CONNECT},
    {"iface", required_argument, NULL, OPT_IFACE},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char *flag(bool *value, bool to)
{
    *value = to;
    return NULL;
}

static const char *service(const char *text, const struct load_type **type)
{
    *type = load_type_find(text);
    return *type != NULL ? NULL : "kv, echo or replay";
}

static const char *arrivals(const char *text, bool *poisson)
{
    *poisson = strcmp(text, "poisson") == 0;
    return *poisson || strcmp(text, "constant") == 0 ? NULL : "constant or poisson";
}

/* Options for whole frames only. */
static const char *frames_option_take(struct port_frames_config *frames, int option)
{
    switch (option) {
    case OPT_SOURCE:
        return value_ipv4(optarg, frames->source);
    case OPT_TARGET_MAC:
        return value_target_mac(optarg, frames);
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
    case OPT_IFACE:
        frames->wire.iface = optarg;
        return NULL;
    default:
        return "a known option (see --help)";
    }
}

/* Options for flows, threads and generators. */
static const char *flows_option_take(struct load_options *o, int option)
{
    switch (option) {
    case OPT_FLOWS:
        return value_small(optarg, 1, FLOWS_MAX, &o->nb_flows);
    case OPT_SOURCE_PORT:
        return value_small(optarg, 1, PORT_MAX, &o->source_port);
    case OPT_WINDOW:
        return value_small(optarg, 1, WINDOW_MAX, &o->window);
    case OPT_LCORES:
        return shares_lcores(optarg, o);
    case OPT_SEGMENT:
        return flag(&o->segment, true);
    case OPT_SHARE:
        return shares_share(optarg, o);
    default:
        return frames_option_take(&o->frames, option);
    }
}

/* Whether an option describes keys, which records do not have. */
static bool is_keyed(int option)
{
    return (option >= OPT_KEYS && option <= OPT_MISS) || option == OPT_STAMP ||
           option == OPT_NO_PRELOAD || option == OPT_NO_OVERLAP;
}

static const char *option_take(struct load_options *o, int option, double *get)
{
    struct workload_config *w = &o->workload;

    switch (option) {
    case OPT_TARGET:
        o->target = optarg;
        return NULL;
    case OPT_SERVICE:
        return service(optarg, &o->type);
    case OPT_RECORDS:
        o->records_path = optarg;
        return NULL;
    case OPT_KEYS:
        return value_small(optarg, 1, WORKLOAD_KEYS_MAX, &w->nb_keys);
    case OPT_KEY_BYTES:
        return lengths_keys(optarg, &o->load);
    case OPT_VALUE_BYTES:
        return lengths_values(optarg, &o->load);
    case OPT_GET:
        return value_real(optarg, 0, 1, get);
    case OPT_SET:
        return value_real(optarg, 0, 1, &w->set);
    case OPT_MISS:
        return value_real(optarg, 0, 1, &w->miss);
    case OPT_ZIPF:
        return value_real(optarg, 0.01, 2, &w->zipf);
    case OPT_UNIFORM:
        w->zipf = 0;
        return NULL;
    case OPT_STAMP:
        return flag(&o->load.stamped, true);
    case OPT_WARMUP:
        return value_seconds(optarg, 0, &o->warmup_ns);
    case OPT_TIME:
        return value_seconds(optarg, 0, &o->time_ns);
    case OPT_TIMEOUT:
        return value_seconds(optarg, 0.001, &o->timeout_ns);
    case OPT_SEED:
        return value_number(optarg, 0, UINT64_MAX, &w->seed);
    case OPT_NO_PRELOAD:
        return flag(&o->preload, false);
    case OPT_NO_OVERLAP:
        return flag(&o->load.no_overlap, true);
    case OPT_STAY:
        return flag(&o->stay, true);
    case OPT_FIRST_ANSWER:
        return flag(&o->first_answer, true);
    case OPT_AWAIT:
        return flag(&o->await, true);
    case OPT_RATE:
        return value_real(optarg, PACE_RATE_MIN, PACE_RATE_MAX, &o->rate);
    case OPT_ARRIVALS:
        return arrivals(optarg, &o->poisson);
    default:
        return flows_option_take(o, option);
    }
}

/* Check options together. NULL, or one sentence. */
static const char *pairs_check(const struct load_options *options)
{
    if (options->load.stamped && !options->type->stamps)
        return "--stamp: needs --service echo; a key-value store needs the key there";
    if (options->source_port + (uint64_t)options->nb_flows - 1 > PORT_MAX)
        return "--source-port: with so many --flows the last port would be above 65535";
    return NULL;
}

/* Read the records, if the load has some. NULL, or one sentence. */
static const char *records_take(struct load_options *options)
{
    static char said[sizeof("--records: ") + 4400];
    const char *why;

    if (!options->type->recorded)
        return options->records_path == NULL ? NULL : "--records: needs --service replay";
    if (options->records_path == NULL)
        return "--service replay: needs --records FILE";
    if (options->keyed)
        return "--service replay: has no keys, so --keys, --key-bytes, --value-bytes, --get, "
               "--set, "
               "--miss, --stamp, --no-preload and --no-overlap mean nothing; leave them out";
    why = replay_file_open(&options->records, options->records_path);
    if (why != NULL) {
        snprintf(said, sizeof(said), "--records: %s", why);
        return said;
    }
    options->load.records = &options->records;
    options->workload.nb_keys = options->records.nb_records;
    options->workload.set = options->workload.miss = 0;
    return NULL;
}

/* Check all combinations of options. NULL, or one sentence. */
static const char *options_check(const struct load_options *options, double get)
{
    struct port_config port = {.target = options->target,
                               .frames = options->frames,
                               .nb_lcores = options->nb_lcores,
                               .segment = options->segment};
    const char *why = port_check(&port);

    if (why != NULL)
        return why;
    if (fabs(get + options->workload.set + options->workload.miss - 1) > 1e-6)
        return "--get, --set and --miss must add up to 1";
    why = lengths_check(options);
    if (why == NULL)
        why = pairs_check(options);
    if (why != NULL)
        return why;
    return shares_nb_all(options) > 1 ? shares_check(options) : NULL;
}

const char *load_name(void)
{
    return program_invocation_short_name;
}

/* Take the words behind "--": arguments of the wire. */
static const char *rest_take(struct load_options *options, int argc, char **argv)
{
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
        return "takes no arguments besides its options (see --help)";
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
        .type = &load_kv,
        .workload = {.nb_keys = 1000000, .set = 0.05, .zipf = 0.99, .seed = 1},
        .nb_flows = 16,
        .window = 128,
        .warmup_ns = NS_PER_S,
        .time_ns = 3 * NS_PER_S,
        .timeout_ns = NS_PER_S / 10,
        .preload = true};
    (void)lengths_keys("16", &options->load);
    (void)lengths_values("32", &options->load);
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", names, &index)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return 1;
        }
        options->keyed |= is_keyed(option);
        wanted = option_take(options, option, &get);
        if (wanted != NULL) {
            fprintf(stderr, "%s: %s%s: expected %s\n", load_name(), option == '?' ? "" : "--",
                    option == '?' ? argv[optind - 1] : names[option - OPT_TARGET].name, wanted);
            return 2;
        }
    }
    wanted = rest_take(options, argc, argv);
    if (wanted == NULL)
        wanted = options_check(options, get);
    if (wanted == NULL)
        wanted = records_take(options);
    if (wanted == NULL)
        return 0;
    fprintf(stderr, "%s: %s\n", load_name(), wanted);
    return 2;
}
