/* SPDX-License-Identifier: BSD-3-Clause */
/* pvclock: see pvclock.h. */
#include "pvclock.h"

#include <stdatomic.h>
#include <stddef.h>

#include "x86.h"

#define CPUID_FEATURES 1u
#define FEATURE_HYPERVISOR (1u << 31)
#define CPUID_HYPERVISOR 0x40000000u
#define CPUID_KVM_FEATURES 0x40000001u
#define KVM_FEATURE_CLOCK 8u /* bit 3: the MSRs below */
#define MSR_WALL_CLOCK 0x4b564d00u
#define MSR_SYSTEM_TIME 0x4b564d01u
#define MSR_ON 1u
#define NS_PER_S 1000000000ull

struct pvclock_time {
    _Atomic uint32_t version; /* odd: being written */
    uint32_t pad;
    uint64_t tsc, ns;
    uint32_t mult;
    int8_t shift;
    uint8_t flags, pad2[2];
};

struct pvclock_wall {
    uint32_t version, s, ns;
};

_Static_assert(sizeof(struct pvclock_time) == 32, "msr.rst");
_Static_assert(offsetof(struct pvclock_time, mult) == 24, "msr.rst");

/* Written by the hypervisor. Neither structure may cross a page. */
static volatile struct pvclock_time time __attribute__((aligned(64)));
static volatile struct pvclock_wall wall __attribute__((aligned(16)));
static uint64_t wall_ns; /* Unix time at system time 0 */

static bool is_kvm(void)
{
    struct x86_cpuid r;

    if (!(x86_cpuid(CPUID_FEATURES, 0).c & FEATURE_HYPERVISOR))
        return false;
    r = x86_cpuid(CPUID_HYPERVISOR, 0); /* "KVMKVMKVM" */
    return r.b == 0x4b4d564b && r.c == 0x564b4d56 && r.d == 0x4d && r.a >= CPUID_KVM_FEATURES &&
           x86_cpuid(CPUID_KVM_FEATURES, 0).a & KVM_FEATURE_CLOCK;
}

bool pvclock_open(void)
{
    if (!is_kvm())
        return false;
    x86_write_msr(MSR_SYSTEM_TIME, (uint64_t)&time | MSR_ON);
    x86_write_msr(MSR_WALL_CLOCK, (uint64_t)&wall);
    wall_ns = wall.s * NS_PER_S + wall.ns;
    return time.mult != 0;
}

uint64_t pvclock_tsc_hz(void)
{
    uint64_t hz = (NS_PER_S << 32) / time.mult;

    return time.shift < 0 ? hz << -time.shift : hz >> time.shift;
}

uint64_t pvclock_now_ns(void)
{
    uint32_t version;
    uint64_t ns;

    do {
        version = atomic_load_explicit(&time.version, memory_order_acquire);
        uint64_t cycles = x86_tsc() - time.tsc;
        cycles = time.shift < 0 ? cycles >> -time.shift : cycles << time.shift;
        ns = time.ns + (uint64_t)(((unsigned __int128)cycles * time.mult) >> 32);
        atomic_thread_fence(memory_order_acquire);
    } while (version & 1 || version != atomic_load_explicit(&time.version, memory_order_relaxed));
    return wall_ns + ns;
}
