/* SPDX-License-Identifier: BSD-3-Clause */
/* boot, as a process: a tender starts it with the descriptors of control.h and nothing else. */
#include "boot.h"

#include <linux/mman.h>

#include "confine.h"
#include "process.h"
#include "syscall.h"

#define EXIT_FAILED 1
#define EXIT_NO_TENDER 2
#define HUGEPAGE_BYTES (2ull << 20)

static struct control *control;

struct control *process_control(void)
{
    return control;
}

/* The kernel enters with the stack pointer on the arguments, which are not used. A C function
 * expects it 8 bytes off a multiple of 16 (x86-64 psABI, 3.2.2): the call pushes 8 bytes. */
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call process_start\n"
        "    hlt\n");

_Noreturn void process_start(void);

static _Noreturn void leave(int code)
{
    for (;;)
        SYSCALL(exit_group, (uint64_t)code);
}

_Noreturn void process_start(void)
{
    int64_t at =
        SYSCALL(mmap, 0, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL_FD_PAGE, 0);

    if (syscall_failed(at))
        leave(EXIT_NO_TENDER);
    SYSCALL(close, CONTROL_FD_PAGE);
    control = (struct control *)at;
    if (control->setup.version != CONTROL_VERSION)
        leave(EXIT_NO_TENDER);
    image_main();
}

void boot_open(struct boot *boot)
{
    *boot = (struct boot){.options = &control->setup.options,
                          .pid = control->setup.pid,
                          .stop = &control->link.stop,
                          .ask = &control->link.ask};
}

void *boot_memory(uint64_t bytes, bool hugepages)
{
    uint64_t flags = MAP_PRIVATE | MAP_ANONYMOUS;
    uint64_t whole = (bytes + HUGEPAGE_BYTES - 1) & ~(HUGEPAGE_BYTES - 1);
    int64_t at;

    if (hugepages) {
        at = SYSCALL(mmap, 0, whole, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB | MAP_HUGE_2MB,
                     UINT64_MAX, 0);
        return syscall_failed(at) ? NULL : (void *)at;
    }
    at = SYSCALL(mmap, 0, bytes, PROT_READ | PROT_WRITE, flags, UINT64_MAX, 0);
    if (syscall_failed(at))
        return NULL;
    SYSCALL(madvise, (uint64_t)at, bytes, MADV_HUGEPAGE); /* refusal is no failure */
    return (void *)at;
}

static void put_text(char *to, uint32_t room, const char *text)
{
    uint32_t i = 0;

    for (; i + 1 < room && text[i] != '\0'; i++)
        to[i] = text[i];
    to[i] = '\0';
}

static void say_state(enum control_state state)
{
    atomic_store_explicit(&control->said.state, state, memory_order_release);
}

void boot_ready(const struct source *listen)
{
    (void)listen; /* the tender knows it */
    if (!confine(control->setup.called))
        boot_fail(BOOT_FAILED,
                  "the kernel refuses a seccomp filter, and the image does not serve without one");
    put_text(control->said.datapath, CONTROL_NAME_BYTES, datapath_name);
    control->said.words = service_words;
    say_state(CONTROL_READY);
}

void boot_report(const struct report *report)
{
    control->said.report = *report;
    atomic_store_explicit(&control->link.ask, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&control->said.nb_reports, 1, memory_order_release);
}

_Noreturn void boot_exit(const struct report *report)
{
    control->said.report = *report;
    say_state(CONTROL_DONE);
    leave(0);
}

_Noreturn void boot_fail(enum boot_failure failure, const char *error)
{
    (void)failure; /* the tender needs the sentence only */
    put_text(control->said.error, CONTROL_ERROR_BYTES, error);
    say_state(CONTROL_FAILED);
    leave(EXIT_FAILED);
}
