/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's port over whole frames (wire.h): a flow is a UDP source port.
 *
 * Requests are written into the wire's buffers, and replies are read where they lie. That memory
 * may belong to the server too, and may change at any time: headers.h lists what is read only once.
 * Of a payload, this port returns only address and checked length.
 */
#include "port.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "headers.h"
#include "neighbour.h"

#define PORT_BASE 20000u
#define TURNS_MAX 1024u /* between two checks of the other end */
/* No ring is longer: after so many frames, everything that arrived before has been seen. */
#define ROUND_FRAMES 65536u

struct port {
    struct wire *wire;
    struct faults *faults; /* NULL: none */
    struct headers headers;
    struct headers_config config;
    struct neighbour neighbour;
    bool has_target_mac; /* given: no ARP request */
    bool up;
    uint32_t turns;
    uint32_t round_frames; /* since the round began */
    uint32_t request_bytes, reply_bytes;
    uint64_t nb_malformed, nb_arp;
};

static const char *target_parse(const char *target, uint8_t address[4], uint16_t *port_number)
{
    static const char wanted[] = "--target: expected ADDR:PORT, an IPv4 address and a port";
    const char *colon = target == NULL ? NULL : strrchr(target, ':');
    char text[INET_ADDRSTRLEN], *end;
    unsigned long number;

    if (target == NULL)
        return "--target ADDR:PORT is missing";
    if (colon == NULL || (size_t)(colon - target) >= sizeof(text))
        return wanted;
    memcpy(text, target, (size_t)(colon - target));
    text[colon - target] = '\0';
    number = strtoul(colon + 1, &end, 10);
    if (inet_pton(AF_INET, text, address) != 1 || *end != '\0' || number < 1 || number > 65535)
        return wanted;
    *port_number = (uint16_t)number;
    return NULL;
}

const char *port_check(const struct port_config *config)
{
    static const uint8_t none[4];
    uint8_t address[4];
    uint16_t number;
    const char *why = target_parse(config->target, address, &number);

    if (why != NULL)
        return why;
    if (config->nb_lcores > 1)
        return "--lcores: one core only, because a wire of frames has one queue pair";
    if (config->segment)
        return "--segment is an option of the socket edition, nm-load";
    if (memcmp(config->frames.source, none, 4) == 0)
        return "--source ADDR is missing: the IPv4 source address of requests";
    if (config->frames.faults != NULL && !config->frames.checksums)
        return "--faults needs --checksums: without them a flipped bit could go undetected";
    if (config->frames.faults != NULL && (why = faults_check(config->frames.faults)) != NULL)
        return why;
    return wire_check(&config->frames.wire);
}

static void addresses_set(struct port *port)
{
    memcpy(port->config.target_mac, port->neighbour.target_mac, 6);
    headers_init(&port->headers, &port->config);
}

/* Open the wire, which may leave frames that are not for us to others. */
static const char *wire_start(struct port *port, const struct port_config *config)
{
    struct wire_config wire = config->frames.wire;

    memcpy(wire.address, config->frames.source, 4);
    wire.port_first = port->config.port_base;
    wire.nb_ports = (uint16_t)port->config.nb_flows;
    return wire_open(&port->wire, &wire);
}

static const char *port_prepare(struct port *port, const struct port_config *config)
{
    const struct port_frames_config *frames = &config->frames;
    struct neighbour *neighbour = &port->neighbour;
    const char *why = port_check(config);

    if (why == NULL)
        why = wire_start(port, config);
    if (why == NULL && frames->faults != NULL)
        why = faults_open(&port->faults, frames->faults, frames->faults_seed, port->wire);
    if (why != NULL)
        return why;
    target_parse(config->target, port->config.target_address, &port->config.target_port);
    wire_mac(port->wire, port->config.our_mac);
    memcpy(port->config.our_address, frames->source, 4);
    memcpy(neighbour->our_mac, port->config.our_mac, 6);
    memcpy(neighbour->our_address, frames->source, 4);
    memcpy(neighbour->target_address, port->config.target_address, 4);
    memcpy(neighbour->target_mac, frames->target_mac, 6);
    port->has_target_mac = neighbour->known = frames->has_target_mac;
    addresses_set(port);
    return NULL;
}

const char *port_open(struct port **out, const struct port_config *config)
{
    struct port *port = aligned_alloc(64, (sizeof(*port) + 63) / 64 * 64);
    const char *why;

    if (port == NULL)
        return "out of memory";
    memset(port, 0, sizeof(*port));
    port->config.port_base = config->source_port == 0 ? PORT_BASE : (uint16_t)config->source_port;
    port->config.nb_flows = config->nb_flows;
    port->config.checksums = config->frames.checksums;
    /* A flipped bit would go undetected. */
    port->config.unfinished = wire_unfinished && config->frames.faults == NULL;
    port->request_bytes = config->request_bytes;
    port->reply_bytes = config->reply_bytes + 1; /* one more shows that a reply is too long */
    *out = port;
    why = port_prepare(port, config);
    if (why != NULL)
        port_close(port);
    return why;
}

static unsigned frames_lend(struct port *port, struct wire_frame *rooms, unsigned nb)
{
    return port->faults == NULL ? wire_lend(port->wire, rooms, nb)
                                : faults_lend(port->faults, rooms, nb);
}

static void frames_send(struct port *port, const struct wire_frame *frames, unsigned nb)
{
    if (port->faults == NULL)
        wire_send(port->wire, frames, nb);
    else
        faults_send(port->faults, frames, nb);
}

