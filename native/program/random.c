/* SPDX-License-Identifier: BSD-3-Clause */
/* Random bytes for Linux programs (options.h). */
#include <sys/random.h>

#include "options.h"

bool random_bytes(void *to, size_t nb_bytes)
{
    return getrandom(to, nb_bytes, 0) == (ssize_t)nb_bytes;
}
