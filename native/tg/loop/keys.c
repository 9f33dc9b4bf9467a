/* SPDX-License-Identifier: BSD-3-Clause */
#include "keys.h"

#include <string.h>

#include "table.h"

static size_t versions_bytes(uint32_t nb_keys)
{
    return ((size_t)nb_keys + 1) * sizeof(struct key_versions);
}

static size_t setting_bytes(uint32_t nb_keys)
{
    return ((size_t)nb_keys / 64 + 1) * sizeof(uint64_t);
}

bool keys_open(struct keys *keys, uint32_t nb_keys)
{
    keys->nb_keys = nb_keys;
    keys->versions = table_open(versions_bytes(nb_keys));
    keys->setting = table_open(setting_bytes(nb_keys));
    return keys->versions != NULL && keys->setting != NULL;
}

void keys_close(struct keys *keys)
{
    table_close(keys->versions, versions_bytes(keys->nb_keys));
    table_close(keys->setting, setting_bytes(keys->nb_keys));
}

void keys_reset(struct keys *keys)
{
    memset(keys->versions, 0, keys->nb_keys * sizeof(*keys->versions));
    memset(keys->setting, 0, setting_bytes(keys->nb_keys));
}
