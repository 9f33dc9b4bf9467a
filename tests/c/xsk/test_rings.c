/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user's half of an AF_XDP socket, with a made-up kernel: valid entries, also across the wrap
 * of the indices; two threads; and a kernel that lies.
 */
#include <pthread.h>
#include <string.h>

#include "../check.h"
#include "kernel_bed.h"

static struct kernel kernel;

static uint64_t bad(void)
{
    return kernel.rings.stats.nb_bad;
}

/* Send frames whose bytes have these values, in one burst. */
static unsigned send(unsigned nb, uint8_t value)
{
    struct xsk_frame rooms[XSK_BURST_MAX];

    nb = xsk_rings_lend(&kernel.rings, rooms, nb);
    for (unsigned i = 0; i < nb; i++) {
        CHECK(rooms[i].len == XSK_FRAME_BYTES);
        rooms[i].len = 60 + i;
        memset(rooms[i].data, value + (int)i, rooms[i].len);
    }
    xsk_rings_send(&kernel.rings, rooms, nb);
    return nb;
}

/* The kernel takes and completes all that was sent. Returns how many. */
static unsigned sent_take(uint8_t value)
{
    struct xdp_desc desc;
    unsigned nb = 0;

    for (; kernel_take_sent(&kernel, &desc); nb++) {
        CHECK(desc.addr + desc.len <= XSK_UMEM_BYTES && desc.len == 60 + nb && desc.options == 0);
        for (uint32_t i = 0; i < desc.len; i++)
            CHECK(kernel.umem[desc.addr + i] == (uint8_t)(value + nb));
        kernel_put_completed(&kernel, desc.addr);
    }
    return nb;
}

static void test_sends_and_gets_its_frames_back(uint32_t begin)
{
    kernel_begin(&kernel, begin);
    for (unsigned turn = 0; turn < 3000; turn++) {
        unsigned nb = 1 + turn % XSK_BURST_MAX;

        CHECK(send(nb, (uint8_t)turn) == nb);
        CHECK(xsk_rings_unsent(&kernel.rings) == nb);
        CHECK(sent_take((uint8_t)turn) == nb);
        CHECK(xsk_rings_unsent(&kernel.rings) == 0);
    }
    CHECK(bad() == 0 && !kernel.rings.broken);
    kernel_end(&kernel);
}

