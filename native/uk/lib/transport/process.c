/* SPDX-License-Identifier: BSD-3-Clause */
/* transport, as a process: rings and buffers in a memfd of the tender, which does the handshake
 * with the back end (control.h). */
#include "transport.h"

#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/time_types.h>

#include "process.h"
#include "syscall.h"

#define NS_PER_S 1000000000u

static struct {
    uint8_t *memory; /* also the device's address 0 */
    uint64_t nb_syscalls;
} process;

const char *transport_open(struct transport *transport)
{
    const struct control *control = process_control();
    const struct control_setup *setup = &control->setup;
    struct vring rings[TRANSPORT_RINGS];
    size_t rings_bytes;

    if (!vring_size_valid(setup->ring_size))
        return "the tender gives an invalid ring size";
    rings_bytes = vhost_layout(NULL, setup->ring_size, rings);
    if (setup->memory_bytes <= rings_bytes)
        return "the tender's memory is too small for its rings";
    int64_t at = SYSCALL(mmap, 0, setup->memory_bytes, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_POPULATE, CONTROL_FD_MEMORY, 0);
    if (syscall_failed(at))
        return "the tender's memory cannot be mapped";
    SYSCALL(close, CONTROL_FD_MEMORY);
    process.memory = (uint8_t *)at;
    *transport = (struct transport){.generation = &control->link.generation,
                                    .buffers = process.memory + rings_bytes,
                                    .buffers_device = rings_bytes,
                                    .buffers_bytes = setup->memory_bytes - rings_bytes,
                                    .ring_size = setup->ring_size};
    __builtin_memcpy(transport->mac, setup->mac, sizeof(transport->mac));
    return NULL;
}

/* Storing the generation in `seen` informs the tender that the previous rings are released. */
void transport_begin(struct transport_link *link)
{
    struct control *control = process_control();

    link->generation = atomic_load_explicit(&control->link.generation, memory_order_acquire);
    link->up = link->generation & 1;
    link->features = atomic_load_explicit(&control->link.features, memory_order_relaxed);
    (void)vhost_layout(process.memory, control->setup.ring_size, link->rings);
    atomic_store_explicit(&control->said.seen, link->generation, memory_order_release);
}

void transport_kick(unsigned ring)
{
    uint64_t one = 1;

    /* A full counter is no error: the device was kicked already. */
    SYSCALL(write, CONTROL_FD_KICK + ring, (uint64_t)&one, sizeof(one));
    process.nb_syscalls++;
}

/* Read the call that ended the sleep: the eventfd stays readable until it is read. */
bool transport_wait(uint64_t ns)
{
    struct pollfd wait = {.fd = CONTROL_FD_CALL, .events = POLLIN};
    struct __kernel_timespec time = {.tv_sec = (long long)(ns / NS_PER_S),
                                     .tv_nsec = (long long)(ns % NS_PER_S)};
    uint64_t nb_calls;

    process.nb_syscalls++;
    VRING_MOMENT("driver: about to sleep");
    if (SYSCALL(ppoll, (uint64_t)&wait, 1, (uint64_t)&time, 0, 0) != 1)
        return true;
    VRING_MOMENT("driver: woke");
    SYSCALL(read, CONTROL_FD_CALL, (uint64_t)&nb_calls, sizeof(nb_calls));
    VRING_MOMENT("driver: has read its calls");
    process.nb_syscalls++;
    return true;
}

uint64_t transport_syscalls(void)
{
    return process.nb_syscalls;
}
