/* SPDX-License-Identifier: BSD-3-Clause */
/* confine, as a process: a seccomp filter, which cannot be removed (seccomp(2)). */
#include "confine.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "control.h"
#include "syscall.h"

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
/* The low half of a 64-bit argument. It is enough where the kernel takes an int: a descriptor or a
 * number of descriptors. For addresses and for the counts of read and write, check both halves. */
#define LOAD_LOW(n) LOAD(args[n])
#define LOAD_HIGH(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4)
#define SKIP_UNLESS(value, nb) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, nb)
#define KILL_UNLESS(value)                                                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0),                                              \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* For each call: compare its number, and if it differs skip that many steps to the next call; then
 * check its arguments. KILL_UNLESS is two steps. */
static const struct sock_filter filter[] = {
    LOAD(arch),
    KILL_UNLESS(AUDIT_ARCH_X86_64),
    LOAD(nr),
    /* A kick: eight bytes to one of two eventfds. */
    SKIP_UNLESS(__NR_write, 11),
    LOAD_LOW(2),
    KILL_UNLESS(8),
    LOAD_HIGH(2),
    KILL_UNLESS(0),
    LOAD_LOW(0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONTROL_FD_KICK, 2, 0),
    KILL_UNLESS(CONTROL_FD_KICK + 1),
    ALLOW,
    /* The sleep: one descriptor, unchanged signal mask. The filter need not check which descriptor:
     * only those of kicks and calls are open. */
    SKIP_UNLESS(__NR_ppoll, 10),
    LOAD_LOW(1),
    KILL_UNLESS(1),
    LOAD_LOW(3),
    KILL_UNLESS(0),
    LOAD_HIGH(3),
    KILL_UNLESS(0),
    ALLOW,
    /* Read the call that ended the sleep from its eventfd. */
    SKIP_UNLESS(__NR_read, 10),
    LOAD_LOW(0),
    KILL_UNLESS(CONTROL_FD_CALL),
    LOAD_LOW(2),
    KILL_UNLESS(8),
    LOAD_HIGH(2),
    KILL_UNLESS(0),
    ALLOW,
    SKIP_UNLESS(__NR_exit_group, 1),
    ALLOW,
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

bool confine(bool called)
{
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]),
                                 .filter = (struct sock_filter *)(uintptr_t)filter};

    if (!called)
        SYSCALL(close, CONTROL_FD_CALL);
    return !syscall_failed(SYSCALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) &&
           !syscall_failed(SYSCALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, (uint64_t)&program));
}