static void test_lends_the_same_rooms_until_they_are_sent(void)
{
    struct xsk_frame first[8], again[8], next[8];

    kernel_begin(&kernel, 0);
    CHECK(xsk_rings_lend(&kernel.rings, first, 8) == 8);
    CHECK(xsk_rings_lend(&kernel.rings, again, 4) == 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK(again[i].data == first[i].data && again[i].len == first[i].len);
    for (unsigned i = 0; i < 3; i++)
        first[i].len = 60;
    xsk_rings_send(&kernel.rings, first, 3);
    CHECK(xsk_rings_lend(&kernel.rings, next, 8) == 8);
    for (unsigned i = 0; i < 5; i++)
        CHECK(next[i].data == first[i + 3].data);
    kernel_end(&kernel);
}

static void test_a_kernel_that_completes_nothing_ends_the_rooms(void)
{
    struct xsk_frame rooms[XSK_BURST_MAX];
    unsigned all = 0, nb;

    kernel_begin(&kernel, 0);
    while ((nb = send(XSK_BURST_MAX, 1)) > 0)
        all += nb;
    CHECK(all == XSK_TX_FRAMES && xsk_rings_unsent(&kernel.rings) == XSK_TX_FRAMES);
    for (unsigned i = 0; i < 5; i++) {
        struct xdp_desc desc;

        CHECK(kernel_take_sent(&kernel, &desc));
        kernel_put_completed(&kernel, desc.addr);
    }
    CHECK(xsk_rings_lend(&kernel.rings, rooms, XSK_BURST_MAX) == 5);
    CHECK(bad() == 0);
    kernel_end(&kernel);
}

static void test_receives_in_order_and_returns_all(uint32_t begin)
{
    struct xsk_frame frames[XSK_BURST_MAX];
    unsigned nb_in = 0, nb_out = 0;

    kernel_begin(&kernel, begin);
    for (unsigned turn = 0; turn < 3000; turn++) {
        unsigned put = turn % 100, got;

        for (unsigned i = 0; i < put; i++, nb_in++)
            kernel_receive(&kernel, (uint8_t)nb_in, 42 + nb_in % 1000);
        while ((got = xsk_rings_receive(&kernel.rings, frames, XSK_BURST_MAX)) > 0) {
            for (unsigned i = 0; i < got; i++, nb_out++) {
                CHECK(frames[i].len == 42 + nb_out % 1000);
                CHECK(frames[i].data[0] == (uint8_t)nb_out);
                CHECK(frames[i].data[frames[i].len - 1] == (uint8_t)nb_out);
            }
            xsk_rings_return(&kernel.rings);
        }
        xsk_rings_return(&kernel.rings);
    }
    CHECK(nb_in == nb_out && kernel.rings.stats.nb_rx == nb_in && bad() == 0);
    kernel_end(&kernel);
}

static void test_frames_are_kept_until_they_are_returned(void)
{
    struct xsk_frame frames[XSK_BURST_MAX];
    unsigned got = 0, all = 0;

    kernel_begin(&kernel, 0);
    for (unsigned i = 0; i < XSK_RX_FRAMES; i++)
        kernel_receive(&kernel, 1, 60);
    while ((got = xsk_rings_receive(&kernel.rings, frames, XSK_BURST_MAX)) > 0)
        all += got;
    CHECK(all == 2 * XSK_BURST_MAX);
    xsk_rings_return(&kernel.rings);
    CHECK(xsk_rings_receive(&kernel.rings, frames, XSK_BURST_MAX) == XSK_BURST_MAX);
    kernel_end(&kernel);
}

/* ---- two threads ---- */

#define ECHOED 200000u

/* Answer each frame with a copy, as long as there are empty frames. */
static void *echo(void *argument)
{
    unsigned echoed = 0;
    struct xdp_desc desc;
    uint64_t address;

    (void)argument;
    while (echoed < ECHOED) {
        if (!kernel_take_sent(&kernel, &desc))
            continue;
        while (!kernel_take_empty(&kernel, &address))
            ;
        memcpy(kernel.umem + address, kernel.umem + desc.addr, desc.len);
        kernel_put_received(&kernel, (struct xdp_desc){.addr = address, .len = desc.len});
        kernel_put_completed(&kernel, desc.addr);
        echoed++;
    }
    return NULL;
}

static void test_two_threads(void)
{
    struct xsk_frame frames[XSK_BURST_MAX];
    uint32_t sent = 0, received = 0, number;
    pthread_t thread;

    kernel_begin(&kernel, 0u - 4 * XSK_RX_FRAMES);
    CHECK(pthread_create(&thread, NULL, echo, NULL) == 0);
    while (received < ECHOED) {
        uint32_t room = 256 - (sent - received), left = ECHOED - sent;
        unsigned nb = xsk_rings_receive(&kernel.rings, frames, 32);

        for (unsigned i = 0; i < nb; i++) {
            CHECK(frames[i].len == 64);
            memcpy(&number, frames[i].data, 4);
            CHECK(number == received++);
        }
        xsk_rings_return(&kernel.rings);
        room = room < left ? room : left;
        nb = xsk_rings_lend(&kernel.rings, frames, room < 32 ? room : 32);
        for (unsigned i = 0; i < nb; i++) {
            memcpy(frames[i].data, &sent, 4);
            frames[i].len = 64;
            sent++;
        }
        xsk_rings_send(&kernel.rings, frames, nb);
    }
    pthread_join(thread, NULL);
    CHECK(bad() == 0 && !kernel.rings.broken);
    kernel_end(&kernel);
}

/* ---- a kernel that lies ---- */

static void test_impossible_indices_stop_the_socket(void)
{
    struct xsk_frame frames[XSK_BURST_MAX];

    for (unsigned which = 0; which < 3; which++) {
        kernel_begin(&kernel, 0);
        if (which == 0)
            atomic_store(&kernel.rx.producer.value, XSK_RX_FRAMES + 1);
        if (which == 1)
            atomic_store(&kernel.rx.producer.value, UINT32_MAX); /* backwards */
        if (which == 2) {
            CHECK(send(4, 1) == 4);
            atomic_store(&kernel.tx.consumer.value, 5); /* more than was sent */
            CHECK(xsk_rings_unsent(&kernel.rings) == 0);
        }
        for (unsigned i = 0; i < 3; i++) {
            CHECK(xsk_rings_receive(&kernel.rings, frames, XSK_BURST_MAX) == 0);
            CHECK(xsk_rings_lend(&kernel.rings, frames, XSK_BURST_MAX) == 0);
        }
        CHECK(kernel.rings.broken && bad() == 1);
        kernel_end(&kernel);
    }
}

static void test_an_impossible_completion_stops_the_socket(void)
{
    kernel_begin(&kernel, 0);
    atomic_store(&kernel.completion.producer.value, XSK_TX_FRAMES + 1);
    while (send(XSK_BURST_MAX, 1) > 0)
        ;
    CHECK(kernel.rings.broken && bad() == 1);
    kernel_end(&kernel);
}

static void test_frames_that_are_none_are_passed_over(void)
{
    struct xsk_frame frames[XSK_BURST_MAX];
    uint64_t owned, last;

    kernel_begin(&kernel, 0);
    CHECK(kernel_take_empty(&kernel, &owned));
    CHECK(kernel_take_empty(&kernel, &last));
    const struct xdp_desc lies[] = {
        {.addr = XSK_UMEM_BYTES, .len = 60},
        {.addr = UINT64_MAX, .len = 60},
        {.addr = (uint64_t)1 << 48, .len = 60},
        {.addr = (uint64_t)XSK_RX_FRAMES * XSK_FRAME_BYTES, .len = 60}, /* one for sending */
        {.addr = owned + 256, .len = XSK_FRAME_BYTES - 255},            /* beyond the frame */
        {.addr = owned + 256, .len = 60},                               /* not the kernel's now */
        {.addr = last, .len = UINT32_MAX},
    };
    const unsigned nb = sizeof(lies) / sizeof(lies[0]);

    for (unsigned i = 0; i < nb; i++)
        kernel_put_received(&kernel, lies[i]);
    kernel_receive(&kernel, 7, 60);
    CHECK(xsk_rings_receive(&kernel.rings, frames, XSK_BURST_MAX) == 1);
    CHECK(frames[0].len == 60 && frames[0].data[0] == 7);
    CHECK(bad() == nb && !kernel.rings.broken && kernel.rings.stats.nb_rx == 1);

    kernel_put_received(&kernel, (struct xdp_desc){.addr = 9 * XSK_FRAME_BYTES, .options = 1});
    CHECK(xsk_rings_receive(&kernel.rings, frames, XSK_BURST_MAX) == 0 && bad() == nb + 1);
    kernel_end(&kernel);
}

static void test_completions_of_others_are_passed_over(void)
{
    struct xsk_frame rooms[XSK_BURST_MAX];
    struct xdp_desc desc;

    kernel_begin(&kernel, 0);
    while (send(XSK_BURST_MAX, 1) > 0)
        ;
    CHECK(kernel_take_sent(&kernel, &desc));
    kernel_put_completed(&kernel, desc.addr + 1);
    kernel_put_completed(&kernel, 0); /* one for receiving */
    kernel_put_completed(&kernel, XSK_UMEM_BYTES);
    kernel_put_completed(&kernel, UINT64_MAX);
    kernel_put_completed(&kernel, desc.addr);
    kernel_put_completed(&kernel, desc.addr); /* twice */
    CHECK(xsk_rings_lend(&kernel.rings, rooms, XSK_BURST_MAX) == 1);
    CHECK(rooms[0].data == kernel.umem + desc.addr);
    CHECK(bad() == 5 && !kernel.rings.broken);
    kernel_end(&kernel);
}

static uint64_t drawn(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 24;
}

/* Check that a frame lies in the UMEM, and that the user and no other burst has it. */
static void frame_check(const struct xsk_frame *frame, uint8_t *held)
{
    uint64_t address = (uint64_t)(frame->data - kernel.umem);

    CHECK(frame->data >= kernel.umem && address / XSK_FRAME_BYTES < XSK_FRAMES);
    CHECK(address % XSK_FRAME_BYTES + frame->len <= XSK_FRAME_BYTES);
    CHECK(held[address / XSK_FRAME_BYTES]++ == 0);
    memset(frame->data, 0xa5, frame->len); /* under ASan */
}

static void test_any_entries(void)
{
    static uint8_t held[XSK_FRAMES];
    struct xsk_frame frames[XSK_BURST_MAX], rooms[XSK_BURST_MAX];
    uint64_t state = 1, address;
    struct xdp_desc desc;

    kernel_begin(&kernel, 0);
    for (unsigned turn = 0; turn < 20000; turn++) {
        unsigned got, nb;

        for (unsigned i = 0; i < drawn(&state) % 40; i++) {
            uint64_t wild = drawn(&state) % 4 == 0 ? drawn(&state) << 20 : 0;
            uint32_t len = (uint32_t)(drawn(&state) % (XSK_FRAME_BYTES + 100));

            address = drawn(&state) % (XSK_UMEM_BYTES + 4096) + wild;
            kernel_put_received(&kernel, (struct xdp_desc){.addr = address, .len = len});
            kernel_put_completed(&kernel, drawn(&state) % 2 == 0
                                              ? address
                                              : address / XSK_FRAME_BYTES * XSK_FRAME_BYTES);
        }
        memset(held, 0, sizeof(held));
        got = xsk_rings_receive(&kernel.rings, frames, (unsigned)(drawn(&state) % XSK_BURST_MAX));
        nb = xsk_rings_lend(&kernel.rings, rooms, (unsigned)(drawn(&state) % XSK_BURST_MAX));
        for (unsigned i = 0; i < got; i++)
            frame_check(&frames[i], held);
        for (unsigned i = 0; i < nb; i++)
            frame_check(&rooms[i], held);
        xsk_rings_send(&kernel.rings, rooms, nb);
        xsk_rings_return(&kernel.rings);
        while (drawn(&state) % 8 != 0 && kernel_take_sent(&kernel, &desc))
            kernel_put_completed(&kernel, desc.addr);
        while (drawn(&state) % 8 != 0 && kernel_take_empty(&kernel, &address))
            ;
        if (kernel.rings.broken) { /* the rings were not emptied as fast as they were filled */
            kernel_end(&kernel);
            kernel_begin(&kernel, 0);
        }
    }
    CHECK(kernel.rings.stats.nb_tx > 0);
    kernel_end(&kernel);
}

int main(void)
{
    const uint32_t wrap = 0u - 8 * XSK_RX_FRAMES;

    test_sends_and_gets_its_frames_back(0);
    test_sends_and_gets_its_frames_back(wrap);
    test_lends_the_same_rooms_until_they_are_sent();
    test_a_kernel_that_completes_nothing_ends_the_rooms();
    test_receives_in_order_and_returns_all(0);
    test_receives_in_order_and_returns_all(wrap);
    test_frames_are_kept_until_they_are_returned();
    test_two_threads();
    test_impossible_indices_stop_the_socket();
    test_an_impossible_completion_stops_the_socket();
    test_frames_that_are_none_are_passed_over();
    test_completions_of_others_are_passed_over();
    test_any_entries();
    return 0;
}
