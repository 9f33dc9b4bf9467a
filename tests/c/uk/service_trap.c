/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service that violates the memory protection as soon as it is opened; TRAP (meson.build) selects
 * the violation: TRAP_CODE writes to code, TRAP_DATA executes data, TRAP_STACK overflows the stack,
 * TRAP_CONSTANT writes to a constant, TRAP_NULL uses a null pointer. Each image of it must stop
 * with a message (tests/wire/test_boot.py). TRAP_REDZONE lets an interrupt come while bytes below
 * the stack pointer are in use, and ends with a sentence of its own.
 */
#include <stddef.h>

#include "service.h"

const struct service_words service_words = {.name = "trap"};
const uint32_t service_fetch_bytes = 0;
const uint32_t service_request_bytes_min = 0;

static const uint32_t constant[1] = {1};
static uint8_t data[16] = {0xc3}; /* ret */
static const char *outcome;       /* NULL: misbehave() was expected not to return */

#if defined(TRAP_CODE)
static void misbehave(void)
{
    *(volatile uint8_t *)(uintptr_t)service_handle_burst = 0xcc;
}
#elif defined(TRAP_DATA)
static void misbehave(void)
{
    ((void (*)(void))(uintptr_t)data)();
}
#elif defined(TRAP_STACK)
/* Each call keeps its own bytes in use, so that no tail call replaces the recursion. */
static uint32_t deeper(volatile uint8_t *last)
{
    volatile uint8_t bytes[256];

    bytes[0] = last[0];
    return bytes[0] == 0 ? deeper(bytes) + bytes[0] : 0;
}

static void misbehave(void)
{
    volatile uint8_t first[1] = {0};

    (void)deeper(first);
}
#elif defined(TRAP_CONSTANT)
static void misbehave(void)
{
    uintptr_t at = (uintptr_t)constant;

    __asm__("" : "+r"(at)); /* otherwise the compiler would leave it out */
    *(volatile uint32_t *)at = 2;
}
#elif defined(TRAP_NULL)
static void misbehave(void)
{
    uintptr_t nowhere = 8;

    __asm__("" : "+r"(nowhere)); /* otherwise the compiler would know the value */
    (void)*(volatile uint32_t *)nowhere;
}
#elif defined(TRAP_REDZONE)
/* Code that was compiled for Linux uses 128 bytes below its stack pointer (AMD64 ABI, 3.2.2). */
static void misbehave(void)
{
    bool is_changed;

    __asm__ volatile("lea -128(%%rsp), %%rdi\n\t"
                     "mov $16, %%ecx\n\t"
                     "rep stosq\n\t"
                     "int $0x20\n\t" /* the timer's vector */
                     "lea -128(%%rsp), %%rdi\n\t"
                     "mov $16, %%ecx\n\t"
                     "repe scasq"
                     : "=@ccne"(is_changed)
                     : "a"(0x5a5a5a5a5a5a5a5aull)
                     : "rdi", "rcx", "memory");
    outcome = is_changed ? "the interrupt wrote to the red zone" : "the red zone is as it was";
}
#endif

const char *service_open(struct service **service, const struct service_config *config)
{
    *service = config->memory;
    misbehave();
    return constant[0] + data[1] == 0 ? "not reached" : outcome;
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
    (void)service;
    (void)now_ns;
    (void)requests;
    (void)nb_requests;
    (void)replies;
    (void)nb_replies;
    *more = false;
    return 0;
}

void service_counters(const struct service *service, struct service_counters *counters)
{
    (void)service;
    *counters = (struct service_counters){.values = {0}};
}
