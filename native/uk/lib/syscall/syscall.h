/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscall: calls the kernel, for the `process` form, which has no C library. Linux x86-64 ABI:
 * number in rax, arguments in rdi, rsi, rdx, r10, r8, r9; rcx and r11 are lost; a result in
 * -4095..-1 is an error.
 */
#ifndef NEARMETAL_UK_SYSCALL_H
#define NEARMETAL_UK_SYSCALL_H

#include <stdbool.h>
#include <stdint.h>

#include <asm/unistd.h>

static inline int64_t syscall_do(uint64_t number, const uint64_t arguments[6])
{
    int64_t result;
    register uint64_t d __asm__("r10") = arguments[3];
    register uint64_t e __asm__("r8") = arguments[4];
    register uint64_t f __asm__("r9") = arguments[5];

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(d),
                       "r"(e), "r"(f)
                     : "rcx", "r11", "memory");
    return result;
}

static inline bool syscall_failed(int64_t result)
{
    return result < 0 && result > -4096;
}

/* Call the kernel by the name of a system call. Arguments left out are 0. */
#define SYSCALL(name, ...) syscall_do(__NR_##name, (const uint64_t[6]){__VA_ARGS__})

#endif
