/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: a front end that sends anything, to a device side that uses its rings in
 * between. Afterwards the device is down, and no descriptor is left open.
 *
 * An input is a sequence of messages: options, the request, and a payload. Most payloads would be
 * rejected at once; so an option sends a correct message instead, with a few bytes changed.
 */
#include <string.h>
#include <unistd.h>

#include "../check.h"
#include "front_bed.h"

struct input {
    const uint8_t *at, *end;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

static struct front_bed bed;

static uint64_t take(struct input *input, unsigned nb)
{
    uint64_t value = 0;

    for (; nb > 0 && input->at < input->end; nb--)
        value = value << 8 | *input->at++;
    return value;
}

/* Write the message that a correct front end would send. */
static void say_properly(struct vhost_user_message *message, unsigned ring)
{
    const struct vring *at = &bed.front.rings[ring];
    union vhost_user_payload *payload = &message->payload;

    message->header.bytes = 8;
    switch (message->header.request) {
    case VHOST_USER_SET_MEM_TABLE:
        message->header.bytes = 40;
        payload->memory.nb_regions = 1;
        payload->memory.regions[0] =
            (struct vhost_user_region){0, bed.front.memory_bytes, (uintptr_t)bed.front.memory, 0};
        message->fds[message->nb_fds++] = bed.front.memory_fd;
        break;
    case VHOST_USER_SET_VRING_ADDR:
        message->header.bytes = sizeof(payload->addr);
        payload->addr = (struct vhost_user_addr){.ring = ring,
                                                 .desc = (uintptr_t)at->desc,
                                                 .used = (uintptr_t)at->used,
                                                 .avail = (uintptr_t)at->avail};
        break;
    case VHOST_USER_SET_VRING_NUM:
        payload->state = (struct vhost_user_state){ring, at->size};
        break;
    case VHOST_USER_SET_VRING_ENABLE:
        payload->state = (struct vhost_user_state){ring, 1};
        break;
    case VHOST_USER_SET_VRING_KICK:
    case VHOST_USER_SET_VRING_CALL:
        payload->u64 = ring;
        message->fds[message->nb_fds++] = bed.front.kick_fds[ring];
        break;
    default:
        payload->u64 = bed.front.features;
    }
}

static void say(struct input *input)
{
    unsigned how = (unsigned)take(input, 1);
    struct vhost_user_message message = {
        .header = {(uint32_t)take(input, 1) % 20, VHOST_USER_VERSION, 0}};

    if (how & 1) {
        say_properly(&message, how >> 1 & 1);
    } else {
        message.header.bytes = (uint32_t)(take(input, 1) % sizeof(message.payload));
        for (uint32_t i = 0; i < message.header.bytes; i++)
            ((uint8_t *)&message.payload)[i] = (uint8_t)take(input, 1);
    }
    if (how & 4)
        message.header.flags |= VHOST_USER_NEED_REPLY;
    for (unsigned nb = how >> 3 & 3; nb > 0; nb--) {
        uint64_t where = take(input, 1) % sizeof(message.payload);
        ((uint8_t *)&message.payload)[where] = (uint8_t)take(input, 1);
    }
    if (how & 32)
        message.fds[message.nb_fds++] = bed.front.memory_fd;
    if (how & 64)
        message.header.bytes += (uint32_t)take(input, 1) % 16;
    if (message.header.bytes > sizeof(message.payload))
        message.header.bytes = sizeof(message.payload);
    (void)vhost_user_send(bed.front.socket, &message); /* the connection may be closed */
    front_bed_control(&bed);
}

/* Use the device as a generator would. */
static void use(void)
{
    struct vhost_frame frames[8];
    unsigned nb = vhost_lend(bed.device, frames, 8);

    for (unsigned i = 0; i < nb; i++) {
        frames[i].len = 60;
        memset(frames[i].data, 1, frames[i].len);
    }
    vhost_send(bed.device, frames, nb);
    (void)vhost_receive(bed.device, frames, 8);
    vhost_return(bed.device);
}

/* Return the lowest free descriptor. */
static int free_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    front_bed_open(&bed);
    /* One handshake first, so that the memory contains rings and rooms. */
    front_bed_shake_hands(&bed);
    front_bed_check_works(&bed);
    vhost_front_disconnect(&bed.front);
    front_bed_control(&bed);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    struct input input = {data, data + nb_bytes};
    int before = free_fd();

    front_bed_dial(&bed);
    while (input.at < input.end) {
        say(&input);
        use();
    }
    vhost_front_disconnect(&bed.front);
    front_bed_control(&bed);
    CHECK(!vhost_up(bed.device) && free_fd() == before);
    return 0;
}
