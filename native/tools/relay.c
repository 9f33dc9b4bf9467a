/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-relay: frames between a vhost-user server, whose back end this is (virtio/vhost_device.h), and
 * a carrier (carrier.h): AF_UNIX datagrams, for a script, or a tap device, for the kernel's stack.
 *
 * This file is the program; the loop is in relay_loop.h.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "relay_loop.h"

#define SLEEP_NS 100000000ull /* limit of an idle sleep, as a signal may arrive just before it */

struct options {
    struct vhost_config vhost;
    const struct carrier *carrier;
    const char *carrier_name;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void print_final(const struct relay *relay)
{
    struct vhost_stats stats;

    vhost_stats(relay->device, &stats);
    printf("{\"event\":\"final\",\"tx\":%" PRIu64 ",\"rx\":%" PRIu64 ",\"dropped\":%" PRIu64
           ",\"bad_descriptor\":%" PRIu64 ",\"bad_index\":%" PRIu64 ",\"kicks\":%" PRIu64
           ",\"calls\":%" PRIu64 ",\"overslept\":%" PRIu64 ",\"connections\":%" PRIu64 "}\n",
           stats.nb_tx, stats.nb_rx, relay->nb_dropped, stats.nb_bad_descriptor, stats.nb_bad_index,
           stats.nb_kicks, stats.nb_calls, relay->nb_overslept, stats.nb_connections);
}

static void say(const char *event)
{
    printf("{\"event\":\"%s\"}\n", event);
    fflush(stdout);
}

static int fail(const char *error)
{
    fprintf(stderr, "nm-relay: %s\n", error);
    return 1;
}

static int run(const struct options *options)
{
    struct relay relay = {
        .carrier = options->carrier, .stop = &stop, .say = say, .sleep_ns = SLEEP_NS};
    const char *error = relay.carrier->open(options->carrier_name, &stop);

    if (error != NULL)
        return fail(error);
    error = vhost_open(&relay.device, &options->vhost);
    if (error == NULL) {
        say("ready");
        relay_run(&relay);
        print_final(&relay);
        vhost_close(relay.device);
        if (relay.gone)
            error = "the device that carried its frames was removed";
    }
    relay.carrier->close();
    return error == NULL ? 0 : fail(error);
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                          {"connect", no_argument, NULL, 'c'},
                                          {"unix", required_argument, NULL, 'u'},
                                          {"tap", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    unsigned nb_carriers = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 's') {
            options->vhost.path = optarg;
        } else if (option == 'c') {
            options->vhost.connect = true;
        } else if (option == 'u' || option == 't') {
            options->carrier = option == 'u' ? &carrier_unix : &carrier_tap;
            options->carrier_name = optarg;
            nb_carriers++;
        } else {
            return false;
        }
    }
    return options->vhost.path != NULL && nb_carriers == 1 && optind == argc;
}

int main(int argc, char **argv)
{
    struct options options = {.vhost.sleeps = true};
    struct sigaction action = {.sa_handler = on_signal};

    if (!options_parse(argc, argv, &options)) {
        fputs("nm-relay: give --socket PATH [--connect] --unix PATH|--tap NAME\n", stderr);
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return run(&options);
}
