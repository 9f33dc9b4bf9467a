/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures when a server that is starting answers for the first time: sends the same request every
 * millisecond until the first right answer. The time printed is CLOCK_MONOTONIC, so the program
 * that started the server can compare it with its own.
 */
#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "lines.h"
#include "load.h"
#include "port.h"

#define ASK_NS 1000000u
#define LOOK_NS 20000u
#define GIVE_UP_NS (60 * NS_PER_S)

/* Send one request if the port has a room for it. */
static void ask(const struct loop *loop)
{
    struct datagram request;

    if (port_lend(loop->port, &request, 1) == 0)
        return;
    request.flow = 0;
    request.len = loop->type->first_write(loop, request.data);
    port_tx_burst(loop->port, &request, 1);
}

bool first_answer_wait(struct loop *loop, const volatile sig_atomic_t *stopped)
{
    struct datagram replies[PORT_BURST_MAX];
    uint64_t begin = clock_ns(), now = begin, asked = 0;
    bool round;

    while (now - begin < GIVE_UP_NS && !*stopped) {
        if (now - asked >= ASK_NS) {
            ask(loop);
            asked = now;
        }
        for (unsigned n = port_rx_burst(loop->port, replies, PORT_BURST_MAX, &round); n > 0; n--)
            if (loop->type->first_check(loop, replies[n - 1].data, replies[n - 1].len))
                return true;
        clock_sleep_ns(LOOK_NS);
        now = clock_ns();
    }
    return false;
}

bool other_end_wait(struct port *port, const volatile sig_atomic_t *stopped)
{
    struct datagram none[PORT_BURST_MAX];
    uint64_t begin = clock_ns();
    bool round;

    while (!port_is_up(port) && !*stopped && clock_ns() - begin < GIVE_UP_NS) {
        (void)port_rx_burst(port, none, PORT_BURST_MAX, &round); /* also asks for the MAC address */
        clock_sleep_ns(LOOK_NS);
    }
    return port_is_up(port);
}

const char *first_answer_none(const struct port *port)
{
    static const char none[] = "no right answer within 60 s";
    static _Thread_local char said[160];
    struct port_stats stats;

    port_stats(port, &stats);
    if (!stats.has_frames)
        return none;
    if (stats.nb_tx == 0 && stats.nb_rx == 0)
        snprintf(said, sizeof(said),
                 "%s: the other end took no frame; does its driver support this NIC?", none);
    else
        snprintf(said, sizeof(said),
                 "%s: %" PRIu64 " frames went out, %" PRIu64 " came back (%" PRIu64 " of ARP)",
                 none, stats.nb_tx, stats.nb_rx, stats.nb_arp);
    return said;
}

bool answer_ask(struct loop *loop, uint64_t wait_ns)
{
    struct datagram replies[PORT_BURST_MAX];
    bool round;

    ask(loop);
    clock_sleep_ns(wait_ns);
    return port_rx_burst(loop->port, replies, PORT_BURST_MAX, &round) > 0;
}

void answers_drain(struct port *port, uint64_t quiet_ns, const volatile sig_atomic_t *stopped)
{
    struct datagram replies[PORT_BURST_MAX];
    uint64_t begin = clock_ns(), heard = begin, now = begin;
    bool round;

    while (now - heard < quiet_ns && now - begin < GIVE_UP_NS && !*stopped) {
        if (port_rx_burst(port, replies, PORT_BURST_MAX, &round) > 0)
            heard = now;
        else
            clock_sleep_ns(LOOK_NS);
        now = clock_ns();
    }
}

int first_answer_run(const struct load_options *options)
{
    static const volatile sig_atomic_t never; /* a signal ends the program */
    struct port_config config = {.target = options->target,
                                 .frames = options->frames,
                                 .nb_flows = 1,
                                 .source_port = options->source_port,
                                 .window = 1};
    static struct loop loop; /* only its load and its port are used */
    const char *why;

    loop_init(&loop, options->type, &options->load);
    config.request_bytes = loop.request_bytes;
    config.reply_bytes = loop.reply_bytes;
    why = port_open(&loop.port, &config);
    if (why == NULL) {
        if (first_answer_wait(&loop, &never))
            line_first_answer(clock_ns());
        else
            why = first_answer_none(loop.port);
        port_close(loop.port);
    }
    if (why != NULL)
        fprintf(stderr, "%s: %s\n", load_name(), why);
    return why == NULL ? 0 : 1;
}
