/* SPDX-License-Identifier: BSD-3-Clause */
/* Check names that a data process wrote; the tender does not trust them. */
#include "names.h"

/* Accept small letters, digits and _, ended by a zero byte within `room`. An empty name is valid:
 * it marks an unused entry. */
static bool is_sound(const char *name, unsigned room)
{
    for (unsigned i = 0; i < room; i++) {
        char c = name[i];
        if (c == '\0')
            return true;
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')
            return false;
    }
    return false;
}

bool names_are_sound(const char datapath[CONTROL_NAME_BYTES], const struct service_words *words)
{
    if (!is_sound(datapath, CONTROL_NAME_BYTES) || !is_sound(words->name, SERVICE_NAME_BYTES))
        return false;
    for (unsigned i = 0; i < SERVICE_COUNTERS_MAX; i++) {
        if (!is_sound(words->counters[i], SERVICE_NAME_BYTES))
            return false;
    }
    for (unsigned i = 0; i < SERVICE_DROPS_MAX; i++) {
        if (!is_sound(words->drops[i], SERVICE_NAME_BYTES))
            return false;
    }
    return true;
}

void names_make_printable(struct service_fault faults[SERVICE_FAULTS_MAX])
{
    for (unsigned i = 0; i < SERVICE_FAULTS_MAX; i++) {
        char *name = faults[i].file;
        name[SERVICE_FILE_BYTES - 1] = '\0';
        for (; *name != '\0'; name++) {
            if (*name < ' ' || *name > '~' || *name == '"' || *name == '\\')
                *name = '?';
        }
    }
}
