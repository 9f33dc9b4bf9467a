/* SPDX-License-Identifier: BSD-3-Clause */
#include "load_type.h"

#include <stddef.h>
#include <string.h>

static const struct load_type *const types[] = {&load_kv, &load_echo, &load_replay};

const struct load_type *load_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}
