/* SPDX-License-Identifier: BSD-3-Clause */
#include "load_lengths.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "option_values.h"

#define ENTRY_BYTES 64u

/* Parse one entry of a list: N:SHARE. NULL, or what is expected. */
static const char *class_take(const char *entry, struct class_lengths *class)
{
    static const char wanted[] = "a number, or BYTES:SHARE,BYTES:SHARE...; shares add up to 1";
    char text[ENTRY_BYTES], *share;
    size_t len = strcspn(entry, ",");

    if (len >= sizeof(text))
        return wanted;
    memcpy(text, entry, len);
    text[len] = '\0';
    share = strchr(text, ':');
    if (share == NULL)
        return wanted;
    *share++ = '\0';
    if (value_small(text, VALUE_BYTES_MIN, REPLY_BYTES_MAX, &class->value_bytes) != NULL ||
        value_real(share, 1e-6, 1, &class->share) != NULL)
        return wanted;
    return NULL;
}

const char *lengths_values(const char *text, struct load_config *load)
{
    const char *wanted = NULL;
    double sum = 0;

    load->nb_classes = 1;
    load->lengths[0].share = 1;
    if (strchr(text, ':') == NULL)
        return value_small(text, VALUE_BYTES_MIN, REPLY_BYTES_MAX, &load->lengths[0].value_bytes);
    for (load->nb_classes = 0; load->nb_classes < CLASSES_MAX; text++) {
        struct class_lengths *class = &load->lengths[load->nb_classes++];

        wanted = class_take(text, class);
        if (wanted != NULL)
            return wanted;
        sum += class->share;
        text += strcspn(text, ",");
        if (*text == '\0')
            return fabs(sum - 1) > 1e-6 ? "shares that add up to 1" : NULL;
    }
    return "at most 16 classes";
}

const char *lengths_keys(const char *text, struct load_config *load)
{
    const char *wanted =
        value_small(text, KEY_BYTES_MIN, KEY_BYTES_MAX, &load->lengths[0].key_bytes);

    for (uint32_t i = 1; i < CLASSES_MAX; i++)
        load->lengths[i].key_bytes = load->lengths[0].key_bytes;
    return wanted;
}

const char *lengths_check(const struct load_options *options)
{
    static char said[96];
    const struct load_config *load = &options->load;
    const bool misses = options->workload.miss > 0;
    uint64_t named = format_keys_max(load->lengths[0].key_bytes);
    struct classes *classes = malloc(sizeof(*classes));
    bool fit = classes != NULL && classes_init(classes, load->lengths, load->nb_classes);

    free(classes);
    if (!fit)
        return "--value-bytes: key and value must fit one reply datagram of 1,400 bytes";
    if ((uint64_t)options->workload.nb_keys * (misses ? 2 : 1) <= named)
        return NULL;
    snprintf(said, sizeof(said), "--key-bytes: %u bytes suffice for %llu keys, --keys%s needs more",
             load->lengths[0].key_bytes, (unsigned long long)named, misses ? " with --miss" : "");
    return said;
}
