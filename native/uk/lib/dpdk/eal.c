/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment (rte_eal.h, rte_lcore.h) on a machine with one processor and one program: one
 * lcore, the primary process, socket 0. No files, no threads, no other processes.
 *
 * The distribution's objects are compiled for Linux. They need a block of thread-local storage at
 * the segment register FS, a random value in it that functions compare before they return (System V
 * ABI, AMD64, 3.4.6, and its stack protector), and constructors that are called.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_random.h>
#include <rte_tailq.h>
#include <rte_vect.h>

#include "boot.h"
#include "clock.h"
#include "console.h"
#include "environment.h"
#include "interrupts.h"
#include "x86.h"

#define MSR_FS_BASE 0xc0000100u
#define TAILQS_MAX 16u

RTE_DEFINE_PER_LCORE(unsigned, _lcore_id) = 0;
RTE_DEFINE_PER_LCORE(int, _rte_errno);
/* Tracing is off, so DPDK only refers to these. */
RTE_DEFINE_PER_LCORE(volatile int, trace_point_sz);
RTE_DEFINE_PER_LCORE(void *, trace_mem);

/* ---- before any of DPDK's functions runs ---- */

/* The words at FS that compiled code reads. */
struct thread {
    struct thread *self; /* at 0: thread-local variables lie before it */
    uint64_t reserved[4];
    uint64_t stack_guard; /* at 0x28 */
};

_Static_assert(offsetof(struct thread, stack_guard) == 0x28, "GCC's stack protector");

/* Symbols of the linker script (images/pc.ld). */
extern const char image_tls_bytes[]; /* its address is the number */
extern void (*const image_init[])(void);
extern void (*const image_init_end[])(void);

/* Thread-local variables end where FS points to (the ABI's variant II), and begin as zeros. */
static void open_thread(void)
{
    size_t align = RTE_CACHE_LINE_SIZE;
    size_t before = ((size_t)image_tls_bytes + align - 1) & ~(align - 1);
    uint8_t *block = environment_memory(before + sizeof(struct thread), align);
    struct thread *thread = (struct thread *)(void *)(block + before);

    thread->self = thread;
    if (!random_bytes(&thread->stack_guard, sizeof(thread->stack_guard)))
        thread->stack_guard = x86_tsc() * 0x9e3779b97f4a7c15ull;
    x86_write_msr(MSR_FS_BASE, (uint64_t)thread);
}

static void call_constructors(void)
{
    for (void (*const *each)(void) = image_init; each < image_init_end; each++)
        (*each)();
}

/* ---- rte_eal.h ---- */

/* device.c passes these two words always. An image takes no others. */
static bool is_known(const char *word)
{
    return strcmp(word, "--log-level=error") == 0 || strcmp(word, "--single-file-segments") == 0;
}

int rte_eal_init(int argc, char **argv)
{
    open_thread();
    call_constructors();
    for (int i = 1; i < argc; i++) {
        if (!is_known(argv[i]))
            console_fail("this image drives the machine's only network device: it takes no EAL "
                         "arguments behind --");
    }
    const char *error = environment_probe();
    if (error != NULL)
        console_fail(error);
    return argc;
}

int rte_eal_cleanup(void)
{
    return 0;
}

enum rte_proc_type_t rte_eal_process_type(void)
{
    return RTE_PROC_PRIMARY;
}

int rte_eal_iopl_init(void)
{
    return 0; /* the image may use every port of the machine */
}

const char *rte_eal_mbuf_user_pool_ops(void)
{
    return NULL;
}

unsigned rte_socket_id(void)
{
    return 0;
}

/* As EAL says on a processor without wider vectors. The driver chooses no other functions by it
 * unless it is given the argument `vectorized`. */
uint16_t rte_vect_get_max_simd_bitwidth(void)
{
    return RTE_VECT_SIMD_128;
}

int rte_cpu_get_flag_enabled(enum rte_cpu_flag_t feature)
{
    (void)feature; /* only queried for vectors that an image does not use */
    return 0;
}

/* ---- lists with a name (rte_tailq.h): of pools, of rings ---- */

int rte_eal_tailq_register(struct rte_tailq_elem *list)
{
    static struct rte_tailq_head heads[TAILQS_MAX];
    static unsigned nb_heads;

    if (nb_heads == TAILQS_MAX)
        return -1;
    list->head = &heads[nb_heads++];
    TAILQ_INIT(&list->head->tailq_head);
    return 0;
}

/* ---- locks between processes and threads: there is one of each ---- */

#define ALWAYS_FREE(name)                                                                          \
    void name(void)                                                                                \
    {                                                                                              \
    }

ALWAYS_FREE(rte_mcfg_mempool_read_lock)
ALWAYS_FREE(rte_mcfg_mempool_read_unlock)
ALWAYS_FREE(rte_mcfg_mempool_write_lock)
ALWAYS_FREE(rte_mcfg_mempool_write_unlock)
ALWAYS_FREE(rte_mcfg_tailq_read_lock)
ALWAYS_FREE(rte_mcfg_tailq_read_unlock)
ALWAYS_FREE(rte_mcfg_tailq_write_lock)
ALWAYS_FREE(rte_mcfg_tailq_write_unlock)

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)mutex, (void)attributes;
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

/* ---- errors ---- */

int *__errno_location(void)
{
    static int error;

    return &error;
}

const char *rte_strerror(int error)
{
    (void)error;
    return "an error";
}

/* ---- time ---- */

uint64_t rte_get_tsc_hz(void)
{
    return clock_tsc_hz();
}

static void wait_us(uint64_t us)
{
    uint64_t until = x86_tsc() + us * (clock_tsc_hz() / 1000000);

    while (x86_tsc() < until)
        __builtin_ia32_pause();
}

static void delay_us(unsigned us)
{
    wait_us(us);
}

void (*rte_delay_us)(unsigned us) = delay_us;

int usleep(useconds_t us)
{
    wait_us(us);
    return 0;
}

/* The datapath's sleep. Interrupts end it; the driver has none, so the console's do. */
int nanosleep(const struct timespec *time, struct timespec *rest)
{
    (void)rest;
    interrupts_sleep((uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec);
    return 0;
}
