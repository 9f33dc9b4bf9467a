/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service that answers as `echo`, but makes a system call first if a request begins with "call "
 * and a word. After a call that confine allows, the request is answered; after a call that it
 * forbids, never (tests/wire/test_confined.py).
 */
#include <linux/poll.h>
#include <linux/time_types.h>

#include "bytes.h"
#include "control.h"
#include "service.h"
#include "syscall.h"

#define WORD_AT 5u
#define WORD_BYTES 8u
#define NR_X32 0x40000000u /* asm/unistd.h's bit of the x32 ABI */

const struct service_words service_words = {.name = "forbidden"};
const uint32_t service_fetch_bytes = 0;
const uint32_t service_request_bytes_min = 0;

struct service {
    uint32_t next, nb_requests; /* where a burst continues when slots ran out */
};

static uint64_t eventfd_value = 1;
static struct __kernel_timespec no_time;
static struct pollfd polled[2] = {{.fd = CONTROL_FD_KICK, .events = POLLOUT},
                                  {.fd = CONTROL_FD_KICK + 1, .events = POLLOUT}};

static void kick(uint64_t ring, uint64_t nb_bytes)
{
    SYSCALL(write, CONTROL_FD_KICK + ring, (uint64_t)&eventfd_value, nb_bytes);
}

static void poll_some(uint64_t nb, uint64_t signals)
{
    SYSCALL(ppoll, (uint64_t)polled, nb, (uint64_t)&no_time, signals, 8);
}

static void x32(uint64_t number)
{
    const uint64_t arguments[6] = {CONTROL_FD_KICK, (uint64_t)&eventfd_value, 8};

    (void)syscall_do(NR_X32 | number, arguments);
}

/* Whether this is the word, padded with blanks. */
static bool is(const uint8_t *data, const char *word)
{
    return memcmp(data + WORD_AT, word, WORD_BYTES) == 0;
}

static void call_allowed(const uint8_t *data)
{
    if (is(data, "kick rx "))
        kick(0, 8);
    else if (is(data, "kick tx "))
        kick(1, 8);
    else if (is(data, "ppoll 1 "))
        poll_some(1, 0);
    else if (is(data, "read 7  "))
        SYSCALL(read, CONTROL_FD_CALL, (uint64_t)&eventfd_value, 8);
}

static void call_forbidden(const uint8_t *data)
{
    if (is(data, "getpid  "))
        SYSCALL(getpid, 0);
    else if (is(data, "openat  "))
        SYSCALL(openat, UINT64_MAX, (uint64_t)"/", 0);
    else if (is(data, "write 1 "))
        SYSCALL(write, 1, (uint64_t)&eventfd_value, 8);
    else if (is(data, "kick 4  "))
        kick(0, 4);
    else if (is(data, "kick 4G "))
        kick(0, (1ull << 32) + 8);
    else if (is(data, "kick 3  "))
        kick(2, 8);
    else if (is(data, "ppoll 2 "))
        poll_some(2, 0);
    else if (is(data, "ppoll s "))
        poll_some(1, (uint64_t)&eventfd_value);
    else if (is(data, "ppoll h "))
        poll_some(1, 1ull << 32);
    else if (is(data, "read 4G "))
        SYSCALL(read, CONTROL_FD_CALL, (uint64_t)&eventfd_value, (1ull << 32) + 8);
    else if (is(data, "read 5  "))
        SYSCALL(read, CONTROL_FD_KICK, (uint64_t)&eventfd_value, 8);
    else if (is(data, "mmap    "))
        SYSCALL(mmap, 0, 4096, 7, 0x22, UINT64_MAX, 0);
    else if (is(data, "execve  "))
        SYSCALL(execve, (uint64_t)"/bin/sh", 0, 0);
    else if (is(data, "x32 39  "))
        x32(__NR_getpid);
    else if (is(data, "x32 1   "))
        x32(__NR_write);
}

const char *service_open(struct service **service, const struct service_config *config)
{
    *service = config->memory;
    return NULL;
}

static void obey(const struct request *request)
{
    if (request->len < WORD_AT + WORD_BYTES || memcmp(request->data, "call ", WORD_AT) != 0)
        return;
    call_allowed(request->data);
    call_forbidden(request->data);
}

void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests)
{
    (void)service, (void)requests, (void)nb_requests;
}

unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more)
{
    unsigned nb = 0;

    (void)now_ns;
    if (nb_requests > 0)
        *service = (struct service){.nb_requests = nb_requests};
    for (; service->next < service->nb_requests; service->next++) {
        struct request *request = &requests[service->next];
        if (request->drop != DROP_NONE)
            continue;
        if (nb == nb_replies)
            break;
        obey(request);
        if (request->room != request->data)
            memcpy(request->room, request->data, request->len);
        replies[nb].data = request->room;
        replies[nb].len = request->len;
        replies[nb++].request = service->next;
    }
    *more = service->next < service->nb_requests;
    return nb;
}

void service_counters(const struct service *service, struct service_counters *counters)
{
    (void)service;
    *counters = (struct service_counters){.values = {0}};
}