static unsigned frames_receive(struct port *port, struct wire_frame *frames, unsigned nb)
{
    return port->faults == NULL ? wire_receive(port->wire, frames, nb)
                                : faults_receive(port->faults, frames, nb);
}

static void frames_return(struct port *port)
{
    if (port->faults == NULL)
        wire_return(port->wire);
    else
        faults_return(port->faults);
}

/* Send an ARP frame at once or not at all. False: there is no room. */
static bool arp_send(struct port *port, const uint8_t *frame)
{
    struct wire_frame room;

    if (frames_lend(port, &room, 1) == 0 || room.len < ARP_FRAME_BYTES)
        return false;
    memcpy(room.data, frame, ARP_FRAME_BYTES);
    room.len = ARP_FRAME_BYTES;
    frames_send(port, &room, 1);
    return true;
}

/* Check whether the other end is up, and request its MAC address. After each start it may have a
 * new one. */
static void other_end_look(struct port *port)
{
    bool was_up = port->up;
    uint8_t question[ARP_FRAME_BYTES];

    port->turns = 0;
    port->up = wire_up(port->wire);
    if (port->up && !was_up && !port->has_target_mac) {
        port->neighbour.known = false;
        port->neighbour.asked_ns = 0;
    }
    /* A server that has just started may not have posted buffers: then nothing was sent. */
    if (port->up && neighbour_ask(&port->neighbour, clock_ns(), question) &&
        !arp_send(port, question))
        port->neighbour.asked_ns = 0;
}

static void arp_take(struct port *port, const struct wire_frame *frame)
{
    uint8_t answer[ARP_FRAME_BYTES];
    bool known = port->neighbour.known;

    port->nb_arp++;
    if (neighbour_take(&port->neighbour, frame->data, frame->len, answer))
        (void)arp_send(port, answer); /* the other side will ask again */
    if (port->neighbour.known && !known)
        addresses_set(port);
}

static void odd_take(struct port *port, const struct wire_frame *frame)
{
    if (neighbour_is_arp(frame->data, frame->len))
        arp_take(port, frame);
    else
        port->nb_malformed++;
}

/* Hand on the valid datagrams of a burst. */
static unsigned frames_take(struct port *port, const struct wire_frame *frames, unsigned nb,
                            struct datagram *datagrams)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < nb; i++) {
        uint32_t flow, bytes = headers_check(&port->headers, frames[i].data, frames[i].len, &flow);

        if (__builtin_expect(bytes == HEADERS_MALFORMED, 0)) {
            odd_take(port, &frames[i]);
            continue;
        }
        datagrams[taken++] =
            (struct datagram){.data = frames[i].data + HEADERS_BYTES,
                              .len = bytes < port->reply_bytes ? bytes : port->reply_bytes,
                              .flow = flow};
    }
    return taken;
}

bool port_is_up(const struct port *port)
{
    return port->up && port->neighbour.known;
}

unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round)
{
    struct wire_frame frames[PORT_BURST_MAX];
    unsigned got;

    frames_return(port);
    if (++port->turns >= TURNS_MAX || !port->up || !port->neighbour.known)
        other_end_look(port);
    nb = nb < PORT_BURST_MAX ? nb : PORT_BURST_MAX;
    got = frames_receive(port, frames, nb);
    port->round_frames += got;
    if (got < nb || port->round_frames >= ROUND_FRAMES) {
        port->round_frames = 0;
        *round = true;
    }
    if (got == 0)
        return 0;
    return frames_take(port, frames, got, datagrams);
}

/* Not through faults, which decide when a frame arrives. */
void port_ahead(struct port *port, unsigned nb)
{
    if (port->faults == NULL)
        wire_ahead(port->wire, nb);
}

unsigned port_lend(struct port *port, struct datagram *datagrams, unsigned nb)
{
    struct wire_frame rooms[PORT_BURST_MAX];
    unsigned lent = 0;

    if (!port->neighbour.known)
        return 0;
    nb = frames_lend(port, rooms, nb < PORT_BURST_MAX ? nb : PORT_BURST_MAX);
    for (; lent < nb && rooms[lent].len >= HEADERS_BYTES + port->request_bytes; lent++)
        datagrams[lent].data = rooms[lent].data + HEADERS_BYTES;
    return lent;
}

void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb)
{
    struct wire_frame frames[PORT_BURST_MAX];

    for (unsigned i = 0; i < nb; i++) {
        frames[i].data = datagrams[i].data - HEADERS_BYTES;
        frames[i].len = HEADERS_BYTES + datagrams[i].len;
        headers_write(&port->headers, frames[i].data, datagrams[i].flow, datagrams[i].len);
    }
    frames_send(port, frames, nb);
    frames_return(port);
}

void port_stats(const struct port *port, struct port_stats *stats)
{
    struct wire_stats wire;

    wire_stats(port->wire, &wire);
    *stats = (struct port_stats){.has_frames = true,
                                 .has_faults = port->faults != NULL,
                                 .words = wire_words(port->wire),
                                 .nb_tx = wire.nb_tx,
                                 .nb_rx = wire.nb_rx,
                                 .nb_malformed = port->nb_malformed,
                                 .nb_arp = port->nb_arp,
                                 .nb_bad = wire.nb_bad};
    if (port->faults != NULL)
        faults_stats(port->faults, &stats->faults);
}

void port_close(struct port *port)
{
    if (port->faults != NULL)
        faults_close(port->faults);
    if (port->wire != NULL)
        wire_close(port->wire);
    free(port);
}
