/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-relay: frames between a vhost-user server, whose back end we are (virtio/vhost_device.h), and
 * a carrier (carrier.h): AF_UNIX datagrams, for a script, or a tap device, for the kernel's stack.
 *
 * While there is no server, what comes for it is dropped.
 *
 * Asleep when idle: one ppoll on kick, vhost-user socket and carrier; up to 64 frames each way a
 * turn.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "carrier.h"

#define SLEEP_NS 100000000ull /* at most, when idle: a signal may come just before */

struct options {
    struct vhost_config vhost;
    const struct carrier *carrier;
    const char *carrier_name;
};

struct relay {
    struct vhost_device *device;
    const struct carrier *carrier;
    bool up, gone;
    uint64_t nb_dropped; /* no server, no reader, or no frame */
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static unsigned from_server(struct relay *relay)
{
    struct vhost_frame frames[CARRIER_BURST];
    unsigned nb = vhost_receive(relay->device, frames, CARRIER_BURST);

    if (nb > 0)
        relay->nb_dropped += nb - relay->carrier->send(frames, nb);
    vhost_return(relay->device);
    return nb;
}

/* Returns how much was taken from the carrier; *room: there was any to take it. */
static unsigned to_server(struct relay *relay, bool *room)
{
    static uint8_t waste[CARRIER_BURST][VHOST_ROOM_BYTES_MIN];
    struct vhost_frame rooms[CARRIER_BURST];
    unsigned nb = vhost_lend(relay->device, rooms, CARRIER_BURST);

    if (!relay->up) {
        for (nb = 0; nb < CARRIER_BURST; nb++)
            rooms[nb] = (struct vhost_frame){.data = waste[nb], .len = sizeof(waste[nb])};
    }
    *room = nb > 0;
    if (nb == 0)
        return 0;
    struct carrier_received received = relay->carrier->receive(rooms, nb);
    relay->gone = received.gone;
    relay->nb_dropped += received.nb_taken - received.nb_frames;
    if (relay->up && received.nb_frames > 0)
        vhost_send(relay->device, rooms, received.nb_frames);
    else
        relay->nb_dropped += received.nb_frames;
    return received.nb_taken;
}

static void say(const char *event)
{
    printf("{\"event\":\"%s\"}\n", event);
    fflush(stdout);
}

static void relay_run(struct relay *relay)
{
    while (!stop && !relay->gone) {
        bool room;
        vhost_control(relay->device);
        if (vhost_up(relay->device) != relay->up) {
            relay->up = !relay->up;
            say(relay->up ? "up" : "down");
        }
        /* A server without a buffer is waited for; what is said to it stays in the carrier. */
        if (from_server(relay) + to_server(relay, &room) == 0)
            vhost_wait(relay->device, room ? relay->carrier->fd() : -1, SLEEP_NS);
    }
}

static void print_final(const struct relay *relay)
{
    struct vhost_stats stats;

    vhost_stats(relay->device, &stats);
    printf("{\"event\":\"final\",\"tx\":%" PRIu64 ",\"rx\":%" PRIu64 ",\"dropped\":%" PRIu64
           ",\"bad_descriptor\":%" PRIu64 ",\"bad_index\":%" PRIu64 ",\"kicks\":%" PRIu64
           ",\"calls\":%" PRIu64 ",\"connections\":%" PRIu64 "}\n",
           stats.nb_tx, stats.nb_rx, relay->nb_dropped, stats.nb_bad_descriptor, stats.nb_bad_index,
           stats.nb_kicks, stats.nb_calls, stats.nb_connections);
}

static int fail(const char *error)
{
    fprintf(stderr, "nm-relay: %s\n", error);
    return 1;
}

static int run(const struct options *options)
{
    struct relay relay = {.carrier = options->carrier};
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
        fputs("nm-relay: wants --socket PATH [--connect] --unix PATH|--tap NAME\n", stderr);
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return run(&options);
}
